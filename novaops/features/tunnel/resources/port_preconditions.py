"""What must be free on a host before a tunnel is made: its ports, and the names that it takes over. They only check: there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.listening import Listener, Listening
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.paths import USER, unit
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.formats.names import pair
from novaops.model.plan import ListensAt, Resource, Step
from novaops.model.question import Facts, Question

_ANOTHER_PORT = "choose another port for listen:, or stop that program"


@dataclass(frozen=True)
class PortsFree(Resource):
    """On the client."""

    name: str
    listeners: tuple[tuple[str, int], ...]
    """Addresses and ports that its ssh listens on."""
    aliases: tuple[tuple[str, int], ...] = ()
    """Those that systemd listens on for the names it takes over."""
    hosts: tuple[tuple[str, str], ...] = ()
    """Addresses and names for /etc/hosts."""
    public: tuple[str, ...] = ()
    """The listeners that other hosts reach."""

    @property
    def id(self) -> str:
        return f"ports:{self.name}"

    def listens_at(self) -> Iterator[ListensAt]:
        for address, port in (*self.listeners, *self.aliases):
            yield ListensAt(f"the tunnel {self.name}", port, address)

    def questions(self) -> Iterable[Question[Any]]:
        yield Listening()
        if self.hosts:
            yield from HostsEntries(self.name, self.hosts).questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        for listener in facts.known(Listening()):
            for address, port in self.listeners:
                if listener.blocks(address, port) and listener.unit != unit(self.name):
                    raise _taken(self.name, listener, address, port, "The tunnel could not listen there.", _ANOTHER_PORT)
            for address, port in self.aliases:
                # systemd itself listens before the first client comes; on 127.86.x.y nobody else does.
                own = listener.address == address and (listener.pid == 1 or listener.unit.startswith(f"novaops-tunnel-{self.name}-"))
                if listener.blocks(address, port) and not own:
                    fix = f"have it listen on its own addresses, not on {listener.address}; or leave transparent: out"
                    raise _taken(self.name, listener, address, port, "The tunnel could not listen there.", fix)
        if self.hosts:
            HostsEntries(self.name, self.hosts).refuse_foreign_lines(facts)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        return _public_notes(self.public)


@dataclass(frozen=True)
class GatewayPortsFree(Resource):
    """On the gateway of a reverse tunnel: its sshd listens there."""

    name: str
    comment: str
    listeners: tuple[tuple[str, int], ...]
    public: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"ports:{self.name}"

    def listens_at(self) -> Iterator[ListensAt]:
        for address, port in self.listeners:
            yield ListensAt(f"the reverse tunnel {self.comment.removeprefix('novaops:')}", port, address)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Listening(), AuthorizedKeys())

    def plan(self, facts: Facts) -> Iterable[Step]:
        has_key = any(line.endswith(f" {self.comment}") for line in facts.known(AuthorizedKeys()).lines)
        for listener in facts.known(Listening()):
            is_sshd = listener.program.startswith("sshd")  # or is called that: whose it is counts
            own = has_key and listener.user == USER
            for address, port in self.listeners:
                if listener.blocks(address, port) and not own:
                    end_it = (
                        f"it forwards that port for somebody who is logged in; to end that: kill {listener.pid}, or choose another port"
                    )
                    why = "sshd could not listen there for the tunnel."
                    raise _taken(self.name, listener, address, port, why, end_it if is_sshd else _ANOTHER_PORT)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        return _public_notes(self.public)


def _taken(name: str, listener: Listener, address: str, port: int, why: str, fix: str) -> Refused:
    process = f"pid {listener.pid}{listener.unit and f', {listener.unit}'}"
    who = f"{listener.program} ({process})" if listener.program else "another program"
    return Refused(f"{name}: {pair(address, port)} is taken by {who}", why=why, fix=fix)


def _public_notes(listeners: tuple[str, ...]) -> Iterator[str]:
    for listener in listeners:
        yield f"{listener} is not on loopback: whoever reaches this address of the host can use the tunnel, without a login"
