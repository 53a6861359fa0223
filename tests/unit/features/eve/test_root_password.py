"""The sh that is about root's password, run by a real one: with an /etc/shadow and programs of a folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.facts.sshd import Sshd
from novaops.features.eve.resources import packages, root_login, root_password
from novaops.formats.sshd_drop_in import MAIN

DEFAULT = "$6$WuYWLGZ4NpSKZ3HL$"
FOLDERS = ("/etc/shadow", "/etc/ssh/sshd_config")


class Host:
    """A tree; getent and chpasswd work on its shadow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "etc/ssh").mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "etc/ssh/sshd_config").write_text("PermitRootLogin no\n")
        self.has("getent", f"cat {root}/etc/shadow")
        self.has("chpasswd", f"sed 's/$/:1::::::/' >{root}/new && mv {root}/new {root}/etc/shadow")
        self.has("dpkg-query", "echo")
        self.has("systemctl", "exit 0")
        self.has("apt-cache", "exit 0")

    def has(self, name: str, script: str) -> None:
        (self.root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.root / "bin" / name).chmod(0o755)

    def password(self, hash_: str | None = None) -> str:
        file = self.root / "etc/shadow"
        if hash_ is not None:
            file.write_text(f"root:{hash_}:1::::::\n")
        return file.read_text().split(":")[1]

    def start(self, script: str, *words: str, stdout: int) -> subprocess.Popen[str]:
        for path in FOLDERS:
            script = script.replace(path, f"{self.root}{path}")
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "LC_ALL": "C"}
        return subprocess.Popen(["sh", "-c", script, "sh", *words], env=environment, stdout=stdout, text=True)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def hashed(password: str) -> str:
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=f"{password}\n", capture_output=True, text=True, check=True)
    return done.stdout.strip()


def read(host: Host) -> str:
    out, _ = host.start(root_password._READ, stdout=subprocess.PIPE).communicate()
    return out


def test_what_is_read_of_it_is_never_the_hash_of_the_default_one(host: Host) -> None:
    host.password(hashed("eve"))
    assert read(host) == "default\n"
    host.password("*")
    assert read(host) == "*\n"
    own = hashed("another")
    host.password(own)
    assert read(host) == f"{own}\n"


def test_a_killed_installation_leaves_root_the_password_of_before_and_no_process(host: Host) -> None:
    host.password("before")
    host.has("apt-get", f'[ "$1" = update ] || {{ printf "root:default\\n" | chpasswd; echo $PPID >{host.root}/ready; exec sleep 60; }}')
    process = host.start(packages._INSTALL, "5", str(host.root / "versions"), "sources", "eve-ng", stdout=subprocess.DEVNULL)
    try:
        wait_until((host.root / "ready").exists)
        process.kill()
        process.wait()
        wait_until(lambda: host.password() == "before")
        host.password("chosen afterwards")
        time.sleep(0.6)
        assert host.password() == "chosen afterwards"
    finally:
        for pid in _of(host):
            os.kill(pid, 9)


def _of(host: Host) -> list[int]:
    """The processes that were started there."""
    mark = f"PATH={host.root}/bin:".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


AS_SHIPPED = 'Port 22\n#PermitRootLogin prohibit-password\nPasswordAuthentication no\n# The setting of "PermitRootLogin yes"\n'


@pytest.mark.parametrize(
    "before", [AS_SHIPPED, "PermitRootLogin no\n", "PermitRootLogin yes\n", "Port 22\n", "#PermitRootLogin no\nPermitRootLogin no\n"]
)
def test_what_an_upgrade_wrote_into_sshds_file_goes_with_the_packages(before: str, host: Host) -> None:
    """With that line, and the file of novaops gone, root would be let in by password after undo."""
    file = host.root / "etc/ssh/sshd_config"
    file.write_text(before)
    sshd = Sshd("/usr/sbin/sshd", (9, 6), "", {MAIN: before}, {}, accept=False, directory=True, nologin=False)
    upgrade = f"""sed -i -e 's/^#\\?PermitRootLogin.*/PermitRootLogin yes/' {file}
        grep -q '^PermitRootLogin yes' {file} || echo 'PermitRootLogin yes' >>{file}"""
    subprocess.run(["sh", "-c", upgrade], check=True)
    for _ in range(2):
        assert host.start(packages._REMOVE, root_login.main_lines(sshd), "eve-ng", stdout=subprocess.DEVNULL).wait() == 0
        assert file.read_text() == before
