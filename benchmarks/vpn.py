"""The link that `novaops vpn up` made, against OpenVPN configured by hand: same client, server, cipher; by turns in one run.

    .venv/bin/python benchmarks/vpn.py [--rounds 11] [--megabytes 64] [--release bookworm] [--protocol udp]

Prints throughput and latency as ratios; ends with status 1 when one of them misses its target.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import PORT, Row, answering, compared, measured
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.support.links import inside, inside_holds
from tests.support.vpn_server import Certified, VpnServer

KINDS = {"hand": "by hand", "ours": "novaops"}
API = {"hand": "198.18.0.10", "ours": "198.18.0.11"}
"""Two addresses of the same host: one goes through each link."""

NETWORK = "198.18.0.0/24"
DEVICE = {"hand": "tun-hand", "ours": "vpn-ours"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--megabytes", type=int, default=64)
    arguments.add_argument("--release", default="bookworm")
    arguments.add_argument("--protocol", default="udp", choices=("udp", "tcp"))
    given = arguments.parse_args()
    size = given.megabytes * 1_000_000
    rows = (
        Row(f"{given.megabytes} MB down, MB/s", "down", size, 1),
        Row(f"{given.megabytes} MB up, MB/s", "up", size, 1),
        Row("a byte there and back, ms", "echo", 5000, 3),
        Row("a new connection and its first byte, ms", "connect", 200, 2),
    )
    with tempfile.TemporaryDirectory() as folder, laboratory(Path(folder), given.release, given.protocol) as place:
        version = " ".join(place.client.run("openvpn --version | head -n 1").split()[:2])
        print(f"{platform.machine()}, {os.cpu_count()} processors, {version}, {given.protocol}, {given.rounds} rounds, medians")
        print(f"ciphers: {', '.join(f'{kind} {place.cipher(kind)}' for kind in KINDS)}\n")
        fine = compared(rows, given.rounds, lambda kind, row: measured(place.client, (API[kind], PORT), row), KINDS)
    sys.exit(0 if fine else 1)


@dataclass(frozen=True)
class Place:
    """Three hosts: what `client` asks of `api` goes through `server`."""

    client: LabHost
    server: LabHost
    api: LabHost

    def cipher(self, kind: str) -> str:
        unit = {"hand": "openvpn-client@hand", "ours": "openvpn-client@ours"}[kind]
        said = inside(self.client, f"journalctl -b -q -u {unit} -o cat | grep -o \"Data Channel: .*cipher '[A-Z0-9-]*'\" | tail -n 1")
        return said.strip().rpartition(" ")[2].strip("'")


@contextmanager
def laboratory(folder: Path, release: str, protocol: str) -> Iterator[Place]:
    lab = Lab(folder / ".lab")
    try:
        place = Place(**{name: lab.up(name, "container", release) for name in ("client", "server", "api")})
        for address in API.values():
            inside(place.api, f"ip address add {address}/32 dev lo")
        for host in (place.client, place.server):
            inside(host, f"ip route add {NETWORK} via {place.api.address}")
        for host in (place.client, place.server):
            host.run(
                "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends openvpn nftables curl"
            )
        server = VpnServer(place.server, Certified(folder / "authority"), protocol=protocol)
        server.start()
        with answering(place.api):
            by_hand(place, server)
            by_novaops(place, server, folder)
            for kind in KINDS:
                if not wait_until(lambda kind=kind: goes_through(place, kind), 30):  # type: ignore[misc]
                    sys.exit(
                        f"{API[kind]} does not go through {DEVICE[kind]}:\n{inside(place.client, 'ip route; journalctl -n 50 --no-pager')}"
                    )
            yield place
    finally:
        lab.down()


def goes_through(place: Place, kind: str) -> bool:
    where = f"ip route get {API[kind]} | grep -q 'dev {DEVICE[kind]} '"
    return inside_holds(place.client, f"{where} && curl -q -s -m 5 -o /dev/null http://{API[kind]}:{PORT}/")


def by_hand(place: Place, server: VpnServer) -> None:
    """As its manual shows it: a device, a route, and what the server pushes."""
    profile = server.profile("persist-key", "persist-tun", "route-nopull", "verb 3", name="hand").replace(
        "dev tun\n", "dev tun-hand\ndev-type tun\n"
    )
    client = place.client
    client.run("umask 077; cat >/etc/openvpn/client/hand.conf && systemctl start openvpn-client@hand", stdin=profile)
    if not wait_until(lambda: inside_holds(client, f"ip route add {API['hand']}/32 dev {DEVICE['hand']}"), 30):
        sys.exit(client.run("journalctl -n 50 --no-pager"))


def by_novaops(place: Place, server: VpnServer, folder: Path) -> None:
    (folder / "client.ovpn").write_text(server.profile(name="ours"))
    client = place.client
    link = {"name": "ours", "profile": "client.ovpn", "routes": [API["ours"]], "check": f"http://{API['ours']}:{PORT}/"}
    way = {"address": client.address, "port": client.port, "identity": str(client.identity), "known_hosts": str(client.known_hosts)}
    inventory = folder / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {"client": {**way, "user": "root", "vpn": [link]}}}), "utf-8")
    command = [sys.executable, "-m", "novaops", "-i", str(inventory), "vpn", "up", "client"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"novaops vpn up ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
