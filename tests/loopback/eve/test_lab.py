"""`eve lab` through a real ssh connection, against the stand-in, whose nodes boot under qemu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.eve.conftest import Eve, made
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


@pytest.fixture
def pro(tmp_path: Path) -> Iterator[StandIn]:
    yield from made(tmp_path / "pro", "pro")


@pytest.fixture
def lab(tmp_path: Path) -> str:
    file = tmp_path / "triangle.yml"
    file.write_text(LAB)
    return str(file)


def statuses(host: Any) -> set[str]:
    return {step["status"] for step in host["steps"]}


def test_a_lab_is_made_started_proven_and_taken_away(eve: Eve, lab: str) -> None:
    assert eve("lab", "up", lab, "--check")[0] == 3
    known = eve.standin.eve
    assert not known.labs

    code, host = eve("lab", "up", lab, "--wait", "30")
    assert (code, host["error"]) == (0, None)
    assert statuses(host) == {"changed"}
    assert len(known.running) == 2
    made_lab = known.labs["/triangle.unl"]
    kinds = {end: made_lab.networks[number]["type"] for end, number in made_lab.wires.items()}
    assert kinds == {(1, 1): "bridge", (2, 0): "bridge", (1, 0): "pnet0"}
    assert [network["visibility"] for network in made_lab.networks.values()] == [0, 1]

    changing = len(eve.standin.calls("POST") + eve.standin.calls("PUT"))
    code, host = eve("lab", "up", lab)
    assert (code, statuses(host)) == (0, {"unchanged"})
    assert len(eve.standin.calls("POST") + eve.standin.calls("PUT")) == changing

    assert eve("lab", "validate", lab)[0] == 0
    code, host = eve("lab", "status", lab)
    assert code == 0
    assert [node["state"] for node in host["nodes"]] == ["running", "running"]

    assert eve("lab", "down", lab, "--check")[0] == 3
    assert eve("lab", "down", lab)[0] == 0
    assert not known.labs
    assert len(known.running) == 0
    code, host = eve("lab", "down", lab)
    assert (code, host["error"], host["status"]) == (0, None, "unchanged")


def test_on_eve_ng_7_with_a_certificate_of_its_own(eve: Eve, pro: StandIn, lab: str) -> None:
    eve.standin = pro
    code, host = eve("lab", "up", lab, "--wait", "30")
    assert (code, host["error"]) == (0, None)
    assert eve("lab", "down", lab)[0] == 0
    assert len(pro.eve.running) == 0
    assert any(call.endswith("/stop/stopmode=3") for call in pro.calls("GET"))
