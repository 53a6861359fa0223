"""novaops history, novaops undo: what was done to a host, and taking it back."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import GuardedRun, OneHost, Options, verb
from novaops.errors import UsageError

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


def undo(options: Options, host: OneHost, run: Run = "", *, how: GuardedRun) -> int:
    """Take a run back, and prove it: of a group each host's newest one. What changed since is never overwritten."""
    import time

    from novaops.cli import output
    from novaops.cli.options import PARALLEL
    from novaops.engine import parallel
    from novaops.engine.undo import undo as undo_run

    started = time.monotonic()
    known, _ = options.known()
    hosts = known.find([host])
    if run and len(hosts) > 1:
        raise UsageError(f"run {run} is one host's, and {host} is a group of {len(hosts)}", fix=f"novaops undo HOST {run}")
    targets = options.targets(hosts)
    with output.progress(list(targets)) as tell:
        work = parallel.each(targets.values(), lambda target: undo_run(target, run, how.options(), tell), options.parallel or PARALLEL)
    return output.show(options, work, started, diff=how.diff)
