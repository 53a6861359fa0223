"""`eve lab` through a real ssh connection, against the stand-in, whose nodes boot under qemu."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from tests.loopback.conftest import Host
from tests.support.eve import StandIn

LAB = """\
nodes:
  r1: {template: linux, image: linux-guest}
  r2: {template: linux}
links:
  - r1:e1-r2:e0
  - [r1, pnet0]
validate:
  - {from: r1, ping: 10.0.0.2, within: 20}
"""


class Eve:
    """The command line, on the one host of an inventory."""

    def __init__(self, folder: Path, host: Host, standin: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.standin, self._capsys = folder, standin, capsys
        self._inventory = folder / "inventory.yaml"
        access = {
            "address": "127.0.0.1",
            "port": host.port,
            "user": "root",
            "identity": str(host.identity),
            "known_hosts": str(host.known_hosts),
        }
        self._inventory.write_text(json.dumps({"hosts": {"eve": access}}))
        self.lab = folder / "triangle.yml"
        self.lab.write_text(LAB)

    def __call__(self, verb: str, *words: str) -> tuple[int, Any]:
        """The exit code, and the only host of the document."""
        web = ("--host", "eve", "--web-password", "env:EVE_PASSWORD", "--web-port", str(self.standin.port))
        code = run(["-i", str(self._inventory), "--json", "eve", "lab", verb, *words, *web])
        printed = self._capsys.readouterr().out
        document = json.loads(printed) if printed else {}
        return code, (document.get("hosts") or [document])[0]

    def up(self, *words: str) -> tuple[int, Any]:
        return self("up", str(self.lab), "--wait", "30", *words)


@pytest.fixture(params=["community", "pro"])
def standin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn(tmp_path / "unetlab", request.param)
    made.image("linux-guest")
    yield made
    made.close()


@pytest.fixture
def eve(tmp_path: Path, host: Host, standin: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Eve:
    monkeypatch.setenv("EVE_PASSWORD", "eve")
    return Eve(tmp_path, host, standin, capsys)


def statuses(host: Any) -> dict[str, str]:
    return {step["resource"]: step["status"] for step in host["steps"]}


def test_a_lab_is_made_started_proven_and_taken_away(eve: Eve) -> None:
    assert eve.up("--check")[0] == 3
    assert not eve.standin.eve.labs

    code, host = eve.up()
    assert (code, host["error"]) == (0, None)
    assert set(statuses(host).values()) == {"changed"}
    assert len(eve.standin.eve.running) == 2
    lab = eve.standin.eve.labs["/triangle.unl"]
    assert {end: lab.networks[number]["type"] for end, number in lab.wires.items()} == {(1, 1): "bridge", (2, 0): "bridge", (1, 0): "pnet0"}
    assert [network["visibility"] for network in lab.networks.values()] == [0, 1]

    before = len(eve.standin.calls("POST") + eve.standin.calls("PUT"))
    code, host = eve.up()
    assert (code, set(statuses(host).values())) == (0, {"unchanged"})
    assert len(eve.standin.calls("POST") + eve.standin.calls("PUT")) == before
    assert eve.up("--check")[0] == 0

    assert eve("validate", str(eve.lab))[0] == 0
    code, host = eve("status", str(eve.lab))
    assert code == 0
    assert [node["state"] for node in host["nodes"]] == ["running", "running"]

    assert eve("down", str(eve.lab), "--check")[0] == 3
    assert eve("down", str(eve.lab))[0] == 0
    assert not eve.standin.eve.labs
    assert len(eve.standin.eve.running) == 0
    code, host = eve("down", str(eve.lab))
    assert (code, host["error"], host["status"]) == (0, None, "unchanged")
