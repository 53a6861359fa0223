"""What the scripts of packages do with the package managers that a host has. The managers are stand-ins, the scripts really run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from novaops.facts.package import PackageNamed
from novaops.model.action import Command
from novaops.model.question import Facts, Missing, Section
from novaops.resources.package import Package

APT = """\
case "$*" in
  *-s*remove*nginx) printf 'Remv certbot-nginx [2.1]\\nRemv nginx [1.22]\\n' ;;
  *-s*remove*) echo 'Remv nftables [1]' ;;
  *) echo "apt-get $*" >>"$CALLS" ;;
esac"""
RPM = """\
case "$*" in
  "-e --test"*nginx) echo 'nginx is needed by (installed) certbot-nginx-2.1' >&2; exit 1 ;;
  "-e --test"*) ;;
  -q*) for name; do case $name in nftables) printf 'nftables\\tinstalled\\t1-1\\n' ;; esac; done ;;
esac"""
DNF = 'echo "dnf $*" >>"$CALLS"'
DPKG_QUERY = "exit 1"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of programs that is all of PATH, beside the shell's own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "sed", "grep", "cat", "sort", "tr"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    return programs


def put(host: Path, **programs: str) -> None:
    for name, text in programs.items():
        file = host / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


def run(host: Path, *words: str) -> tuple[int, str]:
    environment = {"PATH": str(host), "CALLS": str(host.parent / "calls"), "LC_ALL": "C"}
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def calls(host: Path) -> str:
    file = host.parent / "calls"
    return file.read_text() if file.exists() else ""


def command(name: str) -> Command:
    """What installs it."""
    (step,) = Package(name).plan(Facts({PackageNamed(name): Missing.ABSENT}, {}))
    (action,) = step.actions
    assert isinstance(action, Command)
    return action


def undo(name: str) -> tuple[str, ...]:
    taken_away = command(name).undo
    assert taken_away is not None
    return taken_away.words


@pytest.mark.parametrize("programs", [{"apt_get": APT, "dpkg_query": "true"}, {"rpm": RPM, "dnf": DNF}], ids=["apt", "dnf"])
def test_undo_removes_no_package_that_somebody_else_has_put_on_top(host: Path, programs: dict[str, str]) -> None:
    put(host, **programs)
    status, said = run(host, *undo("nginx"))
    assert status == 1
    assert "certbot-nginx" in said
    assert calls(host) == ""
    assert run(host, *undo("nftables"))[0] == 0
    assert " remove " in calls(host)
    assert calls(host).rstrip().endswith("nftables")


def test_a_host_of_rpm_that_has_dpkg_too_is_asked_by_rpm(host: Path) -> None:
    put(host, rpm=RPM, dnf=DNF, apt_get=APT, dpkg_query=DPKG_QUERY)
    questions = [PackageNamed("nftables"), PackageNamed("nginx")]
    status, said = run(host, "sh", "-c", PackageNamed.script(questions))
    answers = PackageNamed.parse(questions, Section(said, "", status))
    assert [answers[one] for one in questions] == ["1-1", Missing.ABSENT]
    assert run(host, *command("nginx").words)[0] == 0
    assert calls(host) == "dnf install -y -q -- nginx\n"


def test_a_host_of_dpkg_is_asked_by_dpkg_and_by_nothing_else(host: Path) -> None:
    put(host, rpm=RPM, dpkg_query="printf 'dpkg\\tinstalled\\t1.22\\nnginx:amd64\\tinstalled\\t1.24\\n'; exit 1")
    questions = [PackageNamed("nftables"), PackageNamed("nginx")]
    status, said = run(host, "sh", "-c", PackageNamed.script(questions))
    answers = PackageNamed.parse(questions, Section(said, "", status))
    assert [answers[one] for one in questions] == [Missing.ABSENT, "1.24"]


def test_a_database_that_cannot_be_read_is_no_answer(host: Path) -> None:
    put(host, rpm=RPM, dpkg_query="exit 2")
    questions = [PackageNamed("nftables")]
    status, said = run(host, "sh", "-c", PackageNamed.script(questions))
    assert not PackageNamed.parse(questions, Section(said, "", status))
