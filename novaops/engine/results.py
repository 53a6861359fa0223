"""The report of one host, for each way that its part of a run can end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from novaops.engine.report import HostReport, ReportLine, Status, failure, line_of, typed, words
from novaops.errors import HostFailed, NovaopsError, Refused, RolledBack, Unreachable
from novaops.model.plan import Change, Note, Plan, Step
from novaops.shell import lines_of

if TYPE_CHECKING:
    from novaops.engine.run import Outcome


def would_change(host: str, plan: Plan) -> HostReport:
    """The planned changes, and those that wait for a peer."""
    steps = (*plan.steps, *(step for _, wait in plan.waits for step in wait.steps))
    unknown = [
        ReportLine(resource, "would_change", (Change("waits for", None, wait.what),)) for resource, wait in plan.waits if not wait.steps
    ]
    found = _lines(replace(plan, steps=steps), dict.fromkeys(steps, "would_change"))
    lines = tuple(next((one for one in unknown if one.resource == line.resource), line) for line in found)
    notes = (*plan.notes, *(Note(resource, f"waits for {wait.what}") for resource, wait in plan.waits if wait.steps))
    return HostReport(host, "would_change", lines, notes)


def still_waits(report: HostReport, plan: Plan, why: str) -> HostReport:
    """Nothing more can be done here, because a peer is not ready."""
    waiting = {resource for resource, _ in plan.waits}
    undone = {line for line in report.lines if line.resource in waiting and line.status == "unchanged"}
    lines = tuple(replace(line, status="skipped") if line in undone else line for line in report.lines)
    what = ", ".join(dict.fromkeys(wait.what for _, wait in plan.waits))
    error = HostFailed(f"{plan.waits[0][0]} waits for {what}, which did not come", why=why, fix="run this again once the cause is gone")
    return replace(report, status="failed", lines=lines, error=error)


def held_back(host: str, plan: Plan, peer: str, because: HostReport) -> HostReport:
    """Nothing is done on a host whose peer cannot be worked on."""
    lines = tuple(ReportLine(resource, "skipped") for resource in plan.resources)
    kinds: dict[str, type[NovaopsError]] = {"refused": Refused, "unreachable": Unreachable}
    reason = because.error
    was = "" if because.status == "failed" else "was "
    error = kinds.get(because.status, HostFailed)(
        f"skipped: peer {peer} {was}{words(because.status)}",
        why=reason.what if reason else "",
        fix=typed(reason.fix, "", peer) if reason else "",
    )
    return replace(failure(host, error), lines=lines, notes=plan.notes)


def _lines(plan: Plan, statuses: dict[Step, str]) -> tuple[ReportLine, ...]:
    """One line a resource, in the order written; a resource with several steps has one for each."""
    lines: list[ReportLine] = []
    for resource in plan.resources:
        steps = [step for step in plan.steps if step.resource == resource]
        lines += [line_of(step, statuses[step]) for step in steps] or [ReportLine(resource, "unchanged")]
    return tuple(lines)


def done_lines(plan: Plan, done: Sequence[Step]) -> tuple[ReportLine, ...]:
    return _lines(replace(plan, steps=tuple(done)), dict.fromkeys(done, "changed"))


def refused(host: str, plan: Plan, before: Sequence[Step] = ()) -> HostReport:
    """Nothing is done on a host where one thing would not be safe. `before` are the steps that were done earlier."""
    unsafe = {resource for resource, _ in plan.refusals}
    changed = {step.resource for step in before}
    first, *others = {error.what: error for _, error in plan.refusals}.values()
    if others:
        every = [first, *others]
        parts = {part: "\n".join(dict.fromkeys(filter(None, (getattr(e, part) for e in every)))) for part in ("why", "fix")}
        first = Refused("; ".join(error.what for error in every), **parts)
    statuses = (
        (resource, "refused" if resource in unsafe else "changed" if resource in changed else "skipped") for resource in plan.resources
    )
    return HostReport(host, "refused", tuple(ReportLine(*pair) for pair in statuses), plan.notes, first)


def ended_badly(host: str, plan: Plan, outcome: Outcome, before: Sequence[Step]) -> HostReport:
    failed = outcome.failed if outcome.failed is not None else len(outcome.done)
    status: Status = "refused" if outcome.end == "refused" else "failed"
    others = sorted(outcome.undone - {failed})
    statuses = {
        step: "changed" if number in outcome.done else status if number == failed else "rolled_back" if number in others else "skipped"
        for number, step in enumerate(plan.steps)
    }
    step = plan.steps[failed]
    whose = f"it and {', '.join(plan.steps[number].resource for number in others)}" if others else "the step"
    back = f"What {whose} had done was taken back." if outcome.all_undone else f"Not all of what {whose} had done could be taken back."
    done = f" Done before it, and kept: {', '.join(plan.steps[n].resource for n in sorted(outcome.done))}." if outcome.done else ""
    kind = Refused if status == "refused" else HostFailed
    error = kind(
        f"{step.resource}: {lines_of(outcome.said)[-1] if outcome.said else 'it failed'}",
        why="\n".join([*lines_of(outcome.said)[-20:-1], back + done]),
        fix="run this again once the cause is gone: it starts from what is there",
    )
    statuses |= dict.fromkeys(before, "changed")
    lines = _lines(replace(plan, steps=(*before, *plan.steps)), statuses)
    return HostReport(host, status, lines, plan.notes, error, run=outcome.run.id)


def rolled_back(host: str, plan: Plan, outcome: Outcome, before: Sequence[Step], logins: int, *, as_before: bool | None) -> HostReport:
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
    undone = "All of it was taken back." if outcome.all_undone else "Not all of it could be taken back."
    late = outcome.fired or not why  # what novaops saw of it depends on when the link was cut; what the host says does not
    what = f"nobody confirmed it within {outcome.run.guard.seconds} s" if late else why.what if why else ""
    details = [why.what if late else "", why.why] if why else []
    error = RolledBack(
        f"the fresh login did not work, and the host rolled it back: {what}",
        why="\n".join(filter(None, [*details, f"{undone} {looked[as_before]}"])),
        fix=(why.fix if why else "") or f"find out why with: novaops login status {host}",
    )
    lines = _lines(replace(plan, steps=(*before, *plan.steps)), statuses)
    return HostReport(host, "rolled_back", lines, plan.notes, error, run=outcome.run.id, logins=logins)


def does_not_work(report: HostReport, plan: Plan) -> HostReport:
    """Everything is as wanted, and still something does not work."""
    resources = {resource for resource, _ in plan.unproven}
    lines = tuple(replace(line, status="failed") if line.resource in resources else line for line in report.lines)
    error = next(failure for _, failure in plan.unproven)
    others = [failure.what for _, failure in plan.unproven[1:]]
    if others:
        error = HostFailed("; ".join([error.what, *others]), why=error.why, fix=error.fix)
    return replace(report, status="failed", lines=lines, error=error)


def not_proven(report: HostReport, remaining: Plan) -> HostReport:
    wrong = ", ".join(dict.fromkeys([step.resource for step in remaining.steps] + [resource for resource, _ in remaining.refusals]))
    details = [f"{s.resource} {c.field}: {c.before} → {c.after}" for s in remaining.steps for c in s.changes]
    error = HostFailed(
        f"every command succeeded, but {wrong} is not as wanted",
        why="\n".join(details + [refusal.what for _, refusal in remaining.refusals]),
        fix="run this again; if it says the same, something on the host keeps changing it back",
    )
    return replace(report, status="failed", error=error)
