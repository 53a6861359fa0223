"""--limit narrows, and never widens; @failed is what each host's last run came to."""

from __future__ import annotations

import multiprocessing
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from novaops.engine import last_run
from novaops.engine.inventory import Inventory, parse
from novaops.engine.limit import Limit, shortened
from novaops.engine.report import HostReport, Status
from novaops.errors import UsageError

GROUPS = "groups: {web: {}, none: {}}\nhosts: {a: {groups: [web]}, b: {groups: [web]}, c: {}, d: {}}"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def known(limit: str) -> Inventory:
    plain = parse(GROUPS, "inventory.yaml", [])
    return replace(plain, limit=Limit.read(limit, plain))


def ended(inventory: str = "inventory.yaml", **statuses: Status) -> None:
    last_run.record(inventory, [HostReport(name, status) for name, status in statuses.items()])


@pytest.mark.parametrize(
    ("limit", "words", "left"),
    [
        ("a", [], ["a"]),
        ("c,web", [], ["a", "b", "c"]),
        ("c, web ,", [], ["a", "b", "c"]),
        ("web", ["c", "b"], ["b"]),
        ("b", ["web"], ["b"]),
        ("d,a", ["d", "a"], ["a", "d"]),
        ("root@192.0.2.1,a", ["root@192.0.2.1"], ["root@192.0.2.1"]),
    ],
)
def test_it_leaves_some_of_what_is_meant(limit: str, words: list[str], left: list[str]) -> None:
    assert [host.name for host in known(limit).find(words)] == left


@pytest.mark.parametrize(
    ("limit", "words", "what"),
    [
        ("a", ["c"], "--limit a leaves no host"),
        ("nosuch", [], "inventory.yaml has no host or group nosuch"),
        ("none", [], "the group none has no hosts"),
        (",", [], '--limit "," names no host'),
        ("a, ,", ["b"], "--limit a, , leaves no host"),
        ("@failed", [], "--limit @failed: no run with inventory.yaml is remembered"),
    ],
)
def test_it_contacts_nobody_where_it_leaves_nobody(limit: str, words: list[str], what: str) -> None:
    with pytest.raises(UsageError) as error:
        known(limit).find(words)
    assert error.value.what == what


def test_a_peer_is_found_outside_the_limit() -> None:
    assert [host.name for host in known("a").meant("c")] == ["c"]


def test_what_failed_is_what_did_not_end_right() -> None:
    ended(a="unchanged", b="failed", c="unreachable", d="refused")
    assert [host.name for host in known("@failed").find([])] == ["b", "c", "d"]
    assert [host.name for host in known("@failed,a").find(["web"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("limit", "gone"),
    [
        ("@failed", "@failed has hosts that are not in inventory.yaml: old, root@192.0.2.1"),
        ("@failed,root@192.0.2.1", "@failed has hosts that are not in inventory.yaml: old"),
        ("a", ""),
    ],
)
def test_what_failed_and_is_not_in_the_inventory_is_said(limit: str, gone: str) -> None:
    last_run.record("inventory.yaml", [HostReport(name, "failed") for name in ("a", "old", "root@192.0.2.1")])
    inventory = known(limit)
    assert inventory.limit
    assert inventory.limit.gone == gone
    assert [host.name for host in inventory.find([])] == ["a"]


def test_a_run_over_a_part_updates_its_part() -> None:
    ended(a="failed", b="failed", c="rolled_back", d="changed")
    ended(b="changed", d="going_on")
    assert last_run.failed("inventory.yaml") == ["a", "c", "d"]
    ended(a="not_begun", c="not_begun")
    assert last_run.failed("inventory.yaml") == ["a", "c", "d"]


def test_where_none_failed_nobody_is_meant() -> None:
    ended(a="failed")
    ended(a="unchanged")
    with pytest.raises(UsageError, match=r"no run with inventory\.yaml failed on any host"):
        last_run.failed("inventory.yaml")


def test_without_an_inventory_nothing_is_remembered(state: Path) -> None:
    ended("", a="failed")
    assert not state.exists()
    with pytest.raises(UsageError, match="no run failed on any host"):
        last_run.failed("")


def test_each_inventory_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(a="failed")
    with pytest.raises(UsageError):
        last_run.failed("other.yaml")
    monkeypatch.chdir(tmp_path)
    ended(b="failed")
    assert last_run.failed(str(tmp_path / "inventory.yaml")) == ["b"]


def test_it_is_the_users_own(state: Path) -> None:
    ended(a="failed")
    folder = state / "novaops/last-run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(file.suffix for file in folder.iterdir()) == [".json", ".lock"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"failed": 3}', '{"inventory": "x"}', "\x00"])
def test_what_cannot_be_read_is_as_if_it_were_not_there(text: str, state: Path) -> None:
    ended(a="failed")
    [file] = (state / "novaops/last-run").glob("*.json")
    file.write_text(text)
    with pytest.raises(UsageError, match="is remembered"):
        last_run.failed("inventory.yaml")
    ended(b="failed")
    assert last_run.failed("inventory.yaml") == ["b"]


def _fails(name: str) -> None:
    last_run.record("inventory.yaml", [HostReport(name, "failed")])


def test_two_at_once_lose_nothing() -> None:
    names = [f"host{n}" for n in range(12)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_fails, names)
    assert last_run.failed("inventory.yaml") == sorted(names)


def test_many_names_are_counted() -> None:
    assert shortened(["a", "b"]) == "a, b"
    assert shortened([str(n) for n in range(20)], 3) == "0, 1, 2 and 17 more"
