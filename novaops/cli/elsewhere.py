"""`--executor`: a command over many machines, from its words to the one report of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from novaops.cli import output
from novaops.cli.options import INTERRUPTED, PARALLEL, TIMEOUT, Options
from novaops.engine import dask_client, merge
from novaops.engine.converge import RunOptions
from novaops.engine.inventory import Inventory
from novaops.engine.report import exit_code
from novaops.errors import UsageError


def refuse_what_does_not_travel(options: Options, run: RunOptions) -> None:
    """Raises UsageError for what a command over many machines cannot keep to."""
    if options.ask_sudo_password:
        fix = "write sudo_password: with env:, file: or cmd: in the inventory: each worker reads it itself"
        raise UsageError("--ask-sudo-password does not go with --executor: a secret would travel", fix=fix)
    if options.persist is not None:
        fix = "write persist: in the inventory: each worker keeps connections of its own"
        raise UsageError("--persist does not go with --executor", fix=fix)
    if run.rollout.serial or run.rollout.stop_after:
        fix = "leave out --executor: a careful roll-out is one machine's"
        raise UsageError("--serial and --stop-after do not go with --executor: the workers do not wait for each other", fix=fix)


def converge_elsewhere(
    options: Options, run: RunOptions, known: Inventory, groups: Sequence[Sequence[str]], batch: Mapping[str, Any], *, diff: bool
) -> int:
    """Work on the groups of hosts, on the workers of the run's executor, and show how it went. Gives the exit code."""
    assert run.executor
    refuse_what_does_not_travel(options, run)
    names = [name for group in groups for name in group]
    whole = {
        **batch,
        "inventory": str(Path(known.file).resolve()),
        "folder": str(Path.cwd()),
        "limit": ",".join(sorted(known.limit.names.intersection(names))) or None if known.limit else None,
        "parallel": options.parallel or PARALLEL,
        "timeout": options.timeout or TIMEOUT,
        "check": run.check,
        "wait": run.wait,
        "guard": run.guard,
    }
    with output.progress(names) as tell:
        command = dask_client.run(run.executor, whole, groups, tell)
    merged = merge.merge([merge.part(document) for document in command.documents], known.hosts)
    if options.json and known.limit and known.limit.gone:
        for host in merged["hosts"]:  # the workers know nothing of it: they are sent names
            host["notes"].append({"resource": "--limit", "text": known.limit.gone})
    reports, shard = merge.reports(merged), str(run.rollout.shard or "")
    merged |= {"shard": shard} if shard else {}
    merged["exit_code"] = INTERRUPTED if command.interrupted else merge.worst([merged["exit_code"], exit_code(reports)])
    if not run.check:
        output.remember(known, reports)
    if options.json:
        output.document(merged)
    else:
        output.show_merged(output.prepare(options, reports), (), diff=diff, shard=shard)
    return int(merged["exit_code"])
