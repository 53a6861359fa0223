"""One host: probe, plan, apply, probe again, and prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from novaops.engine import results
from novaops.engine.begun import Begun
from novaops.engine.guard import SECONDS
from novaops.engine.planner import make_plan, questions_of
from novaops.engine.query import Progress, ask
from novaops.engine.report import HostReport, Status
from novaops.engine.rollout import ALL_AT_ONCE, Rollout
from novaops.engine.run_script import WAIT_S
from novaops.errors import HostFailed, LockHeld, NovaopsError, Unreachable
from novaops.facts.runs import LastRun, LastRunStill
from novaops.model.journal import UNCONFIRMED
from novaops.model.plan import FreshLogin, Note, Plan, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import whole
from novaops.ssh.kept import open_to_change
from novaops.ssh.session import ConnectionLost, Session

if TYPE_CHECKING:
    from novaops.engine.dask_client import Scheduler
    from novaops.engine.run import Outcome

LONGEST_GUARD = 900
"""Seconds to wait for another run's guard."""

STALE_TRIES = 20
"""How often a plan is made again because other runs came in between."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is to go."""

    check: bool = False
    """Plan only: change nothing."""
    wait: bool = True
    """Wait for another run to end instead of failing at once."""
    undoes: str = ""
    """The id of the run that this one rolls back; "" for an ordinary run."""
    guard: int = SECONDS
    """Seconds a host waits for the fresh login that confirms a change which could lock somebody out."""
    rollout: Rollout = ALL_AT_ONCE
    executor: Scheduler | None = None
    """Whose workers work on the hosts; None: this process does."""
    begun: Begun = field(default_factory=Begun, compare=False)
    """The runs of all hosts of the command."""


class Convergence:
    """One host on its way to what is wanted: probed, and worked on until a probe finds nothing left, or only what waits for peers."""

    def __init__(
        self,
        session: Session,
        resources: Sequence[Resource],
        options: RunOptions,
        progress: Progress,
        asked_by_peers: Sequence[Question[Any]] = (),
    ) -> None:
        """`asked_by_peers` are the questions that resources of other hosts have about this one."""
        self.facts = Facts({}, {})
        self._session = session
        self._resources = resources
        self._options = options
        self._progress = progress
        self._questions: list[Question[Any]] = [LastRun(), LastRunStill(), *questions_of(resources), *asked_by_peers]
        self._done: list[Step] = []
        self._told: list[Note] = []
        self._logins = 0
        self._run = ""

    @property
    def _host(self) -> str:
        return self._session.target.name

    def left(self, why: str) -> HostReport:
        """The report where nothing more will be done, because of `why`."""
        return self._options.begun.left(self._host, why)

    def over(self) -> None:
        """What came of its run is in the host's report."""
        self._options.begun.ended(self._host)

    def probe(self) -> None:
        """One exec. Raises HostFailed, Unreachable."""
        self._progress(self._host, "looking")
        self.facts = ask(self._session, self._questions)

    def plan(self, peers: Mapping[str, Facts | NovaopsError]) -> Plan:
        """What is to be done as things are. Raises HostFailed where a fact is missing."""
        return make_plan(self._resources, self.facts.beside(peers))

    def apply(self, plan: Plan, peers: Mapping[str, Facts | NovaopsError]) -> HostReport:
        """Carry out what `plan` has for now, and prove it. Raises NovaopsError."""
        while not plan and any(self.facts.known(newest).unconfirmed for newest in (LastRun(), LastRunStill())):
            _wait_for_the_guard(self._session, self._options, self._progress)
            self.probe()
            plan = self.plan(peers)
        if self._options.check or not plan.steps or plan.refusals:
            return self._as_found(plan)
        return self._carry_out(plan, peers)

    def _as_found(self, plan: Plan) -> HostReport:
        """The report where nothing is done: all is right, or nothing may be done, or nothing can be done yet."""
        if plan.refusals:
            return results.refused(self._host, plan, self._done)
        if plan.unproven:
            return results.does_not_work(self._so_far("failed", plan), plan)
        if self._options.check and plan:
            return results.would_change(self._host, plan)
        return self._so_far("changed" if self._done else "unchanged", plan)

    def _so_far(self, status: Status, plan: Plan) -> HostReport:
        notes = tuple(dict.fromkeys((*self._told, *plan.notes)))
        return HostReport(self._host, status, results.done_lines(plan, self._done), notes, run=self._run, logins=self._logins)

    def _carry_out(self, plan: Plan, peers: Mapping[str, Facts | NovaopsError]) -> HostReport:
        """Carry the plan out, and whatever is found to be left of it, until a look finds nothing."""
        from novaops.engine.run import carry_out, new_run  # only here: a host that is right already need not wait for it

        open_to_change(self._session)
        options, stale = self._options, 0
        now: set[str] = set()
        while True:
            run = new_run(plan.steps, self.facts.known(LastRun()).after, wait=options.wait, undoes=options.undoes, guard=options.guard)
            options.begun.begin(self._host, run.id)
            outcome = carry_out(self._session, run, _Watcher(self._host, self._progress, options.begun))
            self._logins += outcome.logins
            if outcome.end == "rolled_back":
                as_before = self._as_before(plan, outcome, peers)
                return results.rolled_back(self._host, plan, outcome, self._done, self._logins, as_before=as_before)
            if outcome.end not in {"ok", "stale"}:
                return results.ended_badly(self._host, plan, outcome, self._done)
            self._look_after(run.id, outcome, reboots=outcome.end == "ok" and any(step.reboots for step in plan.steps))
            remaining = self.plan(peers)
            if outcome.end == "ok":
                self._done += plan.steps
                self._told += plan.notes
                self._run = run.id
                now |= {step.resource for step in plan.steps}
                report = self._so_far("changed", plan)
                if remaining.unproven:
                    return results.does_not_work(report, remaining)
                if remaining.refusals or {step.resource for step in remaining.steps} & now:
                    return results.not_proven(report, remaining)
                if not remaining.steps:
                    return self._so_far("changed", remaining)
            else:
                stale += 1
                if stale == STALE_TRIES:
                    what = f"other runs on {self._session.target} kept coming in between"
                    raise HostFailed(what, fix="run this again when they are done")
                if remaining.refusals or not remaining.steps:
                    return self.apply(remaining, peers)  # which waits where the other run is not confirmed yet
            plan = remaining

    def _look_after(self, run: str, outcome: Outcome, *, reboots: bool) -> None:
        """Ask the host after a run, over a new connection where the old one was lost, and after a reboot where one is wanted.

        Raises Unreachable, ConnectionLost, that say how the run ended.
        """
        from novaops.engine.reboot import reboot

        try:
            if reboots:
                self._progress(self._host, "rebooting")
                reboot(self._session)
            self._progress(self._host, "proving" if outcome.end == "ok" else "looking again: another run came in between")
            try:
                self.facts = ask(self._session, self._questions)
            except ConnectionLost:
                self._session.close()
                self._session.open()
                self.facts = ask(self._session, self._questions)
        except (ConnectionLost, Unreachable) as error:
            raise type(error)(
                error.what,
                why=f"{error.why}\nRun {run} had ended: {outcome.end}. Whether all is right was not seen.".strip(),
                fix=error.fix or "run this again",
            ) from error

    def _as_before(self, plan: Plan, outcome: Outcome, peers: Mapping[str, Facts | NovaopsError]) -> bool | None:
        """Whether the host needs again all that was not kept of the run, and no more; None where it cannot be asked."""
        needed = tuple(step for number, step in enumerate(plan.steps) if number not in outcome.done)
        try:
            self.facts = ask(self._session, self._questions)
            return self.plan(peers).steps == needed
        except NovaopsError:
            return None


def _wait_for_the_guard(session: Session, options: RunOptions, progress: Progress) -> None:
    """What is right now may still be taken back: return when that is decided.

    Raises LockHeld for one who does not wait, HostFailed when it takes longer than any guard does.
    """
    if not options.wait:
        raise LockHeld(
            "what another run has done waits for its fresh login, or is taken back", fix="leave out --no-wait to wait for its end"
        )
    progress(session.target.name, "waiting: what another run has done is not confirmed yet")
    open_to_change(session)
    waits = f"for _ in $(seq {LONGEST_GUARD}); do {UNCONFIRMED} || exit 0; sleep 1; done; exit 1\n"
    if session.run(whole(waits), timeout=LONGEST_GUARD + session.target.timeout).status:
        raise HostFailed(
            f"what another run has done on {session.target} stays unconfirmed, and is not taken back either",
            fix=f"novaops history {session.target.name} shows it",
        )


class _Watcher:
    def __init__(self, host: str, progress: Progress, begun: Begun) -> None:
        self._host = host
        self._progress = progress
        self._begun = begun

    def step(self, number: int, step: Step) -> None:
        del number
        self._begun.seen(self._host)
        self._progress(self._host, f"{step.resource}")

    def waiting(self, holder: str) -> None:
        self._begun.seen(self._host)
        self._progress(self._host, f"waiting for run {holder}, for {WAIT_S // 60} minutes at most")

    def lost(self, error: NovaopsError) -> None:
        self._progress(self._host, f"{error.what}: connecting again, the run goes on there")

    def guarded(self, login: FreshLogin, seconds: int) -> None:
        self._progress(self._host, f"logging in anew: {login}. Without that the host takes it back within {seconds} s")

    def taking_back(self, why: str) -> None:
        self._progress(self._host, f"{why}: the host takes it back")
