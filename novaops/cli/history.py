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
    from novaops.cli.options import INTERRUPTED, PARALLEL
    from novaops.engine.rollout import Interrupted, roll_out
    from novaops.engine.undo import Undo

    started = time.monotonic()
    known, _ = options.known()
    hosts = known.find([host])
    if run and len(hosts) > 1:
        raise UsageError(f"run {run} is one host's, and {host} is a group of {len(hosts)}", fix=f"novaops undo HOST {run}")
    going, code = how.options(), None
    here = [one for one in hosts if going.rollout.has(one.name, *(other.name for other in known.same_as(one)))]
    targets = options.targets(here, changing=True)
    with output.progress(list(targets)) as tell:
        groups = [Undo(target, run, going, tell) for target in targets.values()]
        try:
            reports = roll_out(groups, going.rollout, going.begun, tell, options.parallel or PARALLEL)
        except Interrupted as stop:
            reports, code = stop.reports, INTERRUPTED
    shard = str(going.rollout.shard or "")
    return output.show(options, options.noted(reports), started, diff=how.diff, code=code, shard=shard, changing=not how.check)
