"""What can happen to a tunnel: it heals by itself within a minute, its status says why it does not work, and nothing else moves.

Both supervisors have a tunnel of their own between the same hosts, and meet the same faults at the same time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.support.links import (
    HEALING_S,
    Watch,
    another_address,
    another_host_key,
    changed,
    cut_by_reset,
    established,
    inside,
    inside_holds,
    kill,
    kill_sessions,
    moved,
    port_taken,
    power_cycle,
    refused,
    say,
    seconds_until,
    sshd_stopped,
    stalled,
)
from tests.support.world.api import FakeApi
from tests.support.world.world import World

pytestmark = pytest.mark.long

USER = "novaops-tunnel"
FOLDER = "/etc/novaops/tunnel"
AUTHORIZED = f"/var/lib/{USER}/.ssh/authorized_keys"
PORTS = {"auto": 8443, "plain": 8444}
"""Where each tunnel listens, by its name."""

ALLOWED = "api.openai.com:443"
SEEN_S = 45
"""In this time ssh finds out that nobody answers: three messages, ten seconds apart."""


@dataclass(frozen=True)
class Tunnels:
    client: LabHost
    gateway: LabHost
    lab: Lab
    world: World
    novaops: Novaops
    inventory: Path

    def works(self, name: str) -> bool:
        """A real request, with TLS checked, through the tunnel."""
        there = f"--connect-to api.openai.com:443:127.0.0.1:{PORTS[name]}"
        return inside_holds(self.client, f"curl -q -sS -m 3 -o /dev/null {there} https://api.openai.com/v1/models")

    def work(self) -> bool:
        return all(self.works(name) for name in PORTS)

    def broken(self) -> bool:
        return not any(self.works(name) for name in PORTS)

    def healed(self, fault: str, watch: Watch | None = None, deadline_s: float = HEALING_S) -> None:
        """Wait until both work, and say how long it took each of them. Nothing else may have moved meanwhile."""
        began, took = time.monotonic(), dict[str, float]()

        def both() -> bool:
            took.update({name: time.monotonic() - began for name in PORTS if name not in took and self.works(name)})
            return len(took) == len(PORTS)

        (watch or Watch(self.client)).healed(both, deadline_s)
        say(f"{fault}: healed in {', '.join(f'{name} {took[name]:.1f} s' for name in PORTS)}")

    def status(self) -> dict[str, Any]:
        """Each tunnel as `tunnel status` tells it."""
        done = self.novaops("tunnel", "status", "--json", inventory=self.inventory)
        return {tunnel["tunnel"]: tunnel for tunnel in done.host["tunnels"]}

    def why(self) -> dict[str, str]:
        return {name: tunnel["forwards"][0]["why"] for name, tunnel in self.status().items()}

    def says(self, words: str, deadline_s: float = 30) -> None:
        """The status says this of both, soon."""
        seen: dict[str, str] = {}

        def both() -> bool:
            nonlocal seen
            seen = self.why()
            return all(words in why for why in seen.values())

        assert wait_until(both, deadline_s), seen

    def journal(self, name: str, words: str) -> bool:
        return inside_holds(self.client, f"journalctl -b -q -u novaops-tunnel-{name} --since=@$(cat /run/began) | grep -q '{words}'")

    def cut(self) -> None:
        """End the connections, as a router does that lost its table."""
        assert cut_by_reset(self.client, self.gateway.address, 22) == len(PORTS)


@pytest.fixture(scope="module")
def made(
    lab: Lab, novaops: Novaops, _container: LabHost, _newer: LabHost, _world: World, tmp_path_factory: pytest.TempPathFactory
) -> Tunnels:
    client, gateway = lab.reset(_container.name), lab.reset(_newer.name)
    _world.reset()
    for host in (client, gateway):
        _world.prepare(host)
    supervisors = {"auto": "autossh", "plain": "systemd"}
    entries = [
        {"name": name, "via": gateway.name, "to": ALLOWED, "listen": port, "supervisor": supervisors[name]} for name, port in PORTS.items()
    ]
    hosts: dict[str, dict[str, Any]] = {
        host.name: {
            "address": host.address,
            "port": host.port,
            "user": "root",
            "identity": str(host.identity),
            "known_hosts": str(host.known_hosts),
        }
        for host in (client, gateway)
    }
    hosts[client.name]["tunnel"] = entries
    inventory = tmp_path_factory.mktemp("tunnels") / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": hosts}), "utf-8")
    found = Tunnels(client, gateway, lab, _world, novaops, inventory)
    done = novaops("tunnel", "up", client.name, inventory=inventory)
    assert done.code == 0, done.text
    return found


@pytest.fixture
def tunnels(made: Tunnels, world: World) -> Iterator[Tunnels]:
    """Both work, before each fault and after it, and novaops finds nothing to do."""
    del world
    seconds_until(made.work)
    inside(made.client, "date +%s >/run/began")
    yield made
    seconds_until(made.work)
    done = made.novaops("tunnel", "up", made.client.name, "--check", "--json", inventory=made.inventory)
    assert {host["status"] for host in done.json["hosts"]} == {"unchanged"}, done.text


CUTS: Mapping[str, Callable[[Tunnels], object]] = {
    "reset": lambda tunnels: tunnels.cut(),
    "ssh killed": lambda tunnels: kill(tunnels.client, "-u", USER, "-x", "ssh"),
    "autossh killed": lambda tunnels: (kill(tunnels.client, "-u", USER, "-x", "autossh"), kill(tunnels.client, "-u", USER, "-x", "ssh")),
    "ssh stands still": lambda tunnels: inside(tunnels.client, f"pkill -STOP -u {USER} -x ssh"),
    "gateway's session killed": lambda tunnels: kill_sessions(tunnels.gateway, USER),
    "gateway rebooted": lambda tunnels: tunnels.gateway.reboot(),
    "gateway's power gone and back": lambda tunnels: power_cycle(tunnels.gateway),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_heals_by_itself(tunnels: Tunnels, cut: str) -> None:
    watch = Watch(tunnels.client)
    CUTS[cut](tunnels)
    tunnels.healed(cut, watch)


@pytest.mark.parametrize("seconds", [20, 300])
def test_a_gateway_without_sshd(tunnels: Tunnels, seconds: float) -> None:
    watch = Watch(tunnels.client)
    with sshd_stopped(tunnels.gateway, USER):
        assert wait_until(tunnels.broken, 10)
        tunnels.says("Connection refused")
        assert not wait_until(lambda: not watch.same(), seconds)
    tunnels.healed(f"sshd stopped for {seconds} s", watch)


def test_a_link_that_stalls_without_a_word(tunnels: Tunnels) -> None:
    """Either ssh finds out, or the request that is sent through again and again."""
    watch = Watch(tunnels.client)
    before = _processes(tunnels)
    with stalled(tunnels.client, tunnels.gateway.address):
        took = seconds_until(lambda: watch.same() and not before & _processes(tunnels), SEEN_S)
        say(f"stalled: both had seen it after {took:.1f} s")
        assert tunnels.broken()
        assert not any(tunnel["forwards"][0]["up"] for tunnel in tunnels.status().values())
    tunnels.healed("stalled, from the end of it on", watch)


def test_a_client_that_moves(tunnels: Tunnels) -> None:
    """Another address, as DHCP gives it. The gateway is asked from there, with the same key."""
    with moved(tunnels.client, tunnels.lab):
        tunnels.healed("the client's address changed")
        assert all(established(tunnels.client, tunnels.gateway.address, 22) for _ in PORTS)
    tunnels.healed("the client's address changed back")


def test_a_port_that_somebody_takes(tunnels: Tunnels) -> None:
    watch = Watch(tunnels.client)
    inside(tunnels.client, "systemctl stop novaops-tunnel-auto novaops-tunnel-plain")
    with port_taken(tunnels.client, PORTS["auto"]), port_taken(tunnels.client, PORTS["plain"]):
        inside(tunnels.client, "systemctl start novaops-tunnel-auto novaops-tunnel-plain")
        for name in PORTS:
            assert wait_until(lambda name=name: tunnels.journal(name, "Address already in use"), 15)  # type: ignore[misc]
            assert "is taken by" in tunnels.why()[name]
    tunnels.healed("the port is free again", watch)


ELSEWHERE = r"""sed 's/permitopen="[^"]*"/permitopen="other.lab.test:443"/' "$1.lab" >"$1" """

REFUSALS: Mapping[str, tuple[Callable[[Tunnels], AbstractContextManager[None]], str]] = {
    "key removed": (lambda tunnels: changed(tunnels.gateway, AUTHORIZED, ': >"$1"'), "does not let the tunnel's key in"),
    "forward refused": (lambda tunnels: changed(tunnels.gateway, AUTHORIZED, ELSEWHERE), "refuses to forward"),
    "host key changed": (lambda tunnels: another_host_key(tunnels.gateway), "shows another host key"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_gateway_that_does_not_want_it(tunnels: Tunnels, refusal: str) -> None:
    """Nothing comes through, the status says why, and it comes back by itself when the gateway is as it was."""
    fault, words = REFUSALS[refusal]
    watch = Watch(tunnels.client)
    with fault(tunnels):
        began = inside(tunnels.gateway, "date +%s").strip()
        kill_sessions(tunnels.gateway, USER)
        assert wait_until(tunnels.broken, 10)
        tunnels.says(words)
        assert not wait_until(lambda: not tunnels.broken() or not watch.same(), 20)
        if refusal == "host key changed":
            # Each try is a connection for a moment, until ssh has seen the key. None may go on to log in.
            accepted = f"journalctl -q -b -t sshd -t sshd-session --since=@{began} | grep -q 'Accepted publickey for {USER}'"
            assert not inside_holds(tunnels.gateway, accepted)
    tunnels.healed(f"{refusal}, from its end on", watch)


def test_an_api_that_moves(tunnels: Tunnels) -> None:
    """Its name has another address: the gateway looks it up for each connection, and nothing is made anew."""
    watch = Watch(tunnels.client)
    before = _processes(tunnels)
    with another_address(tunnels.lab) as address, FakeApi(address, 443, tunnels.world.leaf) as elsewhere:
        tunnels.world.names.names["api.openai.com"] = [address]
        tunnels.world.api.stop()
        tunnels.healed("the API's address changed", watch)
        assert elsewhere.requests
        assert {request.client.rpartition(":")[0] or request.client for request in elsewhere.requests} == {tunnels.gateway.address}
    tunnels.world.reset()
    tunnels.healed("the API's address changed back", watch)
    assert _processes(tunnels) == before


def test_an_api_that_is_gone(tunnels: Tunnels) -> None:
    watch = Watch(tunnels.client)
    tunnels.world.api.stop()
    assert wait_until(tunnels.broken, 10)
    tunnels.says("does not reach api.openai.com:443")
    tunnels.world.api.start()
    tunnels.healed("the API is back", watch)


def test_dns_that_is_dead(tunnels: Tunnels) -> None:
    """Nobody can look the API up; the link itself stands, and every request comes through as soon as names are back."""
    watch = Watch(tunnels.client)
    tunnels.world.names.stop()
    assert wait_until(tunnels.broken, 20)
    assert not wait_until(lambda: not watch.same(), HEALING_S)
    tunnels.says("does not reach api.openai.com:443", 60)
    tunnels.world.names.start()
    tunnels.healed("DNS is back after a minute", watch)


def test_a_client_that_reboots(tunnels: Tunnels) -> None:
    """And one whose power goes: the tunnel is there before anybody has logged in."""
    before = Watch(tunnels.client)
    tunnels.client.reboot()
    tunnels.healed("the client rebooted", before)
    power_cycle(tunnels.client)
    tunnels.healed("the client's power gone and back", before)
    inside(tunnels.client, "date +%s >/run/began")


def test_a_firewall_that_refuses(tunnels: Tunnels) -> None:
    watch = Watch(tunnels.client)
    with refused(tunnels.gateway, tunnels.client.address, 22):
        tunnels.cut()
        tunnels.says("Connection refused")
    tunnels.healed("the gateway's firewall lets it in again", watch)


def _processes(tunnels: Tunnels) -> set[str]:
    """The ssh processes of the tunnels."""
    return set(inside(tunnels.client, f"pgrep -u {USER} -x ssh || true").split())
