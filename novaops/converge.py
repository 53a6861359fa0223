"""One host: probe, plan, apply, probe, prove."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from novaops import probe
from novaops.errors import Bug, HostFailed, LockHeld, NovaopsError, Refused, RolledBack
from novaops.facts import Facts, Question
from novaops.facts.holds import Holds
from novaops.facts.runs import LastRun
from novaops.guard import OPEN, SECONDS
from novaops.plan import FreshLogin, Plan, Resource, Step, make_plan, questions_of
from novaops.report import HostReport, Line, Status, failure, line_of
from novaops.shell import whole
from novaops.target import Target
from novaops.transport import Session

if TYPE_CHECKING:
    from novaops.apply import Outcome

UNCONFIRMED = Holds(OPEN)
"""Asked before everything else: what is under guard may be gone a moment later, and is no reason to say that all is right."""

LONGEST_GUARD = 900
"""Seconds to wait for another run's guard."""

STALE_TRIES = 20
"""How often a plan is made again because other runs came in between."""


@dataclass(frozen=True)
class Manner:
    """How to go about it."""

    check: bool = False
    """Only look: nothing is changed."""
    wait: bool = True
    """Wait for another run's end instead of giving up."""
    undoes: str = ""
    """The run that is taken back by this."""
    guard: int = SECONDS
    """For how many seconds a host waits for the fresh login that confirms what could lock somebody out."""


class Progress(Protocol):
    """Who is told what a host is at, in a few words."""

    def __call__(self, host: str, doing: str) -> None: ...


def converge(target: Target, resources: Sequence[Resource], manner: Manner, progress: Progress) -> HostReport:
    """Make `target` as `resources` say, and prove it. Errors are values of the report, never raised."""
    return with_session(target, progress, lambda session: converge_in(session, resources, manner, progress))


def with_session(target: Target, progress: Progress, work: Callable[[Session], HostReport]) -> HostReport:
    """What `work` reports, with the execs and seconds it took. Every error becomes a value of the report."""
    started = time.monotonic()
    session = Session(target)
    try:
        progress(target.name, "connecting")
        with session:
            report = work(session)
    except NovaopsError as error:
        report = failure(target.name, error)
    except Exception as error:  # noqa: BLE001 - one host's bug must not take the other hosts' reports away
        report = failure(target.name, Bug(error))
    return replace(report, execs=session.execs, seconds=time.monotonic() - started)


def ask(session: Session, questions: Sequence[Question[Any]], *, root: bool = True) -> Facts:
    """The answers to all questions: one exec. Raises HostFailed, Unreachable.

    Asked without being root, what only root may read is unknown.
    """
    asked = probe.families(questions)
    mark = probe.boundary()
    output = session.run(probe.script(asked, mark), root=root)
    if mark not in output.stdout:
        raise HostFailed(
            f"{session.target} did not run the probe (exit status {output.status})",
            why=output.stderr.replace(mark, "").strip(),
        )
    return probe.read(asked, mark, output.stdout, output.stderr)


def converge_in(session: Session, resources: Sequence[Resource], manner: Manner, progress: Progress) -> HostReport:
    """See `converge`. Raises NovaopsError."""
    host = session.target.name
    questions: list[Question[Any]] = [UNCONFIRMED, LastRun(), *questions_of(resources)]
    progress(host, "looking")
    facts = ask(session, questions)
    plan = make_plan(resources, facts)
    if not plan and facts.known(UNCONFIRMED):
        _wait_for_the_guard(session, manner, progress)
        return converge_in(session, resources, manner, progress)
    if plan.refusals:
        return _refused(host, plan)
    if plan.unproven:
        return _does_not_work(HostReport(host, "failed", _lines(plan, {}), plan.notes), plan)
    if manner.check or not plan.steps:
        status: Status = "would_change" if plan.steps else "unchanged"
        return HostReport(host, status, _lines(plan, dict.fromkeys(plan.steps, status)), plan.notes)
    return _apply(session, resources, questions, facts, plan, manner, progress)


def _apply(
    session: Session,
    resources: Sequence[Resource],
    questions: Sequence[Question[Any]],
    facts: Facts,
    plan: Plan,
    manner: Manner,
    progress: Progress,
) -> HostReport:
    """Carry the plan out, and whatever is found to be left of it, until a look finds nothing."""
    from novaops.apply import carry_out, new_run  # only here: a host that is right already need not wait for it

    host = session.target.name
    done: list[Step] = []
    stale = logins = 0
    while True:
        run = new_run(plan.steps, facts.known(LastRun()), wait=manner.wait, undoes=manner.undoes, guard=manner.guard)
        outcome = carry_out(session, run, _Watcher(host, progress))
        logins += outcome.logins
        if outcome.end == "rolled_back":
            return _rolled_back(host, plan, outcome, done, as_before=_as_before(session, resources, questions, plan, outcome))
        if outcome.end not in {"ok", "stale"}:
            return _ended_badly(host, plan, outcome, done)
        progress(host, "proving" if outcome.end == "ok" else "looking again: another run came in between")
        facts = ask(session, questions)
        remaining = make_plan(resources, facts)
        if outcome.end == "ok":
            done += plan.steps
            report = HostReport(host, "changed", _done_lines(plan, done), plan.notes, run=run.id, logins=logins)
            if not remaining:
                return report
            if remaining.unproven:
                return _does_not_work(report, remaining)
            if remaining.refusals or {step.resource for step in remaining.steps} & {step.resource for step in done}:
                return _not_proven(report, remaining)
        else:
            stale += 1
            if stale == STALE_TRIES:
                raise HostFailed(f"other runs on {session.target} kept coming in between", fix="run this again when they are done")
            if remaining.refusals:
                return _refused(host, remaining)
            if remaining.unproven:
                return _does_not_work(HostReport(host, "failed", _done_lines(remaining, done), remaining.notes), remaining)
            if not remaining.steps:
                return HostReport(host, "changed" if done else "unchanged", _done_lines(remaining, done), remaining.notes)
        plan = remaining


def _wait_for_the_guard(session: Session, manner: Manner, progress: Progress) -> None:
    """What is right now may still be taken back: return when that is decided.

    Raises LockHeld for one who does not wait, HostFailed when it takes longer than any guard does.
    """
    if not manner.wait:
        raise LockHeld(
            "what another run has done waits for its fresh login, or is taken back", fix="leave out --no-wait to wait for its end"
        )
    progress(session.target.name, "waiting: what another run has done is not confirmed yet")
    waits = f"for _ in $(seq {LONGEST_GUARD}); do {OPEN} || exit 0; sleep 1; done; exit 1\n"
    if session.run(whole(waits), timeout=LONGEST_GUARD + session.target.timeout).status:
        raise HostFailed(
            f"what another run has done on {session.target} stays unconfirmed, and is not taken back either",
            fix=f"novaops history {session.target.name} shows it",
        )


class _Watcher:
    def __init__(self, host: str, progress: Progress) -> None:
        self._host = host
        self._progress = progress

    def step(self, number: int, step: Step) -> None:
        del number
        self._progress(self._host, f"{step.resource}")

    def waiting(self, holder: str) -> None:
        self._progress(self._host, f"waiting for run {holder}")

    def lost(self, error: NovaopsError) -> None:
        self._progress(self._host, f"{error.what}: connecting again, the run goes on there")

    def guarded(self, login: FreshLogin, seconds: int) -> None:
        self._progress(self._host, f"logging in anew: {login}. Without that the host takes it back within {seconds} s")

    def taking_back(self, why: str) -> None:
        self._progress(self._host, f"{why}: the host takes it back")


def _lines(plan: Plan, statuses: dict[Step, str]) -> tuple[Line, ...]:
    """One line a resource, in the order written; a resource with several steps has one for each."""
    lines: list[Line] = []
    for resource in plan.resources:
        steps = [step for step in plan.steps if step.resource == resource]
        lines += [line_of(step, statuses[step]) for step in steps] or [Line(resource, "unchanged")]
    return tuple(lines)


def _done_lines(plan: Plan, done: Sequence[Step]) -> tuple[Line, ...]:
    return _lines(replace(plan, steps=tuple(done)), dict.fromkeys(done, "changed"))


def _refused(host: str, plan: Plan) -> HostReport:
    """Nothing is done on a host where one thing would not be safe."""
    refused = {resource for resource, _ in plan.refusals}
    first, *others = {error.what: error for _, error in plan.refusals}.values()
    if others:
        every = [first, *others]
        parts = {part: "\n".join(dict.fromkeys(filter(None, (getattr(e, part) for e in every)))) for part in ("why", "fix")}
        first = Refused("; ".join(error.what for error in every), **parts)
    lines = tuple(Line(resource, "refused" if resource in refused else "skipped") for resource in plan.resources)
    return HostReport(host, "refused", lines, plan.notes, first)


def _ended_badly(host: str, plan: Plan, outcome: Outcome, before: Sequence[Step]) -> HostReport:
    failed = outcome.failed if outcome.failed is not None else len(outcome.done)
    status: Status = "refused" if outcome.end == "refused" else "failed"
    statuses = {
        step: "changed" if number in outcome.done else status if number == failed else "skipped" for number, step in enumerate(plan.steps)
    }
    step = plan.steps[failed]
    back = "What the step had done was taken back." if outcome.taken_back else "Not all of what the step had done could be taken back."
    done = f" Done before it, and kept: {', '.join(plan.steps[n].resource for n in sorted(outcome.done))}." if outcome.done else ""
    kind = Refused if status == "refused" else HostFailed
    error = kind(
        f"{step.resource}: {outcome.said.splitlines()[-1] if outcome.said else 'it failed'}",
        why="\n".join([*outcome.said.splitlines()[-20:-1], back + done]),
        fix="run this again once the cause is gone: it starts from what is there",
    )
    statuses |= dict.fromkeys(before, "changed")
    lines = _lines(replace(plan, steps=(*before, *plan.steps)), statuses)
    return HostReport(host, status, lines, plan.notes, error, run=outcome.run.id)


def _as_before(
    session: Session, resources: Sequence[Resource], questions: Sequence[Question[Any]], plan: Plan, outcome: Outcome
) -> bool | None:
    """Whether the host needs again all that was not kept of the run, and no more; None where it cannot be asked."""
    needed = tuple(step for number, step in enumerate(plan.steps) if number not in outcome.done)
    try:
        return make_plan(resources, ask(session, questions)).steps == needed
    except NovaopsError:
        return None


def _rolled_back(host: str, plan: Plan, outcome: Outcome, before: Sequence[Step], *, as_before: bool | None) -> HostReport:
    statuses = {
        step: "rolled_back" if number in outcome.undone else "changed" if number in outcome.done else "skipped"
        for number, step in enumerate(plan.steps)
    }
    statuses |= dict.fromkeys(before, "changed")
    why = outcome.not_confirmed
    looked = {
        True: "Looked at again: the host is as it was before.",
        False: "Looked at again, the host is not quite as it was before.",
        None: "It could not be looked at again.",
    }
    taken_back = "All of it was taken back." if outcome.taken_back else "Not all of it could be taken back."
    what = why.what if why else f"nobody confirmed it within {outcome.run.guard.seconds} s"
    error = RolledBack(
        f"the fresh login did not work, and the host put itself back: {what}",
        why="\n".join(filter(None, [why.why if why else "", f"{taken_back} {looked[as_before]}"])),
        fix=(why.fix if why else "") or f"find out why with: novaops login status {host}",
    )
    lines = _lines(replace(plan, steps=(*before, *plan.steps)), statuses)
    return HostReport(host, "rolled_back", lines, plan.notes, error, run=outcome.run.id, logins=outcome.logins)


def _does_not_work(report: HostReport, plan: Plan) -> HostReport:
    """All is as wanted, and it does not work: the cause lies elsewhere."""
    resources = {resource for resource, _ in plan.unproven}
    lines = tuple(replace(line, status="failed") if line.resource in resources else line for line in report.lines)
    error = next(failure for _, failure in plan.unproven)
    others = [failure.what for _, failure in plan.unproven[1:]]
    if others:
        error = HostFailed("; ".join([error.what, *others]), why=error.why, fix=error.fix)
    return replace(report, status="failed", lines=lines, error=error)


def _not_proven(report: HostReport, remaining: Plan) -> HostReport:
    wrong = ", ".join(dict.fromkeys([step.resource for step in remaining.steps] + [resource for resource, _ in remaining.refusals]))
    details = [f"{s.resource} {c.field}: {c.before} → {c.after}" for s in remaining.steps for c in s.changes]
    error = HostFailed(
        f"every command succeeded, but {wrong} is not as wanted",
        why="\n".join(details + [refusal.what for _, refusal in remaining.refusals]),
        fix="run this again; if it says the same, something on the host keeps changing it back",
    )
    return replace(report, status="failed", error=error)
