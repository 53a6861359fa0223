"""A lab's run within a session of its own: what it did is a report, whatever happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from novaops.engine.query import Progress, with_session
from novaops.engine.report import HostReport, ReportLine, Status, failure
from novaops.errors import NovaopsError
from novaops.features.eve.api_access import Access, open_api
from novaops.features.eve.lab_run import LabRun
from novaops.features.eve.topology import Topology
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def run_lab(
    target: Target,
    access: Access,
    topology: Topology,
    work: Callable[[LabRun], None],
    progress: Progress,
    warn: Callable[[str], None],
    wait: float = 0,
    said: str = "",
) -> HostReport:
    """The report of `work` on the lab. Errors are values of it, and what was done before one stays in it."""

    def on_session(session: Session) -> HostReport:
        progress(target.name, "logging in to EVE-NG")
        with open_api(session, access, warn) as api:
            run = LabRun(session, api, topology, lambda text: progress(target.name, text), wait, said)
            try:
                work(run)
            except NovaopsError as error:
                return replace(failure(target.name, error), lines=tuple(run.lines), notes=tuple(run.notes))
            return HostReport(target.name, _status(run.lines), tuple(run.lines), tuple(run.notes), details=run.details)

    return with_session(target, progress, on_session)


def _status(lines: list[ReportLine]) -> Status:
    said = {line.status for line in lines}
    return "would_change" if "would_change" in said else "changed" if "changed" in said else "unchanged"
