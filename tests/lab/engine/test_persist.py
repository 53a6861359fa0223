"""Kept connections on a real host: what they save, and what goes past them."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.support.keepers import keepers
from tests.support.relay import Relay
from tests.support.things import write_inventory

A_FILE = {"path": "/etc/novaops-test", "content": "here\n"}


@pytest.fixture
def runtime() -> Iterator[Path]:
    """XDG_RUNTIME_DIR; the keepers in it are gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        for process in keepers(Path(folder)):
            os.kill(process, signal.SIGKILL)


def test_a_guarded_change_is_confirmed_by_a_login(container: LabHost, novaops: Novaops, runtime: Path, tmp_path: Path) -> None:
    """And the connection that was kept before it is not used after it."""
    with Relay((container.address, container.port)) as relay:
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{relay.port} {' '.join(container.host_key.split()[:2])}\n")
        access = {"address": "127.0.0.1", "port": relay.port, "known_hosts": str(known), "persist": "60s"}
        environment = {"XDG_RUNTIME_DIR": str(runtime)}

        def connects(verb: str, number: int, **thing: object) -> int:
            """The exit code; so many connections are made."""
            before = relay.connections
            file = write_inventory(tmp_path, container, [{**A_FILE, **thing}], **access)
            done = novaops(verb, "--json", inventory=file, env=environment)
            assert wait_until(lambda: relay.connections - before >= number, 20), done.text  # the keeper's may come later
            assert relay.connections - before == number, done.text
            return done.code

        assert connects("plan", 2) == 3, "its own, and the keeper's"
        assert connects("plan", 0) == 3
        assert connects("apply", 2, guarded=True) == 0, "one to change it, one to confirm it"
        assert connects("plan", 2) == 0
        assert connects("apply", 0) == 0
