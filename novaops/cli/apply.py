"""novaops plan, novaops apply: everything the inventory wants of its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from novaops.cli.options import Diff, GuardedRun, Hosts, Only, Options, Shard, sections, verb

if TYPE_CHECKING:
    from novaops.engine.converge import RunOptions


def register(app: typer.Typer) -> None:
    verb(app)(plan)
    verb(app)(apply)


def plan(options: Options, hosts: Hosts = None, *, only: Only = None, diff: Diff = False, shard: Shard = None) -> int:
    """Show what apply would change. Exit 3 if it would change something."""
    from novaops.engine.converge import RunOptions
    from novaops.engine.rollout import read

    return _converge(options, hosts, only, RunOptions(check=True, rollout=read(shard=shard)), diff=diff)


def apply(options: Options, hosts: Hosts = None, *, only: Only = None, run: GuardedRun) -> int:
    """Make hosts as the inventory wants them, and prove it."""
    return _converge(options, hosts, only, run.options(), diff=run.diff)


def _converge(options: Options, hosts: list[str] | None, only: str | None, run: RunOptions, *, diff: bool) -> int:
    from novaops.cli.section_verb import converge_hosts

    _, playbooks = options.known()
    named = sections(only, playbooks.by_name)
    return converge_hosts(
        options,
        hosts or [],
        run,
        wanted=lambda known, playbooks, host: playbooks.desired(known, host, named),
        diff=diff,
    )
