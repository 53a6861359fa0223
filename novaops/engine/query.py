"""One host, asked and left as it is: what `disk ls`, `host facts`, `host check` and `history` stand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from novaops.engine import probe
from novaops.engine.report import HostReport, failure
from novaops.errors import HostFailed, as_sentence
from novaops.model.question import Facts, Question
from novaops.ssh import kept
from novaops.ssh.launch import begun_hint
from novaops.ssh.session import Session
from novaops.ssh.target import Target


class Progress(Protocol):
    """A callback that is told what a host is at, in a few words."""

    def __call__(self, host: str, doing: str) -> None: ...


def silent(host: str, doing: str) -> None:
    """Progress that nobody needs: one exec is over before it could be read."""


def ask_host(target: Target, questions: Sequence[Question[Any]], details: Callable[[Facts], dict[str, Any]]) -> HostReport:
    """A report that carries what `details` makes of the answers: one exec. Errors are values of the report."""

    def work(session: Session) -> HostReport:
        return HostReport(target.name, "unchanged", details=details(ask(session, questions)))

    return with_session(target, silent, work, looks=True)


def with_session(target: Target, progress: Progress, work: Callable[[Session], HostReport], *, looks: bool = False) -> HostReport:
    """The report of `work` on a session of its own, with the execs and seconds it took. Every error becomes a value of the report.

    `looks`: the work only asks, so that a kept connection will do; else the session is open.
    """
    started = time.monotonic()
    session = Session(target)
    try:
        progress(target.name, "connecting")
        if not looks:
            session.open()
        report = work(session)
    except Exception as error:  # noqa: BLE001 - one host's bug must not take the other hosts' reports away
        report = failure(target.name, as_sentence(error))
    finally:
        session.close()
    return replace(report, execs=session.execs, seconds=time.monotonic() - started)


def ask(session: Session, questions: Sequence[Question[Any]], *, root: bool = True) -> Facts:
    """The answers to all questions: one exec. Raises HostFailed, Unreachable.

    Asked without being root, what only root may read is unknown.
    """
    asked = probe.families(questions)
    mark = probe.boundary()
    script = probe.script(asked, mark)
    output = kept.look(session, script) if root else session.run(script, root=False)
    if mark not in output.stdout:
        raise HostFailed(
            f"{session.target} did not run the probe (exit status {output.status})",
            why=output.stderr.strip(),
            fix=begun_hint(output.status, session.target) if root else "",
        )
    return probe.read(asked, mark, output.stdout)
