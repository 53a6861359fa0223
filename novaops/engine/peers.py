"""Many hosts at once. Those that need something of each other are looked at together, and worked on in passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from novaops.engine import parallel as fleet
from novaops.engine import results
from novaops.engine.converge import Convergence, Progress, RunOptions, converge
from novaops.engine.planner import peer_questions_of
from novaops.engine.report import HostReport, failure
from novaops.errors import HostFailed, InternalError, NovaopsError
from novaops.model.plan import Plan, Resource
from novaops.model.question import Facts
from novaops.ssh.session import Session
from novaops.ssh.target import Target

PASSES = 3
"""One host makes a key, the next lets it in, and the first one goes through: that needs three, and nothing needs more."""


@dataclass(frozen=True)
class DesiredHost:
    """One host, and what is wanted of it."""

    target: Target
    resources: Sequence[Resource]


def converge_all(hosts: Sequence[DesiredHost], manner: RunOptions, progress: Progress, parallel: int) -> list[HostReport]:
    """Make each host as wanted, and prove it. Errors are values of the reports, in the order of the hosts."""
    asked = {host.target.name: peer_questions_of(host.resources) for host in hosts}
    met = {name for name, peers in asked.items() if peers} | {peer for peers in asked.values() for peer in peers}
    alone = [host for host in hosts if host.target.name not in met]
    together = [host for host in hosts if host.target.name in met]
    reports = {
        report.host: report
        for report in [
            *fleet.each(alone, lambda host: converge(host.target, host.resources, manner, progress), parallel),
            *(PeerGroup(together, manner, progress, parallel).reports() if together else ()),
        ]
    }
    return [reports[host.target.name] for host in hosts]


@dataclass
class PeerHost:
    """One host of a company."""

    converging: Convergence
    session: Session
    peers: frozenset[str]
    """Those that it asks."""
    plan: Plan | None = None
    report: HostReport | None = None
    """As far as it has come."""
    ended: bool = False
    """Nothing more will be done on it: it failed, or was refused."""
    error: NovaopsError | None = None
    looked: float = 0.0
    changed: float = 0.0
    """When that was last, on the monotonic clock; 0 for never."""
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return self.session.target.name


_Work = Callable[[PeerHost], None]


def _only_waits(plan: Plan) -> bool:
    return not plan.steps and not plan.refusals and not plan.unproven


class PeerGroup:
    """Hosts that have to do with each other. Facts of one are there for the plans of the others."""

    def __init__(self, hosts: Sequence[DesiredHost], manner: RunOptions, progress: Progress, parallel: int) -> None:
        self._manner = manner
        self._progress = progress
        self._parallel = parallel
        asked = {host.target.name: peer_questions_of(host.resources) for host in hosts}
        self._members: dict[str, PeerHost] = {}
        for host in hosts:
            name, session = host.target.name, Session(host.target)
            of_it = [question for peers in asked.values() for question in peers.get(name, ())]
            converging = Convergence(session, host.resources, manner, progress, of_it)
            self._members[name] = PeerHost(converging, session, frozenset(asked[name]))

    def reports(self) -> list[HostReport]:
        members = list(self._members.values())
        try:
            self._each(members, self._look)
            for number in range(PASSES):
                if not self._pass(first=number == 0):
                    break
            self._end()
        finally:
            for member in members:
                member.session.close()
        return [self._final(member) for member in members]

    def _each(self, members: Iterable[PeerHost], work: _Work) -> None:
        fleet.each(list(members), lambda member: self._guarded(member, work), self._parallel)

    def _guarded(self, member: PeerHost, work: _Work) -> None:
        """One host's error must not take the other hosts' reports away."""
        try:
            work(member)
        except NovaopsError as error:
            self._fail(member, error)
        except Exception as error:  # noqa: BLE001 - see above
            self._fail(member, InternalError(error))

    def _fail(self, member: PeerHost, error: NovaopsError) -> None:
        report = failure(member.name, error)
        before = member.report
        member.report = replace(report, lines=before.lines, notes=before.notes, run=before.run) if before else report
        member.error, member.ended = error, True

    def _look(self, member: PeerHost) -> None:
        self._progress(member.name, "connecting")
        member.session.open()
        self._look_again(member)

    def _look_again(self, member: PeerHost) -> None:
        member.converging.look()
        member.looked = time.monotonic()

    def _facts(self) -> Mapping[str, Facts | NovaopsError]:
        """What is known of each, also of one that failed later."""
        return {
            name: member.error if member.error and not member.looked else member.converging.facts for name, member in self._members.items()
        }

    def _plan(self, member: PeerHost) -> None:
        member.plan = member.converging.plan(self._facts())

    def _pass(self, *, first: bool) -> bool:
        """Plan all, then do what can be done. False when there was nothing to do."""
        going = [member for member in self._members.values() if not member.ended]
        for member in going:
            self._guarded(member, self._plan)
        stale = [member for member in going if not member.ended and self._is_stale(member)]
        self._each(stale, self._look_again)
        for member in stale:
            self._guarded(member, self._plan)
        if first and not self._manner.check:
            self._hold_back()
        ready = [member for member in going if not member.ended and not self._postponed(member)]
        ready = [member for member in ready if member.report is None or (member.plan and not _only_waits(member.plan))]
        facts = self._facts()
        self._each(ready, lambda member: self._proceed(member, facts))
        return bool(ready) and not self._manner.check

    def _is_stale(self, member: PeerHost) -> bool:
        """Whether a host that it asks was changed since it was looked at, and it would end with what was seen then."""
        done = member.plan is not None and not member.plan.steps and not member.plan.waits
        return done and any(self._members[peer].changed > member.looked for peer in member.peers)

    def _postponed(self, member: PeerHost) -> bool:
        """Whether what does not work on it may come right by what is done to a host that it asks."""
        plan = member.plan
        if plan is None or not plan.unproven or self._manner.check:
            return False
        others = [self._members[peer] for peer in member.peers]
        return any(other.plan is not None and other.plan.steps and not other.ended for other in others)

    def _hold_back(self) -> None:
        """Before anything is done anywhere: where one host is not fit for it, those that have to do with it are left alone."""
        unfit = {name: member.report for name, member in self._members.items() if member.ended}
        for name, member in self._members.items():
            if not member.ended and member.plan is not None and member.plan.refusals:
                unfit[name] = results.refused(name, member.plan)
        pending = list(unfit)
        while pending:
            name = pending.pop()
            report = unfit[name]
            for other in self._members.values():
                meets = name in other.peers or other.name in self._members[name].peers
                if not meets or other.ended or other.name in unfit or report is None or other.plan is None:
                    continue
                if other.plan.steps or other.plan.waits:  # what is right may stay so
                    other.report = results.held_back(other.name, other.plan, name, report)
                    other.ended, unfit[other.name] = True, other.report
                    pending.append(other.name)

    def _proceed(self, member: PeerHost, facts: Mapping[str, Facts | NovaopsError]) -> None:
        member.report = member.converging.proceed(facts)
        member.looked = time.monotonic()
        if member.report.run:
            member.changed = member.looked
        if member.report.exit_code not in {0, 3}:
            member.ended = True
            member.error = member.report.error

    def _end(self) -> None:
        """Nobody says that all is right while something is left."""
        if self._manner.check:
            return
        for member in [member for member in self._members.values() if not member.ended]:
            self._guarded(member, self._plan)
            plan, report = member.plan, member.report
            if member.ended or not plan or report is None:
                continue
            if plan.waits:
                reasons = [self._members[peer].error for peer in member.peers]
                why = "\n".join(f"{peer}: {error.what}" for peer, error in zip(member.peers, reasons, strict=True) if error)
                member.report = results.still_waits(report, plan, why)
            elif plan.unproven:
                member.report = results.does_not_work(report, plan)
            else:
                error = HostFailed(f"something is left to do after {PASSES} passes: {plan.steps[0].resource}", fix="run this again")
                member.report = replace(report, status="failed", error=error)

    def _final(self, member: PeerHost) -> HostReport:
        report = member.report or failure(member.name, HostFailed("nothing came of it"))
        return replace(report, execs=member.session.execs, seconds=time.monotonic() - member.started)
