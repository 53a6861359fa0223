"""A server that counts its logins, and calls that keep connections to it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.ssh import ask_ssh, kept
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.loopback.conftest import Host
from tests.support.keepers import keepers


@pytest.fixture
def runtime(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the keepers have theirs. Everybody may enter it; all keepers in it are gone at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.chdir(host.folder)
        ask_ssh.forget_answers()
        yield folder
        for process in keepers(folder):
            os.kill(process, signal.SIGKILL)


@pytest.fixture
def target(host: Host, runtime: Path) -> Target:
    del runtime
    kept.check_folder()
    return replace(host.target(), persist=60.0)


Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(host: Host, runtime: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """`history box` with --persist, or the words given: its exit code, and its document or that of the one host."""
    del runtime
    write_inventory(host)

    def call(*words: str, persist: str = "60s") -> tuple[int, Any]:
        code = run([*(words or ("history", "box")), "--json", *(["--persist", persist] if persist else [])])
        document = json.loads(capfd.readouterr().out)
        return code, document["hosts"][0] if len(document["hosts"]) == 1 else document

    return call


def write_inventory(host: Host, **access: object) -> None:
    keys = {"address": "127.0.0.1", "port": host.port, "user": "root", "identity": "identity", "known_hosts": "known_hosts", **access}
    (host.folder / "inventory.yaml").write_text(json.dumps({"hosts": {"box": keys}}))


def logins(host: Host) -> int:
    return len(host.attempts)


def hold(target: Target) -> None:
    """Have a connection kept, and wait for it."""
    kept.keep(target)
    session = Session(target)
    assert kept.look(session, ":\n").status == 0
    assert session.connection is None, "it is kept"


def channels(host: Host) -> list[int]:
    """How many are open on each connection."""
    return [len(one._channels) for one in host._transports]  # type: ignore[attr-defined]
