"""What an EVE-NG host shows of itself: our sh, run by real shells, on a tree in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from novaops.features.eve.facts.installation import EveInstallation, Installation
from novaops.model.question import Missing, Section

EVE = "$6$WuYWLGZ4NpSKZ3HL$"


class Host:
    """A tree, and a folder of programs before the others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.file("etc/shadow", "daemon:*:1::::::\nroot:!:1::::::\n")

    def file(self, path: str, text: str = "x") -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def has(self, name: str, script: str) -> None:
        self.file(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def says(self, shell: str = "sh", path: str = "") -> Installation:
        script = EveInstallation.script([EveInstallation()])
        for folder in ("/opt/", "/etc/shadow"):
            script = script.replace(folder, f"{self.root}{folder}")
        environment = {"PATH": path or f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C"}
        done = subprocess.run([str(shutil.which(shell)), "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        found = EveInstallation.parse([EveInstallation()], Section(done.stdout, done.stderr, done.returncode))[EveInstallation()]
        assert isinstance(found, Installation)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_templates_and_the_wizard(host: Host, shell: str) -> None:
    for vendor in ("intel", "amd"):
        host.file(f"opt/unetlab/html/templates/{vendor}/vios.yml")
    host.file("opt/ovf/.configured")
    found = host.says(shell)
    assert (found.templates, found.configured) == (("vios",), True)
    assert found.kernel == os.uname().release


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_host_without_any(host: Host, shell: str) -> None:
    found = host.says(shell)
    assert (found.templates, found.configured, found.root) == ((), False, "other")


@pytest.mark.parametrize(("password", "found"), [("eve", "default"), ("eve ", "other"), ("Eve", "other"), (None, "other"), ("", "other")])
def test_the_password_of_root_is_compared_by_its_hash(host: Host, password: str | None, found: str) -> None:
    hashed = password
    if password:
        made = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=f"{password}\n", capture_output=True, text=True, check=True)
        hashed = made.stdout.strip()
    host.file("etc/shadow", f"root:{'*' if hashed is None else hashed}:1::::::\n")
    assert host.says().root == found


def test_without_perl_it_is_not_known(host: Host) -> None:
    for name in ("sed", "uname", "basename", "du", "cut", "timeout"):
        host.bin.mkdir(exist_ok=True)
        (host.bin / name).symlink_to(str(shutil.which(name)))
    assert host.says(path=str(host.bin)).root == "unknown"


def test_a_password_is_in_no_processs_words(host: Host) -> None:
    host.has("perl", f'echo "$@" >{host.root}/words; cat >{host.root}/stdin; exit 1')
    host.file("etc/shadow", f"root:{EVE}abc:1::::::\n")
    host.says()
    assert EVE not in (host.root / "words").read_text()
    assert EVE in (host.root / "stdin").read_text()


def test_an_answer_that_breaks_off_is_none() -> None:
    assert (
        EveInstallation.parse([EveInstallation()], Section("kernel\t6.1\n", "", 0)).get(EveInstallation(), Missing.UNKNOWN)
        is Missing.UNKNOWN
    )
