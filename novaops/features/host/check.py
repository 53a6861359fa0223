"""A host looked at for `host check`."""

from __future__ import annotations

from dataclasses import asdict

from novaops.engine.query import Progress, ask, with_session
from novaops.engine.report import HostReport
from novaops.errors import NoRoot
from novaops.facts.guest_run import GuestRun
from novaops.facts.machine import Machine
from novaops.features.host.status import check, questions
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def check_host(target: Target, progress: Progress) -> HostReport:
    """A report with what `check` found: one exec, or two where the login cannot become root and is asked for less."""

    def work(session: Session) -> HostReport:
        try:
            found = check(ask(session, questions()))
        except NoRoot as error:
            found = check(ask(session, [Machine(), GuestRun()], root=False), error)
        return HostReport(target.name, "unchanged", details={"findings": [asdict(finding) for finding in found]})

    return with_session(target, progress, work)
