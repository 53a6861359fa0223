"""The proof of a tunnel: a real request came through each of its forwards, a moment ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed, WaitingForPeer
from novaops.features.tunnel.diagnosis import Diagnosis, TunnelRef, latest, of_request, of_ssh, since_begun
from novaops.features.tunnel.facts.ends import AuthorizedKeys, TunnelKey
from novaops.features.tunnel.facts.state import ForwardState, TunnelFacts, TunnelNamed
from novaops.features.tunnel.paths import unit
from novaops.features.tunnel.resources.permission import is_permitted
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question

PROHIBITED = "administratively prohibited"


@dataclass(frozen=True)
class TunnelConnected(Resource):
    name: str
    use: tuple[str, ...]
    """Lines for who wants to use it."""
    via: str = ""
    line: str = ""
    """The gateway's line for the key, with {} in place of the key."""

    @property
    def id(self) -> str:
        return f"tunnel:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (TunnelNamed(self.name), TunnelKey(self.name))

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.via, AuthorizedKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        """A connection keeps the rights with which it began: one that began with too few is made anew, once the gateway's line is right."""
        tunnel = facts[TunnelNamed(self.name)]
        if tunnel is Missing.ABSENT or all(forward.up for forward in tunnel.forwards):
            return
        if not tunnel.ssh or PROHIBITED not in "\n".join(since_begun([text for _, text in tunnel.journal])):
            return
        name = unit(self.name)
        restart = Step(
            self.id,
            (Change("connection", f"{self.via} refuses to forward", "a new one"),),
            (Command(("systemctl", "restart", "--", name)),),
        )
        if not is_permitted(facts, self.name, self.via, self.line):
            raise WaitingForPeer(f"{self.via}'s permission", (restart,))
        yield restart

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed where nothing comes through one of the forwards."""
        tunnel = facts[TunnelNamed(self.name)]
        if tunnel is Missing.ABSENT:
            raise HostFailed(f"{self.name}: the tunnel is not there", why="Its files were taken away a moment ago.")
        for forward in tunnel.forwards:
            if trouble := trouble_of(tunnel, forward):
                raise HostFailed(f"{self.name}: nothing comes through to {forward.to}", why=trouble.why, fix=trouble.fix)

    def notes(self, facts: Facts) -> Iterator[str]:
        if facts[TunnelNamed(self.name)] is not Missing.ABSENT:
            yield from self.use


def trouble_of(tunnel: TunnelFacts, forward: ForwardState) -> Diagnosis | None:
    """What is wrong with a forward, in plain words; None where a request has come through."""
    foreign = bool(forward.holder) and forward.holder != "ssh"
    front = forward.front.rpartition(":")[0]
    if forward.up and tunnel.ssh and not foreign and forward.leads == front:
        return None
    if foreign:
        return Diagnosis(
            f"{forward.listen} is taken by {forward.holder}{f' (pid {forward.pid})' if forward.pid else ''}",
            f"stop it, or choose another port (listen: {forward.listen})",
        )
    if tunnel.active not in {"active", "activating", "reloading"}:
        return Diagnosis(
            f"its unit is {tunnel.active}", f"novaops tunnel up starts it; journalctl -u novaops-tunnel-{tunnel.name} says more"
        )
    if forward.up and tunnel.ssh:
        return Diagnosis(
            f"{forward.to.rpartition(':')[0]} leads to {forward.leads or 'nowhere'} here, not into the tunnel: /etc/hosts has not its line ({front})",
            "novaops tunnel up",
        )
    place = TunnelRef(tunnel.name, tunnel.via, forward.to, forward.listen)
    found = of_ssh(latest([text for _, text in tunnel.journal]), place)
    if found and (not tunnel.ssh or not forward.holder or "open failed" in "\n".join(latest([text for _, text in tunnel.journal]))):
        return found
    where = f"{tunnel.via} is connected, and " if tunnel.ssh and forward.holder else ""
    if not tunnel.ssh:
        where = f"there is no connection to {tunnel.via} at the moment, and "
    said = "something else answers there" if forward.up else of_request(forward.trouble)
    return Diagnosis(f"{where}{said}", f"journalctl -u novaops-tunnel-{tunnel.name} says more")
