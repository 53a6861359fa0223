"""The world around one lab host, until it is told to end: for scripts/demo. `python -m tests.lab.world LAB HOST`."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from novaops.lab import Lab
from tests.lab.world.world import World


def main(folder: str, name: str) -> None:
    lab = Lab(Path(folder))
    with tempfile.TemporaryDirectory() as scratch:
        world = World(lab, Path(scratch))
        try:
            world.prepare(lab.host(name))
            print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        finally:
            world.close()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main(*sys.argv[1:])
