"""`eve lab` through a real ssh connection, against the stand-in, whose nodes boot under qemu."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.features.eve import lab_run
from tests.loopback.eve.conftest import Eve, made
from tests.support.eve import StandIn, needs_qemu
from tests.support.eve_standin import guest
from tests.support.eve_standin.state import Fault

pytestmark = needs_qemu

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


def test_a_ping_of_an_address_that_nobody_has_does_not_hold(eve: Eve, lab: str) -> None:
    assert eve("lab", "up", lab, "--wait", "30")[0] == 0
    Path(lab).write_text(f"{LAB}  - {{from: r1, ping: 10.0.0.9, within: 2}}\n")
    code, host = eve("lab", "validate", lab)
    assert (code, host["error"]["what"]) == (1, "1 of the assertions do not hold")
    assert host["error"]["why"].startswith("assertion:r1: ping 10.0.0.9: it printed: From 10.0.0.1 icmp_seq=1 Destination Host Unreachable")
    assert [step["status"] for step in host["steps"]] == ["unchanged", "unchanged", "unchanged", "failed"]


def test_on_eve_ng_7_with_a_certificate_of_its_own(eve: Eve, pro: StandIn, lab: str) -> None:
    eve.standin = pro
    code, host = eve("lab", "up", lab, "--wait", "30")
    assert (code, host["error"]) == (0, None)
    assert eve("lab", "down", lab)[0] == 0
    assert len(pro.eve.running) == 0
    assert any(call.endswith("/stop/stopmode=3") for call in pro.calls("GET"))


SLOTS = """\
nodes:
  r1: {template: linux}
  r2: {template: linux}
  r3: {template: iol}
links:
  - r1-r2
  - r1-r2
  - 'r2:e2-r3:e0/1'
  - r3-pnet0
"""


def test_links_lead_where_the_file_says_and_a_second_up_makes_none(eve: Eve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in starts no IOL: the lab is made, and r3 does not come to run."""
    monkeypatch.setattr(lab_run, "_START_SECONDS", 1.0)
    eve.standin.image_of_iol("L3.bin")
    file = tmp_path / "slots.yml"
    file.write_text(SLOTS)
    wires = {}
    for changed in ("changed", "unchanged"):
        _, host = eve("lab", "up", str(file))
        assert host["error"]["what"] == "r3 does not come to run"
        assert {step["status"] for step in host["steps"] if step["resource"].startswith("link:")} == {changed}
        made_lab = eve.standin.eve.labs["/slots.unl"]
        wires = {end: made_lab.networks[number] for end, number in made_lab.wires.items()}
        assert sorted(wires) == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (3, 16)]
        assert [wires[end]["id"] for end in ((1, 0), (1, 1), (2, 2))] == [wires[end]["id"] for end in ((2, 0), (2, 1), (3, 16))]
        assert len(made_lab.networks) == 4
    assert wires[3, 0]["type"] == "pnet0"


ONE = "nodes: {r1: {template: linux}}\n"


@pytest.fixture
def one(tmp_path: Path) -> str:
    file = tmp_path / "one.yml"
    file.write_text(ONE)
    return str(file)


def test_a_node_that_stays_at_status_0_is_no_success(eve: Eve, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_run, "_START_SECONDS", 1.0)
    (eve.standin.root / "addons/qemu/linux-guest/hda.qcow2").rename(eve.standin.root / "addons/qemu/linux-guest/disk.qcow2")
    code, host = eve("lab", "up", one)
    assert (code, host["status"]) == (1, "failed")
    assert host["error"]["what"] == "r1 does not come to run"
    assert "linux-guest" in host["error"]["why"]


def test_a_console_that_says_nothing_is_no_success(eve: Eve, one: str) -> None:
    file = eve.standin.root / "addons/qemu/linux-guest/hda.qcow2"
    file.write_bytes(guest.qcow2(b"\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"))  # hlt, for ever
    code, host = eve("lab", "up", one, "--wait", "0")
    assert (code, host["error"]["what"]) == (1, "r1 runs, and its console does not answer")
    assert eve("lab", "validate", one)[0] == 1


def test_an_interface_that_the_nodes_do_not_have_is_no_refusal_once_they_are_made(eve: Eve, tmp_path: Path) -> None:
    """Exit code 4 says that nothing was done."""
    file = tmp_path / "two.yml"
    file.write_text("nodes: {r1: {template: linux}, r2: {template: linux}}\nlinks: ['r1:Gi9-r2:e0']\n")
    code, host = eve("lab", "up", str(file))
    assert (code, host["error"]["what"]) == (1, "links: r1 has no interface Gi9")
    assert "The lab /two.unl is there, without that link." in host["error"]["why"]
    code, host = eve("lab", "up", str(file))
    assert (code, host["status"]) == (4, "refused")


@pytest.mark.parametrize("url", ["", "/html5/#/client/MzI3Njk"])
def test_a_node_without_a_known_console_is_no_success(eve: Eve, one: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = eve.standin.eve.shown
    monkeypatch.setattr(eve.standin.eve, "shown", lambda *words: {**shown(*words), "url": url})
    code, host = eve("lab", "up", one)
    assert (code, host["status"]) == (1, "failed")
    assert host["error"]["what"] == "r1 runs, and whether it works is not known: EVE-NG tells of no console of its own"
    assert eve("lab", "validate", one)[0] == 1


def test_the_limit_is_said_before_anything_is_made(eve: Eve, pro: StandIn, tmp_path: Path) -> None:
    eve.standin = pro
    eight = tmp_path / "eight.yml"
    eight.write_text("defaults: {template: linux}\nnodes: [a, b, c, d, e, f, g, h]\n")
    code, host = eve("lab", "up", str(eight))
    assert (code, host["status"]) == (4, "refused")
    assert host["error"]["what"] == "8 nodes are to be started, and 0 run: this EVE-NG runs 7 at once"
    assert pro.calls("POST") == []


def test_a_lab_of_somebody_else_stays_as_it_is(eve: Eve, one: str) -> None:
    eve.standin.eve.create_lab({"name": "one", "author": "ana"})
    for verb in ("up", "down"):
        code, host = eve("lab", verb, one)
        assert (code, host["status"]) == (4, "refused")
    assert list(eve.standin.eve.labs) == ["/one.unl"]


def test_what_somebody_has_added_to_a_lab_stays(eve: Eve, one: str) -> None:
    assert eve("lab", "up", one, "--wait", "30")[0] == 0
    eve.standin.eve.labs["/one.unl"].add_node({"name": "mine", "template": "linux", "image": "linux-guest"})
    code, host = eve("lab", "down", one)
    assert code == 0
    assert host["notes"] == [{"resource": "lab:/one.unl", "text": "stays, for it has mine, which are not in the file"}]
    assert [node["name"] for node in eve.standin.eve.labs["/one.unl"].nodes.values()] == ["mine"]


def test_keep_stops_the_nodes_and_up_starts_them_again(eve: Eve, one: str) -> None:
    assert eve("lab", "up", one, "--wait", "30")[0] == 0
    assert eve("lab", "down", one, "--keep")[0] == 0
    assert len(eve.standin.eve.running) == 0
    assert eve("lab", "status", one)[0] == 1
    code, host = eve("lab", "up", one, "--wait", "30")
    assert (code, [step["status"] for step in host["steps"]]) == (0, ["unchanged", "changed"])


def test_a_console_is_joined_to_the_terminal(eve: Eve, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert eve("lab", "up", one, "--wait", "30")[0] == 0
    read, write = os.pipe()
    os.write(write, b"show version\r")
    os.close(write)
    with os.fdopen(read) as typed:
        monkeypatch.setattr("sys.stdin", typed)
        code, printed = eve.plain("lab", "connect", "r1", one)
    assert code == 0
    assert "show version" in printed
    assert guest.REPLY in printed
    code, host = eve("lab", "connect", "r9", one)
    assert (code, host["error"]["what"]) == (1, "the lab /one.unl has no node r9")


def test_another_login_in_between_does_no_harm(eve: Eve, one: str) -> None:
    eve.standin.eve.faults.append(Fault("POST /api/labs/one.unl/nodes", "logged-out", times=1))
    code, host = eve("lab", "up", one, "--wait", "30")
    assert (code, host["error"]) == (0, None)
    eve.standin.eve.faults.append(Fault("GET /api/labs/one.unl/nodes", "logged-out"))
    code, host = eve("lab", "status", one)
    assert (code, host["error"]["code"]) == (1, "eve-session")


def test_a_lab_that_is_not_there(eve: Eve, one: str) -> None:
    code, host = eve("lab", "status", one)
    assert (code, host["error"], [node["state"] for node in host["nodes"]]) == (1, None, ["not there"])
    code, host = eve("lab", "validate", one)
    assert (code, host["error"]["what"]) == (1, "r1 of /one.unl does not run")
    code, document = eve("lab", "connect", "r1", one)
    assert (code, document["error"]["what"]) == (1, "there is no lab /one.unl")
    assert "eve lab up" in document["error"]["fix"]
    assert not eve.standin.eve.labs


def test_a_wrong_password_is_said_and_not_shown(eve: Eve, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVE_PASSWORD", "not-the-right-one")
    for verb in (("status",), ("up",)):
        code, host = eve("lab", *verb, one)
        assert (code, host["error"]["what"]) == (1, "EVE-NG did not let admin log in")
        assert "not-the-right-one" not in str(host)
    assert not eve.standin.eve.labs
