"""novaops plan, novaops apply: everything the inventory wants of its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Diff, GuardedRun, Hosts, Options, verb

if TYPE_CHECKING:
    from novaops.engine.converge import RunOptions

Only = Annotated[str, typer.Option("--only", metavar="SECTION,...", help="These sections only.")]


def register(app: typer.Typer) -> None:
    verb(app)(plan)
    verb(app)(apply)


def plan(options: Options, hosts: Hosts = None, *, only: Only = "", diff: Diff = False) -> int:
    """Show what apply would change. Exit 3 if it would change something."""
    from novaops.engine.converge import RunOptions

    return _converge(options, hosts, only, RunOptions(check=True), diff=diff)


def apply(options: Options, hosts: Hosts = None, *, only: Only = "", run: GuardedRun) -> int:
    """Make hosts as the inventory wants them, and prove it."""
    return _converge(options, hosts, only, run.options(), diff=run.diff)


def _converge(options: Options, hosts: list[str] | None, only: str, run: RunOptions, *, diff: bool) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.errors import UsageError

    sections = [name for name in only.split(",") if name] or None
    _, playbooks = options.known()
    if unknown := [name for name in sections or () if name not in playbooks.by_name]:
        raise UsageError(f"there is no section {unknown[0]}", fix=f"there are {', '.join(playbooks.by_name)}")
    return converge_hosts(
        options,
        hosts or [],
        run,
        wanted=lambda known, playbooks, host: playbooks.desired(known, host, sections),
        diff=diff,
    )
