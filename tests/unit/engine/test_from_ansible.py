"""Inventories of Ansible's become ours: the same hosts, reached the same way, and no password among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.app import run
from novaops.engine import inventory
from novaops.engine.from_ansible import convert
from novaops.errors import UsageError
from novaops.formats import ansible

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "ansible" / "conversions.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_conversion(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in case["files"].items():
        file = tmp_path / "theirs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    folder = str(tmp_path / "theirs")
    source, target = tmp_path / "theirs" / case.get("source", "hosts"), tmp_path / "inventory.yaml"
    if "refused" in case:
        with pytest.raises(UsageError) as refused:
            convert(source, target, ["disk"])
        assert refused.value.what == case["refused"].replace("{folder}", folder)
        return
    made = convert(source, target, ["disk"])
    assert yaml.safe_load(made.text) == case["gives"]
    assert list(made.notes) == [note.replace("{folder}", folder) for note in case.get("notes", [])]
    assert "in-the-clear" not in made.text + "".join(made.notes)
    assert len(inventory.parse(made.text, str(target), ["disk"]).hosts) == made.hosts


def test_a_key_stays_the_file_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's is relative to where it is called, ours to the inventory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts").write_text("web1 ansible_ssh_private_key_file=keys/web\nweb2\n[all:vars]\nansible_private_key_file=keys/all\n")
    assert run(["init", "--from-ansible", "hosts", "new"]) == 0
    hosts = inventory.load(tmp_path / "new", ["disk"]).hosts
    assert [Path(str(host.access.identity)).resolve() for host in hosts.values()] == [tmp_path / "keys/web", tmp_path / "keys/all"]


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like Ansible's is said to, with the line to type; what that writes is an inventory; nothing is overwritten."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my hosts.ini").write_text("[web]\nweb1 ansible_host=192.0.2.1 ansible_password=in-the-clear\n")
    assert run(["-i", "my hosts.ini", "host", "ls"]) == 2
    said = capsys.readouterr().err
    assert "my hosts.ini: this looks like an Ansible inventory" in said
    assert "novaops init --from-ansible 'my hosts.ini' makes one of ours" in said
    assert run(["init", "--from-ansible", "my hosts.ini"]) == 0
    said = capsys.readouterr().out
    assert "in-the-clear" not in said
    assert said.splitlines()[-1] == "inventory.yaml is written, with 1 host. Look at it, then: novaops -i inventory.yaml host check"
    assert run(["host", "ls", "web"]) == 0
    assert "192.0.2.1" in capsys.readouterr().out
    written = (tmp_path / "inventory.yaml").read_text()
    assert run(["init", "--from-ansible", "my hosts.ini"]) == 2
    assert run(["init", "new", "--from-ansible", "nowhere"]) == 2
    assert (tmp_path / "inventory.yaml").read_text() == written
    assert not (tmp_path / "new").exists()


def test_one_that_is_called_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.yaml").write_text("all: {hosts: {web1: {ansible_host: 192.0.2.1}}}\n")
    assert run(["plan"]) == 2
    assert "novaops init novaops --from-ansible inventory.yaml makes one of ours" in capsys.readouterr().err
    assert run(["init", "novaops", "--from-ansible", "inventory.yaml"]) == 0
    assert run(["-i", "novaops", "host", "ls"]) == 0


def test_a_folder_of_ansibles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "hosts").write_text("web1\n")
    assert run(["-i", "theirs", "plan"]) == 2
    assert "novaops init novaops --from-ansible theirs makes one of what Ansible has there" in capsys.readouterr().err
    assert run(["init", "novaops", "--from-ansible", "theirs"]) == 0
    assert run(["-i", "novaops", "host", "ls", "web1"]) == 0


def test_a_program_is_not_run(tmp_path: Path) -> None:
    program = tmp_path / "dynamic.py"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match="is a program that prints an inventory"):
        convert(program, tmp_path / "inventory.yaml", [])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("w[1:3]", ["w1", "w2", "w3"]),
        ("w[001:003]", ["w001", "w002", "w003"]),
        ("w[09:11]", ["w09", "w10", "w11"]),
        ("w[1:7:3]", ["w1", "w4", "w7"]),
        ("w[a:c:2]x", ["wax", "wcx"]),
        ("w[1:2]-[a:b]", ["w1-a", "w1-b", "w2-a", "w2-b"]),
        ("w[5:5]", ["w5"]),
        ("[2001:db8::1]", ["[2001:db8::1]"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert ansible.expand(pattern) == names
