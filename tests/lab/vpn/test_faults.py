"""What can happen to a VPN: it heals by itself within a minute, its status says why it is down, and nothing but the named route moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.support.links import HEALING_S, Watch, cut_by_reset, inside, inside_holds, kill, moved, power_cycle, say, seconds_until, stalled
from tests.support.things import ending, write_inventory
from tests.support.vpn_server import Certified, VpnServer
from tests.support.vpn_world import outside
from tests.support.world.api import FakeApi
from tests.support.world.world import World

pytestmark = pytest.mark.long

API = "api.openai.com"
DEVICE = "vpn-canada"
OURS = f"{DEVICE}|proto 86"
"""What may come and go: the link's own device, and its routes."""

EVERYTHING = (
    *("redirect-gateway def1 bypass-dhcp", "route 203.0.113.0 255.255.255.0", "route 0.0.0.0 128.0.0.0", "dhcp-option DNS 10.99.0.1"),
    *("dhcp-option DOMAIN lab.test", "block-outside-dns", "redirect-private", "route-metric 1", "ping 60", "ping-restart 600"),
)
"""What a server may push, and nobody asked for."""


@dataclass
class Link:
    client: LabHost
    server: VpnServer
    api: FakeApi
    lab: Lab
    world: World
    novaops: Novaops
    folder: Path

    def inventory(self, **entry: Any) -> Path:
        (self.folder / "client.ovpn").write_text(self.server.profile(host=f"{self.server.host.name}.lab.test"), "utf-8")
        return write_inventory(self.folder, self.client, vpn=[{"name": "canada", "profile": "client.ovpn", "routes": [API], **entry}])

    def up(self, **entry: Any) -> None:
        done = self.novaops("vpn", "up", "--json", inventory=self.inventory(**entry))
        assert done.code == 0, done.text

    def down(self) -> None:
        done = self.novaops("vpn", "down", "--json", inventory=self.folder / "inventory.yaml")
        assert done.code == 0, done.text

    def works(self) -> bool:
        """A real request, which goes by no other way."""
        return inside_holds(self.client, f"curl -q -sS -m 3 -o /dev/null https://{API}/v1/models")

    def broken(self) -> bool:
        return not self.works()

    def status(self) -> dict[str, Any]:
        (link,) = self.novaops("vpn", "status", "--json", inventory=self.folder / "inventory.yaml").host["links"]
        return dict(link)

    def healed(self, fault: str, watch: Watch, deadline_s: float = HEALING_S) -> None:
        say(f"{fault}: healed in {watch.healed(self.works, deadline_s):.1f} s")

    @property
    def askers(self) -> set[str]:
        return {request.client.rpartition(":")[0] or request.client for request in self.api.requests}


@pytest.fixture(scope="module")
def made(
    lab: Lab, novaops: Novaops, _container: LabHost, _newer: LabHost, _world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Link]:
    client, host = lab.reset(_container.name), lab.reset(_newer.name)
    folder = tmp_path_factory.mktemp("link")
    _world.reset()
    with ExitStack() as ends:
        (address,) = ends.enter_context(outside(network_up(lab.directory).bridge, 1))
        api = ends.enter_context(FakeApi(address, 443, _world.leaf))
        _world.names.names[API] = [address]
        for one in (client, host):
            _world.prepare(one)
        server = VpnServer(host, Certified(folder / "authority"), push=EVERYTHING)
        server.start()
        host.run("systemctl -q enable openvpn-server@hand; printf 'net.ipv4.ip_forward=1\\n' >/etc/sysctl.d/60-lab.conf")
        host.run("(echo 'flush ruleset'; nft list ruleset) >/etc/nftables.conf; systemctl -q enable nftables")
        found = Link(client, server, api, lab, _world, novaops, folder)
        found.up()
        yield found


@pytest.fixture
def link(made: Link, world: World) -> Iterator[Link]:
    """It works, before each fault and after it; and nobody has asked the API but through it."""
    world.names.names[API] = [made.api.address]
    made.api.reset()
    seconds_until(made.works)
    yield made
    seconds_until(made.works)
    assert made.askers == {made.server.host.address}, "something went past the link"


def _served(link: Link) -> None:
    """The server, back as it was."""
    link.server.stop(signal="KILL")
    assert wait_until(link.broken, 30)
    link.server.start()


CUTS: Mapping[str, Callable[[Link], object]] = {
    "the client's process killed": lambda link: kill(link.client, "-x", "openvpn"),
    "the client's device deleted": lambda link: inside(link.client, f"ip link delete {DEVICE}"),
    "the client's routes flushed": lambda link: inside(link.client, f"ip route flush dev {DEVICE} proto 86"),
    "the client's network set up anew": lambda link: inside(link.client, "systemctl restart systemd-networkd"),
    "the server killed and back": _served,
    "the server rebooted": lambda link: link.server.host.reboot(),
    "the server's power gone and back": lambda link: power_cycle(link.server.host),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_heals_by_itself(link: Link, cut: str) -> None:
    watch = Watch(link.client, OURS)
    CUTS[cut](link)
    link.healed(cut, watch)


def test_a_link_that_stalls_without_a_word(link: Link) -> None:
    watch = Watch(link.client, OURS)
    inside(link.client, "date +%s >/run/began")
    silent = "journalctl -q -b -u openvpn-client@canada --since=@$(cat /run/began) | grep -q 'Inactivity timeout'"
    with stalled(link.client, link.server.host.address, protocol="udp", port=1194):
        took = seconds_until(lambda: watch.same() and inside_holds(link.client, silent), HEALING_S)
        say(f"stalled: seen after {took:.1f} s")
        assert not link.status()["works"]
    link.healed("stalled, from the end of it on", watch)


def test_a_client_that_moves(link: Link) -> None:
    """The server finds it again by the packets that it sends."""
    with moved(link.client, link.lab):
        link.healed("the client's address changed", Watch(link.client, OURS))
    link.healed("the client's address changed back", Watch(link.client, OURS))


def test_a_client_that_reboots(link: Link) -> None:
    watch = Watch(link.client, OURS)
    link.client.reboot()
    link.healed("the client rebooted", watch)
    power_cycle(link.client)
    link.healed("the client's power gone and back", watch)


def test_a_server_whose_name_is_gone_for_a_while(link: Link) -> None:
    """The profile has its name, and DNS is dead when it has to be looked up."""
    watch = Watch(link.client, OURS)
    link.world.names.stop()
    inside(link.client, "systemctl restart --no-block openvpn-client@canada")
    assert wait_until(lambda: watch.same() and link.broken(), 30)
    assert not wait_until(lambda: watch.same() and link.works(), 30)
    assert "cannot be resolved" in link.status()["last_error"]
    link.world.names.start()
    link.healed("DNS is back", watch)


def test_a_server_whose_certificate_expires(link: Link) -> None:
    watch = Watch(link.client, OURS)
    link.server.server_days = -1
    try:
        link.server.start()
        assert wait_until(lambda: watch.same() and "has expired" in link.status()["last_error"], 60), link.status()
        assert not link.status()["works"]
    finally:
        link.server.server_days = 30
        link.server.start()
    link.healed("the server has a good certificate again", watch)


def test_nothing_else_moves_while_it_comes_and_goes(link: Link) -> None:
    """Looked at all the time, while a server pushes everything there is."""
    link.down()
    watch = Watch(link.client)
    looks = 0
    watch.without = OURS
    command = ("vpn", "up", "--json")
    with ending(link.novaops.start(*command, inventory=link.inventory())) as process:
        while process.poll() is None:
            watch.same()
            looks += 1
        assert process.returncode == 0, process.communicate()
    assert looks > 5
    link.down()
    watch.without = ""
    watch.same()
    link.up()


def test_a_connection_by_tcp_is_reset(link: Link) -> None:
    server = link.server
    server.protocol = "tcp"
    try:
        server.start()
        link.up()
        watch = Watch(link.client, OURS)
        assert cut_by_reset(link.client, server.host.address, 1194)
        link.healed("a TCP link reset", watch)
        with stalled(link.client, server.host.address, protocol="tcp", port=1194):
            assert wait_until(lambda: watch.same() and link.broken(), 10)
            assert not wait_until(lambda: watch.same() and link.works(), 40)
        link.healed("a TCP link stalled, from the end of it on", watch)
    finally:
        server.protocol = "udp"
        server.start()
        link.up()
