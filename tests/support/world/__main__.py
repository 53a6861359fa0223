"""The world around lab hosts, until it is told to end: for scripts/demo. `python -m tests.support.world LAB HOST…`.

The API is no neighbour of the hosts, as it is none anywhere: they reach it by their default route. Nor is llm.lab.test, the model of
`novaops api serve` on this machine.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from tests.support.relay import Relay
from tests.support.vpn_world import outside
from tests.support.world.api import FakeApi
from tests.support.world.world import World

MODEL = "llm.lab.test"
MODEL_PORT = 8765
"""That of `novaops api serve`."""


def main(folder: str, *names: str) -> None:
    lab = Lab(Path(folder))
    with tempfile.TemporaryDirectory() as scratch, outside(network_up(lab.directory).bridge) as [address, other]:
        world = World(lab, Path(scratch))
        api = FakeApi(address, 443, world.leaf, strict=True)
        api.start()
        world.names.names |= {"api.openai.com": [address], MODEL: [other]}
        try:
            with Relay(("127.0.0.1", MODEL_PORT), address=other, port=443, tls=world.authority.leaf(MODEL).context()):
                for name in names:
                    world.prepare(lab.host(name))
                print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
        finally:
            api.stop()
            world.close()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main(*sys.argv[1:])
