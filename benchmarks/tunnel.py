"""The tunnel that `novaops tunnel up` made, against a bare `ssh -L` between the same two containers, by turns in one run.

    .venv/bin/python benchmarks/tunnel.py [--rounds 11] [--megabytes 256] [--release bookworm] [--supervisor autossh]

Prints throughput and latency as ratios, near and over a link of 100 ms; ends with status 1 when one of them misses its target.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import PORT, Row, answering, compared, measured
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from novaops.lab.process import wait_until
from tests.support.links import listening
from tests.support.relay import Relay

KINDS = {"hand": "bare `ssh -L`", "ours": "novaops"}
FAR_S = 0.05
"""One way."""

NEAR, FAR = {"hand": 9001, "ours": 9002}, {"hand": 9003, "ours": 9004}
"""Where each tunnel listens on the client."""

UNIT = """\
[Service]
ExecStart=/usr/bin/ssh -N -i /root/hand -o UserKnownHostsFile=/root/hand.known -p {port} -L 127.0.0.1:{listen}:{target} {address}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--megabytes", type=int, default=256)
    arguments.add_argument("--release", default="bookworm")
    arguments.add_argument("--supervisor", default="autossh", choices=("autossh", "systemd"))
    given = arguments.parse_args()
    size = given.megabytes * 1_000_000
    near = (
        Row(f"{given.megabytes} MB down, MB/s", "down", size),
        Row(f"{given.megabytes} MB up, MB/s", "up", size),
        Row("a byte there and back, ms", "echo", 5000, 3),
        Row("a new connection and its first byte, ms", "connect", 200, 2),
    )
    far = (
        Row(f"{given.megabytes // 8} MB down, 100 ms, MB/s", "down", size // 8, 1),
        Row(f"{given.megabytes // 8} MB up, 100 ms, MB/s", "up", size // 8, 1),
        Row("a byte there and back, 100 ms, ms", "echo", 10, 1),
    )
    with tempfile.TemporaryDirectory() as folder, laboratory(Path(folder), given.release, given.supervisor) as place:
        version = place.client.run("ssh -V 2>&1").strip().partition(",")[0]
        print(f"{platform.machine()}, {os.cpu_count()} processors, {version}, {given.supervisor}, {given.rounds} rounds, medians\n")
        fine = compared(near, given.rounds, lambda kind, row: measured(place.client, ("127.0.0.1", NEAR[kind]), row), KINDS)
        print()
        far_rounds = max(5, given.rounds // 2)
        fine &= compared(far, far_rounds, lambda kind, row: measured(place.client, ("127.0.0.1", FAR[kind]), row), KINDS)
    sys.exit(0 if fine else 1)


@dataclass(frozen=True)
class Place:
    """Three hosts: what `client` asks goes through `gateway` to `api`."""

    client: LabHost
    gateway: LabHost
    api: LabHost


@contextmanager
def laboratory(folder: Path, release: str, supervisor: str) -> Iterator[Place]:
    lab = Lab(folder / ".lab")
    try:
        place = Place(**{name: lab.up(name, "container", release) for name in ("client", "gateway", "api")})
        bridge = network_up(lab.directory).gateway.partition("/")[0]
        with ExitStack() as ends:
            relay = Relay((place.gateway.address, place.gateway.port), FAR_S)
            relay.address = bridge
            ends.enter_context(relay)
            ends.enter_context(answering(place.api))
            by_hand(place, (bridge, relay.port))
            by_novaops(place, folder, (bridge, relay.port), supervisor)
            for port in (*NEAR.values(), *FAR.values()):
                if not wait_until(lambda port=port: bool(listening(place.client, port)), 60):  # type: ignore[misc]
                    sys.exit(f"nothing listens on {port}:\n{place.client.run('journalctl -n 50 --no-pager')}")
            yield place
    finally:
        lab.down()


def by_hand(place: Place, far: tuple[str, int]) -> None:
    """As somebody would who knows that one word: a key that opens root, and -L."""
    client, gateway = place.client, place.gateway
    install = "command -v ssh >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends openssh-client"
    client.run(f"apt-get update -q && {{ {install}; }} && ssh-keygen -q -t ed25519 -N '' -f /root/hand")
    gateway.run("cat >>/root/.ssh/authorized_keys", stdin=client.run("cat /root/hand.pub"))
    key = gateway.host_key.rsplit(" ", 1)[0]
    known = [f"{gateway.address} {key}", f"[{far[0]}]:{far[1]} {key}"]
    client.run("cat >/root/hand.known", stdin="".join(f"{line}\n" for line in known))
    for name, listen, (address, port) in (("near", NEAR["hand"], (gateway.address, 22)), ("far", FAR["hand"], far)):
        unit = UNIT.format(port=port, listen=listen, target=f"{place.api.address}:{PORT}", address=address)
        client.run(f"cat >/etc/systemd/system/hand-{name}.service && systemctl start hand-{name}", stdin=unit)


def by_novaops(place: Place, folder: Path, far: tuple[str, int], supervisor: str) -> None:
    """Two tunnels of one inventory, with its usual checks going on beside."""
    ways = ("near", NEAR["ours"], ""), ("far", FAR["ours"], f"{far[0]}:{far[1]}")
    entries = []
    to = f"{place.api.address}:{PORT}"
    for name, listen, address in ways:
        entry = {"name": name, "via": "gateway", "to": to, "listen": listen, "check": "tcp", "supervisor": supervisor}
        entries.append({**entry, "via_address": address} if address else entry)
    hosts: dict[str, dict[str, object]] = {}
    for host in (place.client, place.gateway):
        way = {"address": host.address, "port": host.port, "identity": str(host.identity), "known_hosts": str(host.known_hosts)}
        hosts[host.name] = {**way, "user": "root"}
    hosts["client"]["tunnel"] = entries
    inventory = folder / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": hosts}), "utf-8")
    command = [sys.executable, "-m", "novaops", "-i", str(inventory), "tunnel", "up", "client"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"novaops tunnel up ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
