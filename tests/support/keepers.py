"""The keepers of a test: the processes that hold connections for `--persist`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def keepers(runtime: Path) -> list[int]:
    """The process ids of those whose XDG_RUNTIME_DIR is `runtime`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            keeps = b"novaops.ssh.keeper" in (process / "cmdline").read_bytes()
            if keeps and os.fsencode(f"XDG_RUNTIME_DIR={runtime}\0") in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def memory(process: int) -> bytes:
    """All that the process can read of its own memory."""
    pieces = []
    with Path(f"/proc/{process}/maps").open() as maps, Path(f"/proc/{process}/mem").open("rb", buffering=0) as file:
        for line in maps:
            (start, end), permissions = (int(word, 16) for word in line.split(" ")[0].split("-")), line.split(" ")[1]
            if permissions.startswith("r"):
                with suppress(OSError, ValueError):  # the kernel's own pages
                    file.seek(start)
                    pieces.append(file.read(end - start))
    return b"\n".join(pieces)
