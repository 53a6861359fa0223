"""The report of hosts: the lines for people, the JSON, and the exit code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from novaops.engine.planner import fresh_logins
from novaops.errors import GoingOn, NotBegun, NovaopsError, Refused, Unknown, Unreachable, UsageError
from novaops.model.plan import Change, Note, Risk, Step
from novaops.shell import lines_of, quote

Status = Literal[
    "unchanged", "changed", "would_change", "failed", "refused", "unreachable", "rolled_back", "going_on", "unknown", "not_begun"
]

GLYPHS: dict[str, str] = {
    "unchanged": "✓",
    "changed": "~",
    "would_change": "~",
    "failed": "✘",
    "refused": "!",
    "unreachable": "✘",
    "rolled_back": "✘",
    "going_on": "~",
    "unknown": "?",
    "not_begun": " ",
    "skipped": " ",
}
EXIT_CODES: dict[str, int] = {
    "unchanged": 0,
    "changed": 0,
    "failed": 1,
    "rolled_back": 1,
    "going_on": 1,
    "unknown": 1,
    "not_begun": 1,
    "would_change": 3,
    "refused": 4,
    "unreachable": 5,
}
WORST_FIRST = (2, 1, 4, 5, 3, 0)
RIGHT = frozenset({0, 3})
"""The exit codes of hosts on which nothing failed."""


@dataclass(frozen=True)
class ReportLine:
    """One resource of one host."""

    resource: str
    status: str
    changes: tuple[Change, ...] = ()
    risk: str = "none"
    cannot_undo: str = ""
    actions: tuple[str, ...] = ()
    """The actions, shown with -v."""
    guarded_by: str = ""
    """The fresh logins that must work; "" for what is not guarded."""


@dataclass(frozen=True)
class HostReport:
    host: str
    status: Status
    lines: tuple[ReportLine, ...] = ()
    notes: tuple[Note, ...] = ()
    error: NovaopsError | None = None
    execs: int = 0
    seconds: float = 0.0
    run: str = ""
    """The run's id, for `novaops undo`; "" when nothing was done."""
    logins: int = 0
    """Fresh logins, made to confirm what could lock somebody out."""
    details: dict[str, Any] = field(default_factory=dict)
    """The findings of a verb that only asks, such as `disk ls`."""

    @property
    def exit_code(self) -> int:
        return UsageError.exit_code if isinstance(self.error, UsageError) else EXIT_CODES[self.status]


def failure(host: str, error: NovaopsError, **counted: Any) -> HostReport:
    """The report of a host on which nothing could be planned or done."""
    kinds: dict[type[NovaopsError], Status] = {Refused: "refused", GoingOn: "going_on", Unknown: "unknown", NotBegun: "not_begun"}
    found = next((status for kind, status in kinds.items() if isinstance(error, kind)), None)
    return HostReport(host, found or ("unreachable" if error.exit_code == Unreachable.exit_code else "failed"), error=error, **counted)


_COMMAND = re.compile(r"\bnovaops (?=(?:host|disk|login|proxy|tunnel|vpn|api|eve|apply|plan|verify|history|undo)\b)")
_OF_HOST = re.compile(r"(\bnovaops (?:[a-z-]+ ){1,3})HOST\b(?![:\[])")

_ADVICE = frozenset({"fix", "why", "trouble"})
"""The keys of a report's details whose texts may hold commands."""


def typed(text: str, words: str, host: str = "") -> str:
    """The text, with its commands of novaops as they are to be typed here: with the global options, and of that host."""
    if host:
        text = _OF_HOST.sub(lambda found: found[1] + quote(host), text)
    return _COMMAND.sub(lambda _: f"novaops {words} ", text) if words else text


def typed_error(error: NovaopsError, words: str, host: str = "") -> None:
    """The same for what an error says."""
    error.why, error.fix = typed(error.why, words, host), typed(error.fix, words, host)


def typed_details(details: Any, words: str, host: str, *, advice: bool = False) -> Any:
    """The same for the findings of a verb that only asks."""
    if isinstance(details, dict):
        return {key: typed_details(value, words, host, advice=key in _ADVICE) for key, value in details.items()}
    if isinstance(details, list):
        return [typed_details(value, words, host, advice=advice) for value in details]
    return typed(details, words, host) if advice and isinstance(details, str) else details


def line_of(step: Step, status: str) -> ReportLine:
    guarded_by = ", ".join(map(str, fresh_logins([step]))) if step.risk is Risk.LOCKOUT else ""
    return ReportLine(step.resource, status, step.changes, step.risk.value, step.cannot_undo, tuple(map(str, step.actions)), guarded_by)


def exit_code(reports: Iterable[HostReport]) -> int:
    """Of several hosts the worst, in the order 1, 4, 5, 3, 0."""
    codes = {report.exit_code for report in reports}
    return next((code for code in WORST_FIRST if code in codes), 0)


# -- for machines -----------------------------------------------------------------------------------------------------


def as_json(reports: Sequence[HostReport], code: int | None = None) -> dict[str, Any]:
    """The one document of --json."""
    return {
        "hosts": [
            {
                "host": report.host,
                "status": report.status,
                "steps": [
                    {
                        "resource": line.resource,
                        "status": line.status,
                        "risk": line.risk,
                        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in line.changes],
                    }
                    for line in report.lines
                ],
                "notes": [{"resource": note.resource, "text": note.text} for note in report.notes],
                "error": error_json(report.error),
                "execs": report.execs,
                "seconds": round(report.seconds, 2),
                **({"fresh_logins": report.logins} if report.logins else {}),
                **({"run": report.run} if report.run else {}),
                **report.details,
            }
            for report in reports
        ],
        "exit_code": exit_code(reports) if code is None else code,
    }


def error_json(error: NovaopsError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}


def no_hosts_json(error: NovaopsError) -> dict[str, Any]:
    """The document of a call that contacted nothing."""
    return {"hosts": [], "error": error_json(error), "exit_code": error.exit_code}


# -- for people -------------------------------------------------------------------------------------------------------


def lines(reports: Sequence[HostReport], *, diff: bool = False, verbose: bool = False) -> Iterator[tuple[str, str]]:
    """The lines of all hosts, as (style, text). Hosts on which nothing was begun share one for each reason."""
    waiting: dict[str, list[str]] = {}
    for report in reports:
        if report.status == "not_begun" and report.error and not report.lines:
            waiting.setdefault(report.error.what, []).append(report.host)
        else:
            yield from host_lines(report, diff=diff, verbose=verbose)
    for why, hosts in waiting.items():
        yield "", f"  not begun: {', '.join(hosts)}"
        yield "", f"    {why}"


def host_lines(report: HostReport, *, diff: bool = False, verbose: bool = False) -> Iterator[tuple[str, str]]:
    """Each line of a host, as (style, text). The style is the status; "" for continuation lines."""
    for line in report.lines:
        if line.status == "skipped":
            yield "", f"  {report.host}  {line.resource}  not done"
            continue
        fields = f"  ({', '.join(dict.fromkeys(change.field for change in line.changes))})" if line.changes else ""
        yield line.status, f"{GLYPHS[line.status]} {report.host}  {line.resource}  {words(line.status)}{fields}"
        for change in line.changes:
            yield from _change(line, change, diff=diff)
        if line.risk == Risk.LOCKOUT.value and line.status == "would_change":
            yield "", f"    guarded: the host rolls it back unless a fresh login works: {line.guarded_by}"
        if line.cannot_undo and line.status in {"changed", "would_change"}:
            yield "", f"    not undone by undo: {line.cannot_undo}"
        if verbose:
            yield from (("", f"    $ {action}") for action in line.actions)
    for note in report.notes:
        yield "", f"  {report.host}  {note.resource}  {note.text}"
    if report.error is not None:
        yield from error_lines(report.error, report.status, report.host)


def error_lines(error: NovaopsError, status: str = "failed", host: str = "") -> Iterator[tuple[str, str]]:
    """The error's three parts, as lines."""
    where = f"{host}  {words(status)}: " if host else ""
    yield status, f"{GLYPHS.get(status, '✘')} {where}{error.what}"
    for part in (error.why, error.fix and f"→ {error.fix}"):
        yield from (("", f"    {text}") for text in lines_of(part or ""))


def summary(reports: Sequence[HostReport], seconds: float | None = None) -> str:
    """3 hosts: 1 unchanged, 2 changed (7 execs, 6.2 s)"""
    counts: dict[str, int] = {}
    for report in reports:
        counts[report.status] = counts.get(report.status, 0) + 1
    hosts = f"{len(reports)} host{'' if len(reports) == 1 else 's'}"
    said = ", ".join(f"{number} {words(status)}" for status, number in counts.items())
    execs = sum(report.execs for report in reports)
    logins = sum(report.logins for report in reports)
    fresh = f", {logins} fresh login{'' if logins == 1 else 's'}" if logins else ""
    took = "" if seconds is None else f", {seconds:.1f} s"
    return f"{hosts}{': ' if said else ''}{said} ({execs} exec{'' if execs == 1 else 's'}{fresh}{took})"


def words(status: str) -> str:
    return status.replace("_", " ")


def _change(line: ReportLine, change: Change, *, diff: bool) -> Iterator[tuple[str, str]]:
    long = any("\n" in (text or "") for text in (change.before, change.after))
    if not long:
        before = "" if change.before is None else f"{change.before} → "
        yield "", f"    {change.field}: {before}{'gone' if change.after is None else change.after}"
    elif diff:
        import difflib

        texts = (lines_of(change.before or ""), lines_of(change.after or ""))
        names = (f"{line.resource} (now)", f"{line.resource} (wanted)")
        yield from (("diff", f"    │ {text}") for text in difflib.unified_diff(*texts, *names, lineterm=""))
