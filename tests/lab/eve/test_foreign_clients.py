"""Clients of EVE-NG that nobody here wrote, each in an environment of its own, against the stand-in: they keep it honest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.eve import StandIn

HERE = Path(__file__).parent

pytestmark = pytest.mark.long


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Callable[[str], StandIn]]:
    made: list[StandIn] = []

    def make(edition: str) -> StandIn:
        made.append(StandIn(tmp_path / edition, edition))
        made[-1].image("linux-guest")
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    def make(package: str) -> str:
        """The Python of a new environment that has the package."""
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(folder / "bin/python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package], check=True)
        return python

    return make


@pytest.fixture(scope="module")
def sdk(environment: Callable[[str], str]) -> str:
    return environment("eve-ng==0.2.7")


def ran(*words: str) -> str:
    """What it prints. A machine's own certificates would be put in the place of `ssl_verify=False`."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("edition", ["community", "pro"])
def test_the_sdk(edition: str, standin: Callable[[str], StandIn], sdk: str) -> None:
    eve = standin(edition)
    assert ran(sdk, str(HERE / "sdk_client.py"), eve.url.partition(":")[0], str(eve.port), edition) == "done"


def test_the_client_of_the_mcp_server(standin: Callable[[str], StandIn], environment: Callable[[str], str]) -> None:
    eve = standin("community")
    assert ran(environment("eveng-mcp-server==0.1.0"), str(HERE / "mcp_client.py"), str(eve.port)) == "done"
