"""Undo a run, by a run of its own: it is planned, refuses what was changed since, is checked afterwards, and can be undone too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from novaops.engine.converge import RunOptions
from novaops.engine.peers import converge_in
from novaops.engine.query import Progress, ask, with_session
from novaops.engine.report import HostReport, words
from novaops.engine.undo_step import UndoStep, directory_of, is_undoable
from novaops.errors import HostFailed, Refused
from novaops.facts.runs import PastRun, Runs
from novaops.model.plan import Note
from novaops.model.question import Facts, Question
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def undo(target: Target, run: str, options: RunOptions, progress: Progress) -> HostReport:
    """Undo `run` (its id, or the beginning of it), or for "" the newest one that is not undone yet."""

    def work(session: Session) -> HostReport:
        progress(target.name, "looking")
        runs = ask(session, [Runs()]).known(Runs())
        chosen = choose(runs, run, target.name)
        if chosen is None:
            return HostReport(target.name, "unchanged", notes=(Note("history", "there is nothing left to undo"),))
        steps = undo_steps(chosen, runs)
        refuse_what_stays(chosen, steps, runs, target.name)
        report, _ = converge_in(session, steps, replace(options, undoes=chosen.id), progress)
        return replace(report, notes=(*report.notes, nothing_left(chosen, runs, target.name))) if report.status == "unchanged" else report

    return with_session(target, progress, work)


@dataclass(frozen=True)
class Undo:
    """A host on which `run` is undone, as one group of a roll-out."""

    target: Target
    run: str
    options: RunOptions
    progress: Progress

    @property
    def names(self) -> list[str]:
        return [self.target.name]

    def reports(self) -> list[HostReport]:
        return [undo(self.target, self.run, self.options, self.progress)]

    def so_far(self, why: str) -> list[HostReport]:
        return [self.options.begun.left(self.target.name, why)]


def choose(runs: Sequence[PastRun], wanted: str, host: str) -> PastRun | None:
    """The run to undo; None when every one is undone. A run that only restarted something is passed over.

    Raises HostFailed for an unknown run, and while it is going on.
    """
    if wanted:
        found = [run for run in runs if run.id.startswith(wanted)]
        if len(found) != 1:
            what = "has no run" if not found else f"has {len(found)} runs that begin with"
            raise HostFailed(f"{host} {what} {wanted}", fix=f"novaops history {host} lists them")
        chosen = found[0]
    else:
        undone = {run.id for run in runs if undone_by(run, runs)}
        open_runs = [run for run in runs if not run.manifest["undoes"] and _left_something(run) and run.id not in undone]
        if not open_runs:
            return None
        chosen = open_runs[-1]
    if chosen.end == "running":
        raise HostFailed(f"run {chosen.id} is still going on", fix="undo it when it is done")
    return chosen


def _left_something(run: PastRun) -> bool:
    """Whether it changed what can be undone, or what is known to stay."""
    steps = [(run.manifest["steps"][number], index) for number, index in run.applied]
    return any(step["cannot_undo"] or is_undoable(step["actions"][index]) for step, index in steps)


def undo_steps(run: PastRun, runs: Sequence[PastRun]) -> list[UndoStep]:
    """The steps of the run that are still applied, the last one first."""
    steps = run.manifest["steps"]
    applied = {number: tuple(a for n, a in run.applied if n == number) for number in range(len(steps))}
    later, made, tests = _changed_after(run, runs), _made(run), _tests(run)
    return [
        UndoStep(run.id, steps[number], applied[number], later, _before(run, number), made, tests)
        for number in reversed(range(len(steps)))
        if applied[number]
    ]


def refuse_what_stays(run: PastRun, steps: Sequence[UndoStep], runs: Sequence[PastRun], host: str) -> None:
    """Raises Refused for a run of which nothing can be undone: it would be the newest one for ever, and nothing done is no success."""
    if not steps or any(step.is_undoable for step in steps):
        return
    raise Refused(
        f"run {run.id} cannot be undone",
        why="\n".join(f"{step.id}: {step.step['cannot_undo'] or 'nothing undoes it'}" for step in steps),
        fix=_run_before(run, runs, host),
    )


def nothing_left(run: PastRun, runs: Sequence[PastRun], host: str) -> Note:
    """What is said where all of the run was undone otherwise. The run before it is not taken in its place: nobody named it."""
    return Note("history", "; ".join(filter(None, (f"nothing of run {run.id} is left to undo", _run_before(run, runs, host)))))


def _run_before(run: PastRun, runs: Sequence[PastRun], host: str) -> str:
    older = choose(runs[: runs.index(run)], "", host)
    return f"undo the run before it: novaops undo {host} {older.id}" if older else ""


def _before(run: PastRun, step: int) -> dict[str, frozenset[str]]:
    """The files that earlier steps of the run had written, and the sha256 each had before."""
    actions = [action for n, index in run.applied if n < step and (action := run.manifest["steps"][n]["actions"][index])["kind"] == "file"]
    return {action["path"]: frozenset(one["before"] for one in actions if one["path"] == action["path"]) for action in actions}


def _made(run: PastRun) -> tuple[str, ...]:
    """The files and directories that were not there before the run."""
    files = [action["path"] for action in _applied(run) if action["kind"] == "file" and not action["before"]]
    return tuple(dict.fromkeys([*files, *filter(None, map(directory_of, _applied(run)))]))


def _tests(run: PastRun) -> tuple[str, ...]:
    """What tells of each of its commands that it is undone. A directory goes last, by what is in it then."""
    undos = [action["undo"]["holds"] for action in _applied(run) if action.get("undo") and not directory_of(action)]
    return tuple(dict.fromkeys(filter(None, undos)))


def _applied(run: PastRun) -> list[Mapping[str, Any]]:
    return [run.manifest["steps"][number]["actions"][index] for number, index in run.applied]


def _changed_after(run: PastRun, runs: Sequence[PastRun]) -> dict[str, str]:
    """The files that later runs changed, and the last run that did. One that took a later one back has changed nothing since `run`."""
    after = runs[runs.index(run) + 1 :]
    later = {other.id for other in after}
    return {
        action["path"]: other.id
        for other in after
        if not undone_by(other, runs) and other.manifest["undoes"] not in later
        for number, index in other.applied
        if (action := other.manifest["steps"][number]["actions"][index])["kind"] == "file"
    }


def undone_by(run: PastRun, runs: Sequence[PastRun]) -> str:
    """The run that undid `run`; "" when there is none, or that one was undone too."""
    backs = [other.id for other in runs if other.manifest["undoes"] == run.id and other.end == "ok" and not undone_by(other, runs)]
    return backs[-1] if backs else ""


def questions() -> tuple[Question[Any], ...]:
    return (Runs(),)


def details(facts: Facts) -> dict[str, Any]:
    """What `history --json` says of a host, the newest run first."""
    runs = facts.known(Runs())
    return {
        "runs": [
            {
                "run": run.id,
                "by": run.manifest["by"],
                "end": run.end,
                "undoes": run.manifest["undoes"],
                "undone_by": undone_by(run, runs),
                "steps": [{key: step[key] for key in ("resource", "risk", "changes")} for step in run.manifest["steps"]],
            }
            for run in reversed(runs)
        ]
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    return [(run["run"], run["by"], _ended(run), ", ".join(step["resource"] for step in run["steps"])) for run in found["runs"]]


def _ended(run: dict[str, Any]) -> str:
    if run["undone_by"]:
        return f"undone by {run['undone_by']}"
    end = words(run["end"])
    return f"{end}, undoes {run['undoes']}" if run["undoes"] else end
