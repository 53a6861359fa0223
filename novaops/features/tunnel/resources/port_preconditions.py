"""What a tunnel needs for itself on a host: its ports, and the names that it takes over. Seen to before anything is done."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.tunnel.facts.ends import AuthorizedKeys, Listener, Listeners
from novaops.features.tunnel.paths import unit
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.formats.names import pair
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question

_ANY = {4: frozenset({"0.0.0.0", "*"}), 6: frozenset({"::", "*"})}  # noqa: S104 - read, not bound


def _meets(holder: Listener, address: str, port: int) -> bool:
    """Whether who holds the port keeps others from the address."""
    mine = ipaddress.ip_address(address)
    if holder.port != port:
        return False
    if holder.address in {address, *_ANY[mine.version]}:
        return True
    if not mine.is_unspecified or holder.address == "*":
        return False
    return ipaddress.ip_address(holder.address).version == mine.version


@dataclass(frozen=True)
class PortsFree(Resource):
    """On the client."""

    name: str
    listens: tuple[tuple[str, int], ...]
    """Addresses and ports that its ssh has."""
    fronts: tuple[tuple[str, int], ...] = ()
    """And those of listeners for unchanged clients, which systemd has."""
    hosts: tuple[tuple[str, str], ...] = ()
    """Addresses and names for /etc/hosts."""
    public: tuple[str, ...] = ()
    """Those of the listeners that others than this host reach."""

    @property
    def id(self) -> str:
        return f"ports:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield Listeners()
        if self.hosts:
            yield from HostsEntries(self.name, self.hosts).questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        for holder in facts.known(Listeners()):
            for address, port in self.listens:
                if _meets(holder, address, port) and holder.unit != unit(self.name):
                    raise self._taken(holder, address, port, "choose another port for listen:, or stop that program")
            for address, port in self.fronts:
                # systemd itself holds it before the first client comes; on 127.86.x.y nobody else has it.
                own = holder.address == address and (holder.pid == 1 or holder.unit.startswith(f"novaops-tunnel-{self.name}-"))
                if _meets(holder, address, port) and not own:
                    raise self._taken(
                        holder, address, port, f"have it listen on its own addresses, not on {holder.address}; or leave transparent: out"
                    )
        if self.hosts:
            HostsEntries(self.name, self.hosts).refuse_strangers(facts)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        for place in self.public:
            yield f"{place} is not on loopback: whoever reaches this address of the host comes through the tunnel, with nothing asked"

    def _taken(self, holder: Listener, address: str, port: int, fix: str) -> Refused:
        who = f"{holder.program} (pid {holder.pid}{holder.unit and f', {holder.unit}'})" if holder.program else "another program"
        return Refused(f"{self.name}: {pair(address, port)} is taken by {who}", why="The tunnel could not listen there.", fix=fix)


@dataclass(frozen=True)
class GatewayPortsFree(Resource):
    """On the gateway, of a tunnel the other way round: its sshd listens there."""

    name: str
    comment: str
    listens: tuple[tuple[str, int], ...]
    public: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"ports:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Listeners(), AuthorizedKeys())

    def plan(self, facts: Facts) -> Iterable[Step]:
        is_up = any(line.endswith(f" {self.comment}") for line in facts.known(AuthorizedKeys()).lines)
        for holder in facts.known(Listeners()):
            for address, port in self.listens:
                if _meets(holder, address, port) and not (is_up and holder.program.startswith("sshd")):
                    who = f"{holder.program} (pid {holder.pid})" if holder.program else "another program"
                    forwarded = (
                        f"it forwards that port for somebody who is logged in; to end that: kill {holder.pid}, or choose another port"
                    )
                    raise Refused(
                        f"{self.name}: {pair(address, port)} is taken by {who}",
                        why="sshd could not listen there for the tunnel.",
                        fix=forwarded if holder.program.startswith("sshd") else "choose another port for listen:, or stop that program",
                    )
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        for place in self.public:
            yield f"{place} is not on loopback: whoever reaches this address of the host comes through the tunnel, with nothing asked"
