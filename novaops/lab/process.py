"""Processes that outlive the command that started them: known by pid and start time, so a reused pid is never killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLL_S = 0.02


@dataclass(frozen=True)
class Process:
    """A started process; `started` is its start time in clock ticks since boot, `boot` the machine's boot id."""

    pid: int
    started: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not, nor another one that got the pid after it)."""
        return boot_id() == self.boot and _start_time(self.pid) == self.started

    def stop(self, grace_s: float = 5) -> None:
        """End it: SIGTERM, and SIGKILL when it is still there after `grace_s`. Returns when it is gone."""
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, grace_s)):
            if not self.alive:
                return
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return
            wait_until(lambda: not self.alive, patience_s)


def start(command: Sequence[str], directory: Path, output: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a program in its own session, with `directory` as its working directory and its words in the file `output`."""
    with output.open("wb") as log:
        process = subprocess.Popen(  # the lab's own command lines
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # it is meant to outlive us: silence Popen's warning about a child nobody waited for
    return Process(process.pid, _start_time(process.pid) or 0, boot_id())


def stop_all_in(directory: Path) -> None:
    """Stop the qemu and nspawn whose working directory is this one: their record may be lost. A shell there stays."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            words = (folder / "cmdline").read_bytes()
            ours = b"qemu-system" in words or b"systemd-nspawn" in words
            if ours and (folder / "cwd").readlink() == directory and (started := _start_time(pid)) is not None:
                Process(pid, started, boot_id()).stop()
        except OSError:
            continue  # it ended while we looked, or is another user's


def wait_until(condition: Callable[[], bool], deadline_s: float) -> bool:
    """Wait for a condition, looking every 20 ms; whether it came true within `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def boot_id() -> str:
    """The machine's, new at each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process, or only a zombie that is our child, now reaped."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
