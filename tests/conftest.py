"""The cast and the emulator, shared by all tests."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from accounts.models import ApiToken, Module, Role, User
from knowledge.models import Article, Keyword, KeywordArticle
from simulations.engine import Engine
from simulations.models import Run, Simulation
from simulations.providers.client import build_client, get_client
from tests.emulator.process import EmulatorProcess

TESTS = Path(__file__).parent
# Tests of the whole stack have processes of their own that use the database.
WHOLE_STACK = {"e2e", "chaos", "crashpoints"}
LANES = ["pure", "rows", "whole-stack"]
USES_DATABASE = {"db", "transactional_db", "django_db_setup"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lane",
        action="append",
        choices=LANES,
        help="only these: pure (needs no database at all), rows, whole-stack",
    )
    parser.addoption("--pictures", action="store_true", help="make docs/screenshots/ anew")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where the lane has nothing, nothing need be imported."""
    is_part = collection_path.is_dir() and collection_path.parent == TESTS
    is_in_lane = config.getoption("lane") != ["whole-stack"] or collection_path.name in WHOLE_STACK
    return True if is_part and not is_in_lane else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lanes = config.getoption("lane") or LANES
    others = [item for item in items if lane_of(item) not in lanes]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if lane_of(item) in lanes]


def lane_of(item: pytest.Item) -> str:
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("django_db") or fixtures & USES_DATABASE:
        return "rows"
    directory = item.path.relative_to(TESTS).parts[0]
    return "whole-stack" if directory in WHOLE_STACK else "pure"


# Long polls of real time would make the suite slow; the emulator answers within this.
LATENCY = 0.05


@pytest.fixture
def analyst(db: None) -> User:
    return User.objects.create_user("analyst", password="pw", modules=Module.values)


@pytest.fixture
def outsider(db: None) -> User:
    """Another analyst, with the same rights and nothing of the first one's."""
    return User.objects.create_user("outsider", password="pw", modules=Module.values)


@pytest.fixture
def trainee(db: None) -> User:
    return User.objects.create_user("trainee", password="pw", modules=[Module.SIMULATIONS])


@pytest.fixture
def planner(db: None) -> User:
    """An ADMIN without the module `knowledge-base`."""
    return User.objects.create_user(
        "planner", password="pw", role=Role.ADMIN, modules=[Module.SIMULATIONS]
    )


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_user("admin", password="pw", role=Role.ADMIN, modules=Module.values)


class ApiClient(Client):
    """Django's test client with a bearer token and JSON bodies."""

    def __init__(self, user: User | None = None) -> None:
        headers = {}
        if user is not None:
            _, secret = ApiToken.objects.create(user=user)
            headers["Authorization"] = f"Bearer {secret}"
        super().__init__(headers=headers)

    def post_json(self, path: str, body: object) -> object:
        return self.post(f"/api/v1/{path}", body, content_type="application/json")


@pytest.fixture
def api() -> type[ApiClient]:
    return ApiClient


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[EmulatorProcess]:
    process = EmulatorProcess(latency=LATENCY)
    yield process
    process.stop()


@pytest.fixture
def emulator(emulator_process: EmulatorProcess, settings: Settings) -> Iterator[EmulatorProcess]:
    """A clean emulator, and the product pointed at it."""
    emulator_process.reset()
    emulator_process.control(latency=LATENCY, profile="openai")
    settings.OPENAI_BASE_URL = emulator_process.base_url
    build_client.cache_clear()
    yield emulator_process
    if build_client.cache_info().currsize:
        get_client().close()
    build_client.cache_clear()


@pytest.fixture(params=["responses", "assistants"])
def protocol(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.OPENAI_PROTOCOL = request.param
    settings.OPENAI_ASSISTANT_ID = "asst_tests" if request.param == "assistants" else ""
    return request.param


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(slots=8)
    yield engine
    engine.pool.shutdown()


def make_due(engine: Engine) -> None:
    """Everything but what has a call under way: two steps of one row would be at work."""
    Simulation.objects.in_flight().exclude(pk__in=engine.under_way()).update(due_at=Now())
    Run.objects.to_discard().update(discard_due_at=Now())


Drive = Callable[[Simulation], Simulation]


@pytest.fixture
def drive(engine: Engine) -> Drive:
    """Runs the engine until a simulation is terminal, without waiting for what isn't due yet."""

    def until_terminal(simulation: Simulation, slices: int = 100) -> Simulation:
        for _ in range(slices):
            engine.run_slice(0.1)
            simulation.refresh_from_db()
            if simulation.is_terminal:
                return simulation
            make_due(engine)
            time.sleep(0.02)
        pytest.fail(f"Still {simulation.status} after {slices} slices")

    return until_terminal


@pytest.fixture
def articles(db: None) -> dict[str, Article]:
    """Two published articles and a draft, each brought by keywords."""
    statuses = {"alpha-001": "published", "beta-001": "published", "gamma-001": "draft"}
    made = [
        Article(
            slug=slug,
            title=f"Title of {slug}",
            category="Testing",
            tags=["one", "two"],
            text=f"Guards check every badge at the gate. This is the text of {slug}.",
            status=status,
        )
        for slug, status in statuses.items()
    ]
    alpha, beta, gamma = Article.objects.bulk_create(made)
    brought = {"badge": [gamma, beta], "gate": [alpha, beta], "secret": [gamma]}
    phrases = [Keyword(phrase=phrase, position=place) for place, phrase in enumerate(brought, 1)]
    links = [
        KeywordArticle(keyword=keyword, article=article, position=place)
        for keyword in Keyword.objects.bulk_create(phrases)
        for place, article in enumerate(brought[keyword.phrase], start=1)
    ]
    KeywordArticle.objects.bulk_create(links)
    return {article.slug: article for article in made}
