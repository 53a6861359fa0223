"""All three ways to an API at once, over three hosts: a client, a gateway, and the API, which the client cannot reach by itself.

Both ends are rebooted, and the links are cut at random; nobody lends a hand, and each way is back within a minute.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.support.links import (
    HEALING_S,
    Watch,
    cut_by_reset,
    far_address,
    in_network,
    inside,
    inside_holds,
    kill,
    kill_sessions,
    move_thread_to,
    moved,
    power_cycle,
    say,
    seconds_until,
    sshd_stopped,
    stalled,
)
from tests.support.world.api import KEY, FakeApi
from tests.support.world.world import World

pytestmark = pytest.mark.minutes

CUTS_IN_CI, CUTS = 3, 20
"""How many links are cut at random, one after the other."""

API = "api.openai.com"
GATE = "gate.lab.test"
TUNNEL_USER = "novaops-tunnel"
CERTIFICATE = "/etc/ssl/gate"
STALL_S = 45

WAYS = {
    "proxy": f"https://{GATE}/v1/models",
    "tunnel": f"--connect-to {API}:443:127.0.0.1:8443 https://{API}/v1/models",
    "vpn": f"--interface vpn-canada https://{API}/v1/models",
}
"""Each way, as curl goes it."""

ALONE = """\
table ip lab_alone
delete table ip lab_alone
table ip lab_alone {{
    chain outgoing {{
        type filter hook output priority 0
        oifname "host0" ip daddr {api} counter reject
    }}
}}
"""
"""What the client's country does to its packets for the API."""

OURS = "vpn-canada|proto 86"
"""What may come and go on the client: the VPN's own device and routes."""


@dataclass
class Ways:
    client: LabHost
    gateway: LabHost
    third: LabHost
    api: str
    """The API's address."""
    lab: Lab
    world: World
    novaops: Novaops
    folder: Path

    def call(self, *words: str) -> Done:
        done = self.novaops(*words, inventory=self.folder / "inventory.yaml", env={"KEY": KEY})
        assert done.code == 0, done.text
        return done

    def write_inventory(self, *, linked: bool) -> None:
        """`linked`: with the profile that the gateway has made for the client."""
        auth = {"passthrough": True, "from": [self.subnet]}
        files = {"tls": "files", "certificate": f"{CERTIFICATE}.pem", "key": f"{CERTIFICATE}.key"}
        site = {"name": "openai", "provider": "openai", "domain": GATE, "auth": auth, **files}
        sections: dict[str, dict[str, Any]] = {
            self.client.name: {"tunnel": [{"name": "openai", "via": self.gateway.name, "to": f"{API}:443", "listen": 8443}]},
            self.gateway.name: {"proxy": [site], "vpn": [{"name": "canada", "serve": True}]},
        }
        if linked:
            sections[self.client.name]["vpn"] = [{"name": "canada", "profile": "client.ovpn", "routes": [API]}]
        hosts = {}
        for host in (self.client, self.gateway):
            way = {"address": host.address, "port": host.port, "identity": str(host.identity), "known_hosts": str(host.known_hosts)}
            hosts[host.name] = {"user": "root", **way, **sections[host.name]}
        (self.folder / "inventory.yaml").write_text(json.dumps({"hosts": hosts}), "utf-8")

    @property
    def subnet(self) -> str:
        return self.world.address.rpartition(".")[0] + ".0/24"

    def works(self, way: str) -> bool:
        """A real request, with the API's key."""
        return inside_holds(self.client, f"curl -q -sS -f -m 4 -o /dev/null -H 'Authorization: Bearer {KEY}' {WAYS[way]}")

    def work(self) -> bool:
        return all(self.works(way) for way in WAYS)

    def alone(self) -> None:
        """Shut the client off from the API; a reboot takes that away."""
        in_network(self.client, "nft", "-f", "-", stdin=ALONE.format(api=self.api))

    def is_alone(self) -> bool:
        """Whether it does not reach the API past the VPN."""
        return not inside_holds(self.client, f"curl -q -s -m 4 -o /dev/null --interface host0 https://{API}/")

    def healed(self, fault: str, watch: Watch) -> None:
        """Wait until all ways work, and say how long each of them took. Nothing but the VPN's own may have moved meanwhile."""
        began, took = time.monotonic(), dict[str, float]()

        def all_of_them() -> bool:
            with ThreadPoolExecutor() as pool:
                missing = [way for way in WAYS if way not in took]
                for way, works in zip(missing, pool.map(self.works, missing), strict=True):
                    if works:
                        took[way] = time.monotonic() - began
            return len(took) == len(WAYS)

        try:
            watch.healed(all_of_them, HEALING_S)
        except AssertionError as error:
            raise AssertionError(f"{fault}: only {took} in time: {error}\n{self.trouble()}") from error
        say(f"{fault}: {', '.join(f'{way} {took[way]:.1f} s' for way in WAYS)}")

    def trouble(self) -> str:
        look = "journalctl -b -q -n 40 -o short -u 'novaops-*' -u 'openvpn*'; ip route; systemctl --failed --no-pager"
        return "\n".join(f"{host.name}:\n{inside(host, look)}" for host in (self.client, self.gateway))

    def check(self) -> dict[str, Any]:
        """Every route of the client's, as `api check` tells it, by its kind."""
        (api,) = self.call("api", "check", self.client.name, "--key", "env:KEY", "--json").host["apis"]
        return {route["kind"]: route for route in api["routes"]}


class ApiOn(FakeApi):
    """The API, in the network of a host of its own."""

    def __init__(self, host: LabHost, address: str, world: World) -> None:
        super().__init__(address, 443, world.leaf)
        self.host = host

    async def _listen(self) -> None:
        move_thread_to(self.host)
        await super()._listen()


@contextmanager
def three_ways(hosts: tuple[LabHost, LabHost, LabHost], lab: Lab, world: World, novaops: Novaops, folder: Path) -> Iterator[Ways]:
    """Set up from nothing, as a person would: one run, a profile for the client, and a second one."""
    client, gateway, third = hosts
    with far_address(lab, third) as address, ApiOn(third, address, world):
        world.api.stop()
        world.names.names.update({API: [address], GATE: [gateway.address]})
        found = Ways(client, gateway, third, address, lab, world, novaops, folder)
        leaf = world.authority.leaf(GATE)
        with ThreadPoolExecutor() as pool:
            list(pool.map(world.prepare, (client, gateway)))
        gateway.run(f"cat >{CERTIFICATE}.pem", stdin=leaf.certificate.read_text())
        gateway.run(f"umask 077; cat >{CERTIFICATE}.key", stdin=leaf.key.read_text())
        found.alone()
        found.write_inventory(linked=False)
        found.call("apply")
        found.call("vpn", "client", "add", gateway.name, "box", "--server", "canada", "--out", str(folder / "client.ovpn"))
        found.write_inventory(linked=True)
        found.call("apply", client.name)
        yield found


@pytest.fixture
def ways(container: LabHost, newer: LabHost, third: LabHost, lab: Lab, world: World, novaops: Novaops, tmp_path: Path) -> Iterator[Ways]:
    with three_ways((container, newer, third), lab, world, novaops, tmp_path) as found:
        yield found


Cut = Callable[[Ways, random.Random], object]

QUICK: Mapping[str, Cut] = {
    "the tunnel's connection reset": lambda ways, _: cut_by_reset(ways.client, ways.gateway.address, 22),
    "the tunnel's ssh killed": lambda ways, _: kill(ways.client, "-u", TUNNEL_USER, "-x", "ssh"),
    "the tunnel's autossh killed": lambda ways, _: kill(ways.client, "-u", TUNNEL_USER, "-x", "autossh"),
    "the gateway's end of the tunnel killed": lambda ways, _: kill_sessions(ways.gateway, TUNNEL_USER),
    "the connection to the proxy reset": lambda ways, _: cut_by_reset(ways.client, ways.gateway.address, 443),
    "the VPN's client killed": lambda ways, _: kill(ways.client, "-x", "openvpn"),
}
"""Cuts that are over in a moment, and seen at once."""


def _stalled(ways: Ways, chance: random.Random) -> None:
    with stalled(ways.client, ways.gateway.address):
        _pass(ways, chance.uniform(5, STALL_S))


def _stopped(ways: Ways, chance: random.Random) -> None:
    with sshd_stopped(ways.gateway, TUNNEL_USER):
        _pass(ways, chance.uniform(5, STALL_S))


def _moved(ways: Ways, chance: random.Random) -> None:
    del chance
    with moved(ways.client, ways.lab):
        ways.healed("the client has another address", Watch(ways.client, OURS))


def _nameless(ways: Ways, chance: random.Random) -> None:
    ways.world.names.stop()
    try:
        _pass(ways, chance.uniform(5, STALL_S))
    finally:
        ways.world.names.start()


def _rebooted(ways: Ways, chance: random.Random) -> None:
    del chance
    ways.client.reboot()
    ways.alone()


def _pass(ways: Ways, seconds: float) -> None:
    """Let the fault last, and look meanwhile that nothing else moves."""
    watch, end = Watch(ways.client, OURS), time.monotonic() + seconds
    while time.monotonic() < end:
        watch.same()
        ways.works("vpn")


SLOW: Mapping[str, Cut] = {
    "the VPN's server killed": lambda ways, _: kill(ways.gateway, "-x", "openvpn"),
    "the link stalled": _stalled,
    "the gateway's sshd stopped": _stopped,
    "the client moved": _moved,
    "DNS dead": _nameless,
    "the gateway rebooted": lambda ways, _: ways.gateway.reboot(),
    "the gateway's power gone and back": lambda ways, _: power_cycle(ways.gateway),
    "the client rebooted": _rebooted,
}


def cut_at_random(ways: Ways, kinds: Mapping[str, Cut], number: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    say(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311  # chance, not a secret
    for _ in range(number):
        fault = chance.choice(list(kinds))
        watch = Watch(ways.client, OURS)
        kinds[fault](ways, chance)
        ways.healed(f"{fault} (seed {seed})", watch)


def rebooted(ways: Ways) -> None:
    """Both ends at once."""
    watch = Watch(ways.client, OURS)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: host.reboot(), (ways.client, ways.gateway)))
    ways.alone()
    ways.healed("both ends rebooted", watch)


def shown(ways: Ways) -> None:
    """Each way works, for a client that does not reach the API otherwise, and `api check` says so."""
    assert ways.is_alone()
    assert ways.work()
    routes = ways.check()
    assert {kind for kind in WAYS if routes[kind]["works"]} == set(WAYS), routes


def test_three_ways_survive_reboots_and_cuts(ways: Ways) -> None:
    """The short form: cuts that are seen at once."""
    seconds_until(ways.work)
    shown(ways)
    rebooted(ways)
    cut_at_random(ways, QUICK, CUTS_IN_CI)
    assert ways.is_alone()


@pytest.mark.long
def test_three_ways_survive_twenty_cuts_of_every_kind(ways: Ways) -> None:
    seconds_until(ways.work)
    shown(ways)
    rebooted(ways)
    cut_at_random(ways, {**QUICK, **SLOW}, CUTS)
    shown(ways)
    assert {host["status"] for host in ways.call("apply", "--check", "--json").json["hosts"]} == {"unchanged"}
