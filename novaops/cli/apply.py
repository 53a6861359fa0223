"""novaops plan, novaops apply: everything the inventory wants of its hosts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from novaops.cli.options import Diff, Executor, GuardedRun, Hosts, Only, Options, Shard, sections, verb

if TYPE_CHECKING:
    from novaops.engine.converge import RunOptions


def register(app: typer.Typer) -> None:
    verb(app)(plan)
    verb(app)(apply)


def plan(
    options: Options, hosts: Hosts = None, *, only: Only = None, diff: Diff = False, shard: Shard = None, executor: Executor = None
) -> int:
    """Show what apply would change. Exit 3 if it would change something."""
    from novaops.engine.converge import RunOptions
    from novaops.engine.rollout import read

    run = _on(executor, RunOptions(check=True, rollout=read(shard=shard)))
    return converge_sections(options, hosts or [], only, run, diff=diff)


def apply(options: Options, hosts: Hosts = None, *, only: Only = None, run: GuardedRun, executor: Executor = None) -> int:
    """Make hosts as the inventory wants them, and prove it."""
    return converge_sections(options, hosts or [], only, _on(executor, run.options()), diff=run.diff)


def _on(executor: str | None, run: RunOptions) -> RunOptions:
    """The run on the executor of that name, if there is one. Raises UsageError."""
    if executor is None:
        return run
    from novaops.engine.dask_client import Scheduler

    return replace(run, executor=Scheduler.read(executor))


def converge_sections(options: Options, hosts: list[str], only: str | None, run: RunOptions, *, diff: bool = False) -> int:
    """Converge the hosts to these sections of theirs; without `only` to all. Gives the exit code."""
    from novaops.cli.section_verb import converge_hosts

    _, playbooks = options.known()
    named = sections(only, playbooks.by_name)
    return converge_hosts(
        options,
        hosts,
        run,
        wanted=lambda known, playbooks, host: playbooks.desired(known, host, named),
        diff=diff,
        words_of_batch={"words": hosts, "sections": only},
    )
