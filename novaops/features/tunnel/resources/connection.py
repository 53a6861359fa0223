"""The proof of a tunnel: a request got an answer through each of its forwards a moment ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed, WaitingForPeer
from novaops.features.tunnel.diagnosis import (
    PROHIBITED,
    Diagnosis,
    TunnelRef,
    lines_of_connection,
    lines_since_last_failure,
    request_error,
    ssh_error,
)
from novaops.features.tunnel.facts.ends import AuthorizedKeys, TunnelKey
from novaops.features.tunnel.facts.state import ForwardState, TunnelFacts, TunnelNamed
from novaops.features.tunnel.paths import unit
from novaops.features.tunnel.resources.permission import is_permitted
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class TunnelConnected(Resource):
    name: str
    usage: tuple[str, ...]
    """What to type, or to set, to use its forwards."""
    gateway: str = ""
    key_line: str = ""
    """The gateway's line for the key, with {} in place of the key."""

    @property
    def id(self) -> str:
        return f"tunnel:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (TunnelNamed(self.name), TunnelKey(self.name))

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.gateway, AuthorizedKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        """A connection keeps what ssh read and the permissions that it had when it began. It is made anew once the gateway's line is right."""
        tunnel = facts[TunnelNamed(self.name)]
        if tunnel is Missing.ABSENT or not (change := self._change(tunnel)):
            return
        restart = Step(self.id, (change,), (Command(("systemctl", "restart", "--", unit(self.name))),))
        if not is_permitted(facts, self.name, self.gateway, self.key_line):
            raise WaitingForPeer(f"{self.gateway}'s permission", (restart,))
        yield restart

    def _change(self, tunnel: TunnelFacts) -> Change | None:
        """Why the connection has to be made anew."""
        if tunnel.stale:
            return Change("loaded", f"{', '.join(tunnel.stale)} of before", "as on the disk")
        if tunnel.reverse or not tunnel.ssh or all(forward.up for forward in tunnel.forwards):
            return None
        said = "\n".join(lines_of_connection([text for _, text in tunnel.journal]))
        return Change("connection", f"{self.gateway} refuses to forward", "a new one") if PROHIBITED in said else None

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed where one of the forwards gets no answer."""
        tunnel = facts[TunnelNamed(self.name)]
        if tunnel is Missing.ABSENT:
            raise HostFailed(f"{self.name}: the tunnel is not there", why="Its files were removed a moment ago.")
        for forward in tunnel.forwards:
            if found := diagnose(tunnel, forward):
                raise HostFailed(f"{self.name}: no answer from {forward.to} through it", why=found.cause, fix=found.fix)

    def notes(self, facts: Facts) -> Iterator[str]:
        tunnel = facts[TunnelNamed(self.name)]
        if tunnel is Missing.ABSENT:
            return
        yield from self.usage
        if tunnel.is_unasked:
            yield unasked(self.gateway)


def unasked(gateway: str) -> str:
    """What is known of a reverse tunnel without a request through it. An ssh whose port is refused there ends (ExitOnForwardFailure)."""
    return (
        f"{gateway} does not allow the request that would prove it (AllowTcpForwarding or PermitOpen of its sshd):"
        " ssh is connected, with its port there, and the target answers on this end"
    )


def diagnose(tunnel: TunnelFacts, forward: ForwardState) -> Diagnosis | None:
    """What is wrong with a forward, and what to do; None where it got an answer from its target."""
    is_foreign = bool(forward.listener) and forward.listener != "ssh"
    alias = forward.local_alias.rpartition(":")[0]
    more = f"journalctl -u {unit(tunnel.name).removesuffix('.service')} says more"
    if is_foreign:
        process = f" (pid {forward.pid})" if forward.pid else ""
        fix = f"stop it for good, or choose another port (listen: {forward.listen})"
        return Diagnosis(f"{forward.listen} is taken by {forward.listener}{process}", fix)
    if forward.up and tunnel.ssh and forward.addresses == alias:
        return None
    if tunnel.is_unasked and tunnel.sent >= 0:
        if forward.direct in {"", "yes"}:
            return None
        return Diagnosis(f"{forward.to} gives no answer on this end: {request_error(forward.direct)}", "does it listen there?")
    if tunnel.active not in {"active", "activating", "reloading"}:
        return Diagnosis(f"its unit is {tunnel.active}", f"novaops tunnel up starts it; {more}")
    if forward.up and tunnel.ssh:
        name = forward.to.rpartition(":")[0]
        found = forward.addresses or "nowhere"
        why = f"/etc/hosts has not its line ({alias}), or another source of names comes before it"
        fix = "novaops tunnel up; where that changes nothing, put files first in the line hosts: of /etc/nsswitch.conf"
        return Diagnosis(f"{name} leads to {found} here, not into the tunnel: {why}", fix)
    recent = lines_since_last_failure([text for _, text in tunnel.journal])
    said = ssh_error(recent, TunnelRef(tunnel.via, forward.to, forward.listen))
    if said and (not tunnel.ssh or not forward.listener or "open failed" in "\n".join(recent)):
        return said
    where = f"{tunnel.via} is connected, and " if tunnel.ssh and forward.listener else ""
    if not tunnel.ssh:
        where = f"there is no connection to {tunnel.via} at the moment, and "
    return Diagnosis(f"{where}{'something else answers there' if forward.up else request_error(forward.error)}", more)
