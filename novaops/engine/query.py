"""One host, asked and left as it is: what `disk ls`, `host facts`, `host check` and `history` stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from novaops.engine.converge import ask, with_session
from novaops.engine.report import HostReport
from novaops.model.question import Facts, Question
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def ask_host(target: Target, questions: Sequence[Question[Any]], details: Callable[[Facts], dict[str, Any]]) -> HostReport:
    """A report that carries what `details` makes of the answers: one exec. Errors are values of the report."""

    def work(session: Session) -> HostReport:
        return HostReport(target.name, "unchanged", details=details(ask(session, questions)))

    return with_session(target, silent, work)


def silent(host: str, doing: str) -> None:
    """Progress that nobody needs: one exec is over before it could be read."""
