"""The stand-in, and ways to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import Credential
from novaops.features.api.llm.route import direct
from novaops.providers import loader
from novaops.providers.loader import Endpoint, Provider
from novaops.secret import Secret
from tests.support.provider_files import KEY, Stand, stand

Reach = Callable[..., Http]


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


@pytest.fixture
def there() -> Iterator[Stand]:
    with stand() as made:
        yield made


def moved(name: str, there: Stand) -> Provider:
    """The provider of that name, at the stand-in."""
    port = int(there.url.rpartition(":")[2])
    paths = ("/v1", "/compatible-mode", "/files/v1")
    endpoints = tuple(Endpoint(host="127.0.0.1", port=port, path=path, tls=False) for path in paths)
    return loader.load(name).model_copy(update={"endpoints": endpoints})


@pytest.fixture
def reach(there: Stand) -> Iterator[Reach]:
    made: list[Http] = []

    def open_one(name: str, key: Credential = Secret(KEY)) -> Http:  # noqa: B008 - it never changes
        made.append(Http(name, key, direct(moved(name, there))))
        return made[-1]

    yield open_one
    for one in made:
        one.close()
