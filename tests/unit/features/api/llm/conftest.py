"""An LLM API of the tests' own, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from novaops.features.api.llm.chat import ChatClient
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import Credential
from novaops.features.api.llm.route import Route, direct
from novaops.providers.loader import load
from novaops.secret import Secret
from tests.support.llm_api import KEY, LlmApi

Connect = Callable[..., ChatClient]


@pytest.fixture(scope="session")
def stand_in() -> Iterator[LlmApi]:
    with LlmApi() as made:
        yield made


@pytest.fixture
def api(stand_in: LlmApi) -> LlmApi:
    stand_in.reset()
    return stand_in


@pytest.fixture
def connect(api: LlmApi) -> Iterator[Connect]:
    """A client of the provider of that name, which is at the stand-in."""
    opened: list[ChatClient] = []

    def make(name: str = "openai", credential: Credential = Secret(KEY), route: Route | None = None, timeout: float = 20) -> ChatClient:  # noqa: B008 - frozen
        there = load(name).located(api.url)
        http = Http(name, credential, route or direct(there), timeout=timeout, tell=told.append)
        opened.append(ChatClient(http))
        return opened[-1]

    told: list[str] = []
    yield make
    for one in opened:
        one.close()
