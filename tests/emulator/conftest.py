from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.emulator.process import EmulatorProcess


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(latency=0) as process:
        yield process


@pytest.fixture
def emulator(emulator_process: EmulatorProcess) -> EmulatorProcess:
    """A clean emulator whose runs are over at once, until a test sets a latency."""
    emulator_process.reset()
    return emulator_process


@pytest.fixture(scope="session")
def client(emulator_process: EmulatorProcess) -> Iterator[OpenAI]:
    with OpenAI(
        api_key="sk-test", base_url=emulator_process.base_url, max_retries=0, timeout=10
    ) as client:
        yield client


@pytest.fixture
def threads(client: OpenAI) -> Any:
    return client.beta.threads


@pytest.fixture
def ask(client: OpenAI) -> Callable[..., Any]:
    """Creates a background response, as the product does."""

    def create(prompt: Any = "What threatens the depot?", **options: Any) -> Any:
        options = {"background": True, "store": True, "model": "demo"} | options
        return client.responses.create(input=prompt, **options)

    return create
