"""A gateway as the tunnels of one client need it: their user, their keys, and an sshd that forwards for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from novaops.engine.desired import HostView
from novaops.engine.inventory import Host
from novaops.features.tunnel.client import TunnelClient, clients, gateway_of
from novaops.features.tunnel.facts.ends import TunnelKey
from novaops.features.tunnel.gateway_sessions import SessionsRemoved, sessions
from novaops.features.tunnel.paths import USER, key_comment
from novaops.features.tunnel.resources.account import TunnelUser, TunnelUserRemoved
from novaops.features.tunnel.resources.authorized_key import AuthorizedKey
from novaops.features.tunnel.resources.gateway_sshd import GatewaySshd, GatewaySshdRemoved
from novaops.features.tunnel.resources.port_preconditions import GatewayPortsFree
from novaops.features.tunnel.settings import Tunnel
from novaops.formats import names
from novaops.model.plan import Resource
from novaops.resources.after_peer import AfterPeer


@dataclass(frozen=True)
class TunnelGateway:
    name: str
    host: HostView
    """The client, as a playbook sees it."""
    present: Sequence[TunnelClient]
    absent: Sequence[str]
    """Names of tunnels of the same client that are to be taken away."""
    hosts: frozenset[str] = frozenset()
    """The names of the inventory's hosts."""

    def resources(self) -> Iterator[Resource]:
        for name in self.absent:  # first: another one may come to have their ports
            yield AuthorizedKey(self.host.name, name, key_comment(self.host.name, name), None)
        for client in self.present:
            if client.entry.reverse:
                yield GatewayPortsFree(client.name, client.comment, client.listeners, client.public_listeners)
            else:
                yield client.targets_reached()
        if self.present:
            yield self._after_key(TunnelUser())
        for client in self.present:
            yield AuthorizedKey(self.host.name, client.name, client.comment, client.key_options, self.hosts)
        listens = any(client.entry.reverse for client in self.present)
        if listens:
            yield from map(self._after_key, sessions(self.host.templates))
        else:
            yield SessionsRemoved()
        if self.present:
            yield self._after_key(self._sshd())
        else:
            yield from (GatewaySshdRemoved(), TunnelUserRemoved(ends_here=True))

    def _after_key(self, resource: Resource) -> Resource:
        """Nothing is changed here before the client has made its first key."""
        return AfterPeer(resource, self.host.name, TunnelKey(self.present[0].name), f"{self.host.name}'s key")

    def _sshd(self) -> Resource:
        listening = [forward for client in self.present for forward in client.forwards if forward.reverse]
        ports = "no" if all(forward.is_plain for forward in listening) else "clientspecified"
        text = self.host.templates.render("tunnel/sshd.j2", user=USER, gateway_ports=ports)
        needs = "remote" if all(client.entry.reverse for client in self.present) else "local"
        return GatewaySshd(text, self._client_address, needs, bool(listening))

    @property
    def _client_address(self) -> str:
        """Where the client comes from; "" where the inventory has a name, or a loopback address."""
        address = str(self.host.address)
        return address if names.is_address(address) and not ipaddress.ip_address(address).is_loopback else ""


def gateways(host: HostView, settings: Sequence[Tunnel], peers: Mapping[str, Host]) -> list[TunnelGateway]:
    """The gateways of the tunnels of `host`, each once. Raises UsageError for one that does not fit."""
    all_clients = clients(host, settings, peers)
    gateway_names = {entry.name: gateway_of(host, entry, peers).name for entry in settings if entry.via}
    found = []
    for name in dict.fromkeys(gateway_names.values()):
        present = [client for client in all_clients if client.gateway == name]
        absent = [entry.name for entry in settings if entry.state == "absent" and gateway_names.get(entry.name) == name]
        found.append(TunnelGateway(name, host, present, absent, frozenset(peers)))
    return found
