"""What SELinux must allow nginx, where it is enforcing or will be: to connect to upstreams, and to listen on unusual ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.proxy.facts.selinux import MAY_CONNECT, Selinux, SelinuxState
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question

_HTTP = "http_port_t"
_ALLOWED = (_HTTP, "http_cache_port_t")
"""Types of ports that the policy lets nginx listen on."""

_USUAL = (80, 443)


@dataclass(frozen=True)
class HttpdMayConnect(Resource):
    """Without this boolean nginx gets "Permission denied" for every upstream."""

    @property
    def id(self) -> str:
        return f"selinux:{MAY_CONNECT}"

    def questions(self) -> Iterable[Question[Any]]:
        yield SelinuxState()

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = _enforcing(facts)
        if found is None or found.booleans.get(MAY_CONNECT, True):
            return
        off = Command(("setsebool", "-P", MAY_CONNECT, "off"), holds=_is("off"))
        on = Command(("setsebool", "-P", MAY_CONNECT, "on"), holds=_is("on"), undo=off)
        yield Step(self.id, (Change(MAY_CONNECT, "off", "on"),), (on,))

    def notes(self, facts: Facts) -> Iterator[str]:
        found = facts[SelinuxState()]
        if found is not Missing.ABSENT and (found.mode, found.at_boot) == ("disabled", "enforcing"):
            yield "SELinux is disabled, and enforcing from the next boot on: only then can it be told what nginx may do. Deploy again then"


@dataclass(frozen=True)
class HttpPort(Resource):
    """A port that nginx may listen on."""

    port: int

    @property
    def id(self) -> str:
        return f"selinux:{_HTTP}/{self.port}"

    def questions(self) -> Iterable[Question[Any]]:
        yield SelinuxState()

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = _enforcing(facts)
        if found is None or found.ports is None:
            return
        types = found.types_of(self.port)
        if any(name in _ALLOWED for name in types):
            return
        if types:
            raise Refused(
                f"SELinux keeps nginx from port {self.port}: it is of type {types[0]}",
                why="The port is meant for another service, which would lose the type.",
                fix=f"choose another port, or give it away: semanage port -m -t {_HTTP} -p tcp {self.port}",
            )
        there = f"semanage port -l -C | grep -q -E '^{_HTTP} +tcp +([0-9-]+, )*{self.port}(,|$)'"
        words = ("-t", _HTTP, "-p", "tcp", str(self.port))
        delete = Command(("semanage", "port", "-d", *words), holds=f"! {there}")
        add = Command(("semanage", "port", "-a", *words), holds=there, undo=delete)
        yield Step(self.id, (Change(f"tcp port {self.port}", None, _HTTP),), (add,))

    def notes(self, facts: Facts) -> Iterator[str]:
        found = _enforcing(facts)
        if found is not None and found.ports is None and self.port not in _USUAL:
            yield (
                f"whether SELinux lets nginx listen on port {self.port} could not be told: there is no semanage"
                " (policycoreutils-python-utils brings it)"
            )


def _enforcing(facts: Facts) -> Selinux | None:
    """None where SELinux is not enforcing, and will not be."""
    found = facts[SelinuxState()]
    return None if found is Missing.ABSENT or not found.enforcing else found


def _is(value: str) -> str:
    return f'[ "$(getsebool {MAY_CONNECT})" = "{MAY_CONNECT} --> {value}" ]'
