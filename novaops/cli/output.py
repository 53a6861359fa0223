"""The terminal: results on stdout, progress on stderr, colour where a person looks, plain lines where a machine does.

It is the one border of what is shown: all that is printed goes through `formats.visible` here, whoever wrote it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from novaops.cli.options import Options
from novaops.engine import last_run, report
from novaops.engine.query import Progress
from novaops.engine.report import HostReport
from novaops.errors import NotWritten, NovaopsError
from novaops.formats import visible
from novaops.shell import lines_of

if TYPE_CHECKING:
    from novaops.engine.inventory import Inventory
    from novaops.model.plan import Note

STYLES = {
    "unchanged": "green",
    "changed": "yellow",
    "would_change": "yellow",
    "failed": "bold red",
    "rolled_back": "bold red",
    "refused": "bold magenta",
    "unreachable": "bold red",
    "going_on": "yellow",
    "unknown": "bold red",
}


MANY = 20
"""With more hosts than that only those at work are shown on a terminal, and elsewhere nothing of what every host goes through."""

ROUTINE = frozenset({"connecting", "looking", "proving"})
ENDS = frozenset(map(report.words, report.EXIT_CODES))


_WHOLE_LINES = threading.Lock()
"""Hosts tell what they are at from threads of their own."""


def colourful(stream: Any) -> bool:
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def show(
    options: Options,
    reports: Sequence[HostReport],
    started: float,
    *,
    diff: bool = False,
    code: int | None = None,
    shard: str = "",
    changing: bool = False,
) -> int:
    """Print the reports, and give the exit code: that of the reports unless `code` is given.

    `shard` is the part of all hosts that they are of. With `changing` they are of a run, which --limit @failed knows.
    """
    if changing:
        remember(options.known()[0], reports)
    code = report.exit_code(reports) if code is None else code
    reports = prepare(options, reports)
    if options.json:
        document({**report.as_json(reports, code), **({"shard": shard} if shard else {})})
        return code
    _show_lines(report.lines(reports, diff=diff, verbose=options.verbose > 0))
    line(report.summary(reports, time.monotonic() - started) + (f", shard {shard}" if shard else ""))
    return code


def show_merged(reports: Sequence[HostReport], errors: Sequence[NovaopsError], *, diff: bool = False, shard: str = "") -> None:
    """Print reports that were made elsewhere, and what is wrong with whole parts of them. `shard` as in `show`."""
    _show_lines(report.lines(reports, diff=diff))
    for error in errors:
        _show_lines(report.error_lines(error))
    line(report.summary(reports) + (f", shard {shard}" if shard else ""))


def _show_lines(lines: Iterable[tuple[str, str]]) -> None:
    for style, text in lines:
        line(text, STYLES.get(style, _diff_style(text) if style == "diff" else ""))


def remember(known: Inventory, reports: Sequence[HostReport]) -> None:
    """Keep which hosts failed, for --limit @failed. Where that cannot be kept it is said, and nothing else depends on it."""
    try:
        last_run.record(known.file, reports)
    except OSError as error:
        complain(f"--limit {last_run.FAILED} will not know this run: {error}")


def prepare(options: Options, reports: Sequence[HostReport]) -> list[HostReport]:
    """The reports, with their commands as they are to be typed here; with -vv it is said on stderr where each error came from."""
    for host in reports:
        if host.error is not None:
            report.typed_error(host.error, options.to_type(), host.host)
        for key, value in host.details.items():
            host.details[key] = report.typed_details(value, options.to_type(), host.host)
    if options.verbose > 1:
        for host in reports:
            if host.error is not None:
                trace(host.error)
    return [replace(host, notes=tuple(_typed(note, options, host.host) for note in host.notes)) for host in reports]


def _typed(note: Note, options: Options, host: str) -> Note:
    return replace(note, text=report.typed(note.text, options.to_type(), host))


def document(data: Any) -> None:
    """The one JSON document of a call."""
    text = json.dumps(visible.document(data), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    _write(text.encode("utf-8", "replace").decode() + "\n", sys.stdout)  # a host's bytes that are no text have no place in JSON


def trace(error: BaseException) -> None:
    """The traceback of an error, on stderr. Indented: the message of an error may have lines that look like ours."""
    for one in lines_of("".join(traceback.format_exception(error))):
        complain(f"    {one}")


def complain(text: str) -> None:
    """A line on stderr: an error, or what is worth knowing beside the results."""
    _plain_line(text, sys.stderr)


def lines(text: str) -> None:
    """A text of several lines, on stdout."""
    for one in text.split("\n"):
        _plain_line(one, sys.stdout)


def piece(text: str, stream: TextIO | None = None) -> None:
    """A part of a text of several lines, at once: on stdout unless said otherwise."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    _write(visible.lines(text.replace("\r", "")).encode(encoding, "replace").decode(encoding), stream, flush=True)


def line(text: str, style: str = "") -> None:
    """A line on stdout."""
    text = visible.line(text)
    if style and colourful(sys.stdout):
        from rich.console import Console
        from rich.text import Text

        Console(soft_wrap=True, highlight=False).print(Text(text, style=style))
    else:
        _plain_line(text, sys.stdout)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; aligned columns, with no frame, everywhere else. A cell is one line."""
    rows = [[visible.line(cell.replace("\n", " ")) for cell in row] for row in rows]
    if colourful(sys.stdout):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*headers, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)
        return
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(len(headers))]
    for row in [headers, *rows]:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(hosts: Sequence[str]) -> Iterator[Progress]:
    """Tell what each host is at, on stderr: a live line for each on a terminal, a plain line for each change elsewhere."""
    if not colourful(sys.stderr):
        over = threading.Event()

        def tell_plainly(host: str, doing: str) -> None:
            if not over.is_set() and not (len(hosts) > MANY and doing in ROUTINE):
                _plain_line(f"{host}: {doing}", sys.stderr)

        yield tell_plainly
        over.set()  # after Ctrl-C threads of hosts may still be at work
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    words = (TextColumn("{task.fields[host]}", markup=False), TextColumn("{task.description}", style="dim", markup=False))
    columns = (SpinnerColumn(), *words, TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        many, ended = len(hosts) > MANY, set[str]()
        tasks = {host: bars.add_task("waiting for its turn", host=visible.line(host), total=None, visible=not many) for host in hosts}
        count = bars.add_task("", host=f"0 of {len(hosts)} hosts", total=None, visible=many)
        lock = threading.Lock()

        def tell(host: str, doing: str) -> None:
            with lock:
                if doing in ENDS:
                    ended.add(host)
                    bars.update(count, host=f"{len(ended)} of {len(hosts)} hosts")
                bars.update(tasks[host], description=visible.line(doing), visible=not many or doing not in ENDS)

        yield tell


def _plain_line(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    _write(visible.line(text).encode(encoding, "replace").decode(encoding) + "\n", stream, flush=stream is sys.stderr)


def _write(text: str, stream: TextIO, *, flush: bool = False) -> None:
    """Raises NotWritten. What standard error does not take is left unsaid: no work on a host ends for that."""
    try:
        with _WHOLE_LINES:
            stream.write(text)
            if flush:
                stream.flush()
    except OSError as error:
        if stream is not sys.stderr:
            raise NotWritten(error) from error


def _diff_style(text: str) -> str:
    mark = text.strip().removeprefix("│ ")[:1]
    return {"+": "green", "-": "red", "@": "cyan"}.get(mark, "")
