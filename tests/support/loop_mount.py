"""A real file system, mounted on this machine where only the test sees it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest

from novaops.features.disk.facts.mounts import MountedAt, Mounts
from novaops.model.question import Missing, Section
from novaops.shell import join


class LoopMount:
    """A file system on a loop device, in a mount namespace of its own: one shell for all that is done to it."""

    def __init__(self, image: Path, kind: str) -> None:
        self.at, self.image, self.kind = image.parent / "at", image, kind
        self.at.mkdir()
        self.shell = subprocess.Popen(["unshare", "--mount", "sh"], stdin=-1, stdout=-1, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: str, status: int = 0) -> str:
        """What the command prints on both streams."""
        assert self.shell.stdin
        assert self.shell.stdout
        self.shell.stdin.write(f"{join(words)}; status=$?; echo; echo end $status\n")
        self.shell.stdin.flush()
        lines: list[str] = []
        for line in iter(self.shell.stdout.readline, ""):
            lines.append(line)
            if line.startswith("end "):
                break
        assert lines[-1:] == [f"end {status}\n"], (words, lines)
        return "".join(lines[:-2])

    def mount(self, options: str) -> None:
        self.run("mount", "-t", self.kind, "-o", f"loop,{options}", "--", str(self.image), str(self.at))

    def seen(self) -> MountedAt:
        table = Mounts.parse_one(Section(self.run("cat", "/proc/self/mountinfo"), "", 0))
        assert not isinstance(table, Missing)
        mounted = table.at(str(self.at))
        assert mounted
        return mounted


def loop_mount(kind: str, folder: Path) -> Iterator[LoopMount]:
    """A new file system, mounted below `folder`. Skips the test where this machine cannot make one."""
    if not (make := shutil.which(f"mkfs.{kind}")):
        pytest.skip(f"no mkfs.{kind} here")
    with (Path(gettempdir()) / "novaops-loop-mounts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel's log is one for all: it would show what another test mounts, too
        yield from _mounted(kind, folder, make)


def _mounted(kind: str, folder: Path, make: str) -> Iterator[LoopMount]:
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(320 * 1024**2)
    subprocess.run([make, "-q", str(image)], check=True)
    probe = subprocess.run(["unshare", "--mount", "mount", "-o", "loop", str(image), "/mnt"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no loop mounts here: {probe.stderr}")
    host = LoopMount(image, kind)
    try:
        host.mount("defaults")
        yield host
    finally:
        host.shell.communicate("exit\n", timeout=30)  # with its namespace its mounts end
