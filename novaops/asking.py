"""One host, asked and left as it is: what `disk ls`, `host facts`, `host check` and `history` stand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from novaops.converge import ask
from novaops.errors import NovaopsError
from novaops.facts import Facts, Question
from novaops.report import HostReport, failure
from novaops.transport import Session, Target


def ask_host(target: Target, questions: Sequence[Question[Any]], details: Callable[[Facts], dict[str, Any]]) -> HostReport:
    """A report that carries what `details` makes of the answers: one exec. Errors are values of the report."""
    started = time.monotonic()
    session = Session(target)
    try:
        with session:
            found = details(ask(session, questions))
        report = HostReport(target.name, "unchanged", details=found)
    except NovaopsError as error:
        report = failure(target.name, error)
    return HostReport(**{**vars(report), "execs": session.execs, "seconds": time.monotonic() - started})
