"""novaops history, novaops undo: what was done to a host, and taking it back."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import Check, Guard, NoWait, OneHost, Options, verb
from novaops.engine.guard import SECONDS

Run = Annotated[str, typer.Argument(metavar="[RUN]", help="The run's id, or its beginning; without it the newest one that stands.")]


def register(app: typer.Typer) -> None:
    verb(app)(history)
    verb(app)(undo)


def history(options: Options, host: OneHost) -> int:
    """What novaops did to a host, the newest run first."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.engine import undo as undoing

    reports, started = ask_hosts(options, [host], undoing.questions(), undoing.details)
    return show_rows(options, reports, started, ("RUN", "BY", "END", "RESOURCES"), undoing.rows)


def undo(options: Options, host: OneHost, run: Run = "", *, check: Check = False, no_wait: NoWait = False, guard: Guard = SECONDS) -> int:
    """Take a run back, and prove it. What changed since is never overwritten."""
    import time

    from novaops.cli import output
    from novaops.engine.converge import RunOptions
    from novaops.engine.undo import undo as take_back

    started = time.monotonic()
    known, _ = options.known()
    (found,) = known.find([host])[:1]
    target = options.targets([found])[found.name]
    with output.progress([found.name]) as tell:
        report = take_back(target, run, RunOptions(check, not no_wait, guard=guard), tell)
    return output.show(options, [report], started)
