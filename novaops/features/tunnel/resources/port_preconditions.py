"""What must be free on a host before a tunnel is made: its ports, and the names that it takes over. They only check: there is nothing to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.listening import Listener, Listening, stop_for_good
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.paths import USER, unit
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.formats.names import pair
from novaops.model.plan import ListensAt, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote


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
                    fix = _down(listener.unit) or _another_port(listener)
                    raise _taken(self.name, listener, address, port, "The tunnel could not listen there.", fix)
            for address, port in self.aliases:
                # systemd itself listens before the first client comes; on 127.86.x.y nobody else does.
                own = listener.address == address and (listener.pid == 1 or listener.unit.startswith(f"novaops-tunnel-{self.name}-"))
                if listener.blocks(address, port) and not own:
                    fix = f"have it listen on its own addresses, not on {listener.address}; or leave transparent: out"
                    raise _taken(self.name, listener, address, port, "The tunnel could not listen there.", fix)
        if self.hosts:
            HostsEntries(self.name, self.hosts).refuse_foreign_lines(facts)
        return ()

    def predict(self, facts: Facts) -> Facts:
        """It leaves the ports that it had before, which the next one may come to have."""
        left = (one for one in facts.known(Listening()) if one.unit != unit(self.name) or (one.address, one.port) in self.listeners)
        return facts.but(Listening(), tuple(left))

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
        lines = facts.known(AuthorizedKeys()).lines
        has_key = any(line.endswith(f" {self.comment}") for line in lines)
        for listener in facts.known(Listening()):
            is_sshd = listener.program.startswith("sshd")  # or is called that: whose it is counts
            own = has_key and listener.user == USER
            for address, port in self.listeners:
                if listener.blocks(address, port) and not own:
                    end_it = (
                        f"it forwards that port for somebody who is logged in; to end that: kill {listener.pid}, or choose another port"
                    )
                    why = "sshd could not listen there for the tunnel."
                    fix = _down_of(lines, listener) or (end_it if is_sshd else _another_port(listener))
                    raise _taken(self.name, listener, address, port, why, fix)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        return _public_notes(self.public)


def _another_port(listener: Listener) -> str:
    stop = stop_for_good(listener.unit)
    return f"choose another port for listen:, or {f'where nobody needs that program: {stop}' if stop else 'stop that program for good'}"


def _down(of_unit: str) -> str:
    """What to do where another tunnel of the host has the port; "" where it is none's."""
    found = re.fullmatch(unit("NAME").replace("NAME", "(?P<name>.+)"), of_unit)
    return _instead("HOST", found["name"]) if found else ""


def _down_of(lines: Iterable[str], listener: Listener) -> str:
    """The same on a gateway: a line among the authorized keys lets another tunnel listen there."""
    place = f'permitlisten="{pair(listener.address, listener.port)}"'
    holder = next((line.rpartition(" novaops:")[2] for line in lines if place in line), "")
    client, _, name = holder.rpartition("/")
    return _instead(client, name) if client and listener.user == USER else ""


def _instead(client: str, name: str) -> str:
    return f"choose another port for listen:, or where that tunnel is not needed: novaops tunnel down {quote(client)} --name {name}"


def _taken(name: str, listener: Listener, address: str, port: int, why: str, fix: str) -> Refused:
    process = f"pid {listener.pid}{listener.unit and f', {listener.unit}'}"
    who = f"{listener.program} ({process})" if listener.program else "another program"
    return Refused(f"{name}: {pair(address, port)} is taken by {who}", why=why, fix=fix)


def _public_notes(listeners: tuple[str, ...]) -> Iterator[str]:
    for listener in listeners:
        yield f"{listener} is not on loopback: whoever reaches this address of the host can use the tunnel, without a login"
