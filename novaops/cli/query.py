"""From the words of a command line to answers: the way that every verb takes that only looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from novaops.cli import output
from novaops.cli.options import PARALLEL, Options
from novaops.engine import parallel as fleet
from novaops.engine import report
from novaops.engine.query import ask_host
from novaops.engine.report import HostReport
from novaops.errors import NotBegun, as_sentence
from novaops.model.question import Facts, Question
from novaops.ssh.target import Target


def ask_hosts(
    options: Options,
    words: Sequence[str],
    questions: Sequence[Question[Any]],
    details: Callable[[Facts], dict[str, Any]],
    section: str | None = None,
) -> tuple[list[HostReport], float]:
    """A report for each host, for no words each that has `section`; and when the asking began."""
    return on_hosts(options, words, lambda target: ask_host(target, questions, details), section)


def on_hosts(
    options: Options, words: Sequence[str], work: Callable[[Target], HostReport], section: str | None = None
) -> tuple[list[HostReport], float]:
    """What `work` reports of each host, and when it began. Every error becomes a value of the report.

    Raises Interrupted at Ctrl-C, with the reports of those that have answered.
    """
    done: dict[str, HostReport] = {}

    def one(target: Target) -> HostReport:
        try:
            found = work(target)
        except Exception as error:  # noqa: BLE001 - one host's bug must not take the other hosts' reports away
            found = report.failure(target.name, as_sentence(error))
        done[target.name] = found
        return found

    started = time.monotonic()
    known, _ = options.known()
    targets = options.targets(known.find(words, section))
    try:
        return options.noted(fleet.each(list(targets.values()), one, options.parallel or PARALLEL)), started
    except KeyboardInterrupt:
        from novaops.engine.rollout import Interrupted

        answered = dict(done)
        left = [answered.get(name) or report.failure(name, NotBegun("interrupted")) for name in targets]
        raise Interrupted(options.noted(left)) from None


def not_there(options: Options, section: str, found: Mapping[str, Container[str]]) -> dict[str, list[Any]]:
    """By host the present entries of its section whose names are not among those that were found there. Raises InventoryError."""
    known, playbooks = options.known()
    hosts = [known.hosts[name] for name in found if name in known.hosts and section in known.hosts[name].sections]
    entries = {host.name: playbooks.by_name[section].settings(known, host) for host in hosts}
    return {name: [one for one in its if one.state == "present" and one.name not in found[name]] for name, its in entries.items()}


def show_rows(
    options: Options,
    reports: Sequence[HostReport],
    started: float,
    headers: Sequence[str],
    rows: Callable[[dict[str, Any]], Sequence[Sequence[str]]],
) -> int:
    """One table over all hosts, or the JSON document; then what went wrong. Gives the exit code."""
    code = report.exit_code(reports)
    reports = output.prepare(options, reports)
    if options.json:
        output.document(report.as_json(reports))
        return code
    several = len(reports) > 1
    body = [
        (*([host.host] if several else []), *row) for host in reports if not host.error for row in _typed(options, host, rows(host.details))
    ]
    if body:
        output.table([*(["HOST"] if several else []), *headers], body)
    for host in reports:
        if host.error:
            for style, text in report.error_lines(host.error, host.status, host.host):
                output.line(text, output.STYLES.get(style, ""))
    if several or code or not body:
        output.line(report.summary(reports, time.monotonic() - started))
    return code


def _typed(options: Options, host: HostReport, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[report.typed(cell, options.to_type(), host.host) for cell in row] for row in rows]
