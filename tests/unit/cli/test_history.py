"""undo, up to the hosts: which ones it is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from novaops.app import run
from novaops.engine.converge import RunOptions
from novaops.engine.report import HostReport
from novaops.ssh.target import Target

INVENTORY = "hosts: {a: {groups: [g]}, b: {groups: [g]}, c: {}}"


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str, RunOptions]]:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    monkeypatch.chdir(tmp_path)
    found: list[tuple[str, str, RunOptions]] = []

    def undo(target: Target, run: str, options: RunOptions, _: object) -> HostReport:
        found.append((target.name, run, options))
        return HostReport(target.name, "unchanged")

    monkeypatch.setattr("novaops.engine.undo.undo", undo)
    return found


@pytest.mark.parametrize(("word", "hosts"), [("g", ["a", "b"]), ("b", ["b"]), ("root@192.0.2.1", ["root@192.0.2.1"])])
def test_every_host_that_the_word_means(
    undone: list[tuple[str, str, RunOptions]], capsys: pytest.CaptureFixture[str], word: str, hosts: list[str]
) -> None:
    assert run(["undo", word, "--check", "--guard", "30", "--json"]) == 0
    assert [one["host"] for one in json.loads(capsys.readouterr().out)["hosts"]] == hosts
    assert sorted(undone) == sorted((host, "", RunOptions(check=True, guard=30)) for host in hosts)


def test_a_run_is_one_hosts(undone: list[tuple[str, str, RunOptions]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["undo", "g", "20260101"]) == 2
    assert "run 20260101 is one host's, and g is a group of 2" in capsys.readouterr().err
    assert undone == []
    assert run(["undo", "a", "20260101"]) == 0
    assert [one[:2] for one in undone] == [("a", "20260101")]
