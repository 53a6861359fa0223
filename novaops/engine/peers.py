"""Many hosts at once. Hosts that need facts of each other form a peer group; a host without peers is a group of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from novaops.engine import parallel, results
from novaops.engine.converge import Convergence, RunOptions
from novaops.engine.planner import peer_questions_of
from novaops.engine.query import Progress
from novaops.engine.report import HostReport, failure
from novaops.engine.rollout import Interrupted, components, roll_out
from novaops.errors import HostFailed, InternalError, NovaopsError
from novaops.model.plan import Plan, Resource
from novaops.model.question import Facts, Question
from novaops.ssh.session import Session
from novaops.ssh.target import Target

PASSES = 3
"""One host makes a key, the next lets it in, and the first one goes through: that needs three, and nothing needs more."""


@dataclass(frozen=True)
class DesiredHost:
    """One host, and what is wanted of it."""

    target: Target
    resources: Sequence[Resource]


def converge_all(hosts: Sequence[DesiredHost], options: RunOptions, progress: Progress, limit: int) -> list[HostReport]:
    """Make each host as wanted, and prove it: at most `limit` hosts at a time. Groups never wait for each other.

    Errors are values of the reports, in the order of the hosts. Raises Interrupted.
    """
    turns = Turns(limit)
    asked = {host.target.name: peer_questions_of(host.resources) for host in hosts}
    by_name = {host.target.name: host for host in hosts}
    groups = [
        PeerGroup([_peer_host(by_name[name], asked, options, progress) for name in names], options, turns)
        for names in together({name: host.resources for name, host in by_name.items()})
    ]
    try:
        return _in_order(by_name, roll_out(groups, options.rollout, options.begun, progress, limit))
    except Interrupted as stop:
        raise Interrupted(_in_order(by_name, stop.reports)) from None


def _in_order(names: Iterable[str], reports: Iterable[HostReport]) -> list[HostReport]:
    of = {report.host: report for report in reports}
    return [of[name] for name in names]


def converge_in(session: Session, resources: Sequence[Resource], options: RunOptions, progress: Progress) -> tuple[HostReport, Facts]:
    """The same for one host without peers, on a session that is open already and stays open; and its facts as they are then."""
    host = PeerHost(Convergence(session, resources, options, progress), session, frozenset(), progress)
    [report] = PeerGroup([host], options, Turns(1)).converge(PeerHost.probe)
    return report, host.convergence.facts


class Turns:
    """How many hosts are worked on at a time, over all groups of a run."""

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._free = threading.BoundedSemaphore(self._limit)

    def each(self, hosts: Sequence[PeerHost], work: Callable[[PeerHost], None]) -> None:
        """Do `work` on each host as turns become free; return when all are done."""

        def in_turn(host: PeerHost) -> None:
            with self._free:
                work(host)

        if len(hosts) == 1:
            in_turn(hosts[0])
        elif hosts:
            parallel.each(hosts, in_turn, min(len(hosts), self._limit))


_Asked = Mapping[str, Mapping[str, Sequence[Question[Any]]]]
"""By a host's name: what its resources ask, by the name of the peer they ask."""


def together(resources: Mapping[str, Sequence[Resource]], same: Callable[[str], Iterable[str]] = lambda _: ()) -> list[list[str]]:
    """The names of the hosts that ask each other, by what is wanted of each host; all in the order given.

    `same` gives the other names of a host, which go with it.
    """
    return components(list(resources), lambda name: [*peer_questions_of(resources[name]), *(one for one in same(name) if one in resources)])


def _peer_host(host: DesiredHost, asked: _Asked, options: RunOptions, progress: Progress) -> PeerHost:
    name, session = host.target.name, Session(host.target)
    of_it = [question for peers in asked.values() for question in peers.get(name, ())]
    return PeerHost(Convergence(session, host.resources, options, progress, of_it), session, frozenset(asked[name]), progress)


@dataclass
class PeerHost:
    """One host of a group, and how far it has come."""

    convergence: Convergence
    session: Session
    peers: frozenset[str]
    """The names of those that it asks."""
    progress: Progress
    plan: Plan | None = None
    report: HostReport | None = None
    """As far as it has come."""
    ended: bool = False
    """Nothing more will be done on it."""
    error: NovaopsError | None = None
    probed: float = 0.0
    changed: float = 0.0
    """When that was last, on the monotonic clock; 0 for never."""
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return self.session.target.name

    def connect(self) -> None:
        """Connect, where no kept connection will do, and probe. Raises HostFailed, Unreachable."""
        self.started = time.monotonic()
        self.progress(self.name, "connecting")
        self.probe()

    def probe(self) -> None:
        """Raises HostFailed, Unreachable."""
        self.convergence.probe()
        self.probed = time.monotonic()

    @property
    def only_waits(self) -> bool:
        plan = self.plan
        return plan is None or not (plan.steps or plan.refusals or plan.unproven)

    def apply(self, facts: Mapping[str, Facts | NovaopsError]) -> None:
        """Carry out what its plan has for now. Raises NovaopsError."""
        assert self.plan is not None
        self.report = self.convergence.apply(self.plan, facts)
        self.convergence.over()
        self.probed = time.monotonic()
        if self.report.run:
            self.changed = self.probed
        if self.report.exit_code not in {0, 3}:
            self.error = self.report.error
            self.ended = True
        elif not self.peers:  # nothing that others do can change what is left here
            self.ended = True

    def fail(self, error: NovaopsError) -> None:
        """Its part is over. What it has done before stays in its report."""
        self.convergence.over()
        report, before = failure(self.name, error), self.report
        self.report = replace(report, lines=before.lines, notes=before.notes, run=before.run) if before else report
        self.error, self.ended = error, True

    def so_far(self, why: str) -> HostReport:
        """The report where nothing more will be done, because of `why`. Its thread may still be at work."""
        report, left = self.report, self.convergence.left(why)
        if report is not None and self.ended:
            return self.final()
        if report is not None and report.run and not left.run:
            left = failure(self.name, HostFailed(f"{why}: what waits for its peers was not begun", fix="run this again"))
        if report is not None:
            left = replace(left, lines=report.lines, notes=report.notes, run=left.run or report.run)
        return replace(left, execs=self.session.execs)

    def final(self) -> HostReport:
        """The report, with the execs and seconds it took."""
        report = self.report or failure(self.name, HostFailed("nothing came of it"))
        return replace(report, execs=self.session.execs, seconds=time.monotonic() - self.started)


class PeerGroup:
    """Hosts that ask each other: probed together, worked on in passes. The facts of one are there for the plans of the others."""

    def __init__(self, hosts: Sequence[PeerHost], options: RunOptions, turns: Turns) -> None:
        self._options = options
        self._turns = turns
        self._hosts = {host.name: host for host in hosts}

    @property
    def names(self) -> list[str]:
        return list(self._hosts)

    def so_far(self, why: str) -> list[HostReport]:
        """How each host stands where nothing more will be done."""
        return [host.so_far(why) for host in self._hosts.values()]

    def reports(self) -> list[HostReport]:
        """A report for each host. Errors are values of the reports."""
        hosts = list(self._hosts.values())
        try:
            return self.converge(PeerHost.connect)
        finally:
            for host in hosts:
                host.session.close()

    def converge(self, begin: Callable[[PeerHost], None]) -> list[HostReport]:
        """The same, from `begin` on: connect, or only probe where sessions are open."""
        self._each(self._going(), begin)
        for number in range(PASSES):
            if not self._pass(first=number == 0):
                break
        self._end()
        return [host.final() for host in self._hosts.values()]

    def _going(self) -> list[PeerHost]:
        return [host for host in self._hosts.values() if not host.ended]

    def _each(self, hosts: Sequence[PeerHost], work: Callable[[PeerHost], None]) -> None:
        self._turns.each(hosts, lambda host: self._try(host, work))

    def _try(self, host: PeerHost, work: Callable[[PeerHost], None]) -> None:
        """One host's error must not take the other hosts' reports away."""
        try:
            work(host)
        except NovaopsError as error:
            host.fail(error)
        except Exception as error:  # noqa: BLE001 - see above
            host.fail(InternalError(error))

    def _facts(self) -> Mapping[str, Facts | NovaopsError]:
        """What is known of each, also of one that failed later."""
        return {name: host.error if host.error and not host.probed else host.convergence.facts for name, host in self._hosts.items()}

    def _plan(self, hosts: Iterable[PeerHost]) -> None:
        facts = self._facts()

        def plan(host: PeerHost) -> None:
            host.plan = host.convergence.plan(facts)

        for host in hosts:
            self._try(host, plan)

    def _pass(self, *, first: bool) -> bool:
        """Plan all, then do what can be done. False when there was nothing to do."""
        going = self._going()
        self._plan(going)
        stale = [host for host in going if not host.ended and self._is_stale(host)]
        self._each(stale, PeerHost.probe)
        self._plan(stale)
        if first and not self._options.check:
            self._hold_back()
        ready = [host for host in going if not host.ended and not self._postponed(host)]
        ready = [host for host in ready if host.report is None or not host.only_waits]
        facts = self._facts()
        self._each(ready, lambda host: host.apply(facts))
        return bool(ready) and not self._options.check

    def _is_stale(self, host: PeerHost) -> bool:
        """Whether a host that it asks was changed since it was probed, and it would end with what was seen then."""
        done = host.plan is not None and not host.plan.steps and not host.plan.waits
        return done and any(self._hosts[peer].changed > host.probed for peer in host.peers)

    def _postponed(self, host: PeerHost) -> bool:
        """Whether what does not work on it may come right by what is done to a host that it asks."""
        plan = host.plan
        if plan is None or not plan.unproven or self._options.check:
            return False
        others = [self._hosts[peer] for peer in host.peers]
        return any(other.plan is not None and other.plan.steps and not other.ended for other in others)

    def _hold_back(self) -> None:
        """Before anything is done anywhere: where one host is not fit for it, its peers are left alone."""
        unfit = {name: host.report for name, host in self._hosts.items() if host.ended}
        for name, host in self._hosts.items():
            if not host.ended and host.plan is not None and host.plan.refusals:
                unfit[name] = results.refused(name, host.plan)
        pending = list(unfit)
        while pending:
            name = pending.pop()
            report = unfit[name]
            for other in self._hosts.values():
                meets = name in other.peers or other.name in self._hosts[name].peers
                if not meets or other.ended or other.name in unfit or report is None or other.plan is None:
                    continue
                if other.plan.steps or other.plan.waits:  # what is right may stay so
                    other.report = results.held_back(other.name, other.plan, name, report)
                    other.ended, unfit[other.name] = True, other.report
                    pending.append(other.name)

    def _end(self) -> None:
        """No host is reported as right while something is left to do on it."""
        if self._options.check:
            return
        going = self._going()
        self._plan(going)
        for host in going:
            plan, report = host.plan, host.report
            if host.ended or not plan or report is None:
                continue
            if plan.waits:
                reasons = [self._hosts[peer].error for peer in host.peers]
                why = "\n".join(f"{peer}: {error.what}" for peer, error in zip(host.peers, reasons, strict=True) if error)
                host.report = results.still_waits(report, plan, why)
            elif plan.unproven:
                host.report = results.does_not_work(report, plan)
            else:
                error = HostFailed(f"something is left to do after {PASSES} passes: {plan.steps[0].resource}", fix="run this again")
                host.report = replace(report, status="failed", error=error)
