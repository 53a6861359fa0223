"""What the tests of faults have in common: an inventory that wants things of a host, and work that waits for a word."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from novaops.errors import HostFailed
from novaops.lab.host import LabHost
from novaops.lab.process import wait_until

Thing = Mapping[str, Any]

SLOW = ("sh", "-c", "echo >>/run/begun; until [ -e /run/go ]; do sleep 0.05; done; echo >>/run/ended")
"""A `then` that says when it begins, and ends when it is told to."""

LEFTOVERS = "find / -xdev -name '.*.novaops-*' 2>/dev/null || true"


def write_inventory(folder: Path, host: LabHost, things: Sequence[Any] = (), **access: Any) -> Path:
    """An inventory with this one host, which wants `things`; `access` are keys beside it, such as user and port."""
    (folder / "playbooks").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "playbooks/things.py", folder / "playbooks/things.py")
    keys: dict[str, object] = {
        "address": host.address,
        "port": host.port,
        "user": "root",
        "identity": str(host.identity),
        "known_hosts": str(host.known_hosts),
        "things": [dict(thing) for thing in things],
    }
    file = folder / "inventory.yaml"
    file.write_text(json.dumps({"hosts": {host.name: {**keys, **access}}}, ensure_ascii=False), "utf-8")
    return file


def holds(host: LabHost, test: str) -> bool:
    """Whether a test in sh holds on the host."""
    try:
        host.run(test)
    except HostFailed:
        return False
    return True


def wait_on(host: LabHost, test: str, deadline_s: float = 20) -> None:
    assert wait_until(lambda: holds(host, test), deadline_s), f"{host.name}: {test} did not come true within {deadline_s} s"


def let_go(host: LabHost) -> None:
    """Let `SLOW` end."""
    host.run("touch /run/go")


def sha256(host: LabHost, *paths: str) -> list[str]:
    """Of each file; "" where there is none."""
    lines = (host.run(f"sha256sum 2>/dev/null <'{path}' || echo") for path in paths)
    return [line.split(" ")[0].strip() for line in lines]


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, dead at the end of the block whatever happens."""
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def until_it_says(process: subprocess.Popen[str], words: str, deadline_s: float = 60) -> str:
    """The line on its stderr that has these words."""
    assert process.stderr is not None
    too_late = threading.Timer(deadline_s, process.kill)
    too_late.start()
    try:
        for line in process.stderr:
            if words in line:
                return line
    finally:
        too_late.cancel()
    raise AssertionError(f"it did not say {words!r} within {deadline_s} s")
