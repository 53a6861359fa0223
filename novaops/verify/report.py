"""What a verification found, as text and as the JSON document of novaops.engine.report. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from novaops.engine import report
from novaops.engine.report import HostReport, ReportLine, Status
from novaops.errors import HostFailed
from novaops.model.plan import Note
from novaops.shell import lines_of
from novaops.verify.observed_host import ObservedHost
from novaops.verify.plugin import Check

DRIFT = 3

Found = tuple[ObservedHost, Sequence[Check]]


def report_of(found: Found, unverified: Sequence[str]) -> HostReport:
    observed, checks = found
    notes = _not_verified(unverified)
    tested = {check.case.feature for check in checks}
    untested = [] if observed.error else [feature.name for feature in observed.entries if feature.name not in tested]
    notes += [Note(name, f"not verified: no test of the check for {name} applies to what is wanted here") for name in untested]
    lines = tuple(ReportLine(check.case.resource, _status(check)) for check in checks if not _same_error(check, observed))
    if observed.error is not None:
        failed = report.failure(observed.name, observed.error)
        status: Status = failed.status
    else:
        status = "failed" if not checks or any(check.status in {"failed", "broken"} for check in checks) else "unchanged"
    error = observed.error
    if error is None and not checks:
        error = HostFailed(
            "nothing was verified: no test applies to what is wanted here",
            why=f"There are tests for {', '.join(untested)}, and each leaves out every entry.",
            fix="look at what their applies(…) asks for",
        )
    return HostReport(observed.name, status, lines, tuple(notes), error, observed.session.execs, observed.seconds)


def left_out(host: str, unverified: Sequence[str]) -> HostReport:
    """Of a host that has nothing which could be verified."""
    return HostReport(host, "unchanged", notes=tuple(_not_verified(unverified)))


def _not_verified(sections: Sequence[str]) -> list[Note]:
    return [Note(name, f"not verified: there is no check for {name}") for name in sections]


def exit_code(found: Sequence[Found]) -> int:
    """Of several hosts the worst, in the order 1, 5, 3, 0."""
    codes = {_code(*one) for one in found}
    return next((code for code in report.WORST_FIRST if code in codes), 0)


def _code(observed: ObservedHost, checks: Sequence[Check]) -> int:
    if observed.error is not None:
        return report.failure(observed.name, observed.error).exit_code
    statuses = {check.status for check in checks}
    if "broken" in statuses or not checks:
        return 1
    return DRIFT if "failed" in statuses else 0


def as_json(found: Sequence[Found], reports: Sequence[HostReport], code: int) -> dict[str, Any]:
    """The one document, with what each check claims and what it says when that is not so. The reports of hosts left out come last."""
    document = report.as_json(reports, code)
    for host in document["hosts"]:
        host["rebooted"] = False
    for host, (observed, checks) in zip(document["hosts"], found, strict=False):
        shown = [check for check in checks if not _same_error(check, observed)]
        for step, check in zip(host["steps"], shown, strict=True):
            step |= {"check": check.case.claim.sentence, "message": check.message}
        host["rebooted"] = observed.reboots
    return document


def host_lines(found: Found, host: HostReport, verbose: int) -> Iterator[tuple[str, str]]:
    """Each line of a host, as (style, text): one for each check."""
    observed, checks = found
    for check in checks:
        if _same_error(check, observed):
            continue
        status = _status(check)
        said = check.case.claim.sentence if status == "unchanged" else check.message
        before = "not looked at: " if status == "skipped" else ""
        first, *more = said.split("\n")
        yield status, f"{report.GLYPHS[status]} {observed.name}  {check.case.resource}  {before}{first}"
        yield from (("", f"    {text}") for text in more)
        if verbose and status == "failed":
            yield "", f"    claimed: {check.case.entry} {check.case.claim.sentence}"
        if verbose > 1:
            yield from (("", f"    {text}") for text in lines_of(check.dump))
    if verbose:
        yield from (("", f"    $ {ran}") for ran in observed.ran)
    yield from report.host_lines(HostReport(host.host, host.status, notes=host.notes, error=host.error))
    if verbose > 1 and observed.error is not None:
        yield from (("", f"    {text}") for text in lines_of("".join(traceback.format_exception(observed.error))))


def _status(check: Check) -> str:
    return "failed" if check.status == "broken" else check.status


def _same_error(check: Check, observed: ObservedHost) -> bool:
    """Whether the check only repeats the error of the whole host."""
    return check.error is not None and check.error is observed.error
