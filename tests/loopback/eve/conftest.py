"""An ssh server, and EVE-NG's stand-in behind it: the command line as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.features.eve import paths
from tests.loopback.conftest import Host
from tests.support.eve import StandIn
from tests.support.eve_standin import __file__ as package


class Eve:
    """`novaops eve …` on the one host of an inventory."""

    def __init__(self, folder: Path, host: Host, standin: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.host, self.standin, self._capsys = folder, host, standin, capsys
        self._inventory = folder / "inventory.yaml"
        self.reached_at(host.port)

    def reached_at(self, port: int) -> None:
        """Through a relay, where it listens."""
        login = {"user": "root", "identity": str(self.host.identity), "known_hosts": str(self.host.known_hosts)}
        where = {"address": "127.0.0.1", "port": port, **login}
        self._inventory.write_text(json.dumps({"hosts": {"eve": where}}))

    def __call__(self, *words: str, asks: bool = True) -> tuple[int, Any]:
        """The exit code, and the only host of the document. `asks`: the verb asks the API."""
        code, printed = self.plain("--json", *words, asks=asks)
        document = json.loads(printed) if printed else {}
        return code, (document.get("hosts") or [document])[0]

    def plain(self, *words: str, asks: bool = True) -> tuple[int, str]:
        """The exit code, and what a person reads on stdout."""
        web = ("--web-password", "env:EVE_PASSWORD", "--web-port", str(self.standin.port)) if asks else ()
        web = (*web, "--host", "eve") if "lab" in words else web
        before = [word for word in words if word == "--json"]
        code = run(["-i", str(self._inventory), *before, "eve", *words[len(before) :], *web])
        return code, self._capsys.readouterr().out


def made(root: Path, edition: str) -> Iterator[StandIn]:
    standin = StandIn(root, edition)
    standin.image("linux-guest")
    yield standin
    standin.close()


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    yield from made(tmp_path / "unetlab", "community")


@pytest.fixture
def eve(tmp_path: Path, host: Host, standin: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Eve:
    monkeypatch.setenv("EVE_PASSWORD", "eve")
    monkeypatch.setenv("UNL_ROOT", str(standin.root))
    monkeypatch.setattr(paths, "ADDONS", str(standin.root / "addons"))
    monkeypatch.setattr(paths, "LABS", str(standin.root / "labs"))
    monkeypatch.setattr(paths, "TEMPLATES", str(standin.root / "html/templates"))
    monkeypatch.setattr(paths, "WRAPPER", str(Path(package).with_name("unl_wrapper")))
    return Eve(tmp_path, host, standin, capsys)
