from collections.abc import Iterator

import pytest

from tests import services
from tests.e2e.stack import Stack

# They bring what they need: once is enough.
collect_ignore = ["test_demo.py", "test_service.py"] if services.ON_POSTGRESQL else []


@pytest.fixture(scope="module", params=["responses", "assistants"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"), request.param)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
