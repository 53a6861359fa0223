"""novaops verify: whether hosts are as the inventory wants them, checked independently of the engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import INTERRUPTED, PARALLEL, Hosts, Only, Options, Shard, sections, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novaops.engine.report import HostReport
    from novaops.verify.report import Found

Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results there as JUnit XML too.")]
Reboot = Annotated[bool, typer.Option("--reboot", help="REBOOT each host on which all is right, and check what survives.")]


def register(app: typer.Typer) -> None:
    verb(app)(verify)


def verify(
    options: Options, hosts: Hosts = None, *, only: Only = None, junit: Junit = None, reboot: Reboot = False, shard: Shard = None
) -> int:
    """Check independently whether hosts are as the inventory wants them. Exit 3 if one is not."""
    from novaops.cli import output
    from novaops.engine import rollout
    from novaops.errors import NotBegun
    from novaops.verify import report as outcome
    from novaops.verify import runner, selection

    started = time.monotonic()
    known, playbooks = options.known()
    chosen, left_out = selection.choose(known, playbooks, hosts or [], sections(only, playbooks.by_name) or [])
    part = rollout.read(shard=shard)
    chosen, left_out = ([one for one in some if part.has(one.host.name)] for some in (chosen, left_out))
    if junit is not None:
        selection.refuse_unwritable(junit)
    targets = options.targets([one.host for one in chosen])
    with output.progress(list(targets)) as tell:
        for one in left_out:
            output.complain(f"{one.host.name}: not verified: there is no check for {', '.join(one.unverified)}")
        try:
            found = runner.verify(
                list(targets.values()),
                {one.host.name: one.entries for one in chosen},
                tell,
                parallel=options.parallel or PARALLEL,
                junit=junit,
                reboot=reboot,
            )
            code = outcome.exit_code(found)
        except runner.Interrupted as stop:
            found, code = stop.found, INTERRUPTED
    if code == INTERRUPTED:
        told = sum(not isinstance(one.error, NotBegun) for one, _ in found)
        output.complain("")
        output.complain(f"Interrupted. Of {len(found)} hosts {told} had answered.")
    reports = options.noted(
        [
            *(outcome.report_of(one, its.unverified) for one, its in zip(found, chosen, strict=True)),
            *(outcome.left_out(one.host.name, one.unverified) for one in left_out),
        ]
    )
    return _show(options, found, reports, code, started, shard or "")


def _show(options: Options, found: Sequence[Found], reports: Sequence[HostReport], code: int, started: float, shard: str) -> int:
    """Print the reports: of the hosts found, and then of those left out, which people were told of before. Gives the exit code."""
    from novaops.cli import output
    from novaops.engine import report
    from novaops.verify import report as outcome

    reports = output.prepare(options, reports)
    if options.json:
        output.document({**outcome.as_json(found, reports, code), **({"shard": shard} if shard else {})})
        return code
    reports = reports[: len(found)]
    for one, host in zip(found, reports, strict=True):
        for style, text in outcome.host_lines(one, host, options.verbose):
            output.line(text, output.STYLES.get(style, ""))
    output.line(report.summary(reports, time.monotonic() - started))
    return code
