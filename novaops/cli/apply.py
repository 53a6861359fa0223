"""novaops plan, novaops apply: everything the inventory wants of its hosts."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.frame import Check, Diff, Hosts, NoWait, Options, verb

Only = Annotated[str, typer.Option("--only", metavar="SECTION,...", help="These sections only.")]


def register(app: typer.Typer) -> None:
    verb(app)(plan)
    verb(app)(apply)


def plan(options: Options, hosts: Hosts = None, *, only: Only = "", diff: Diff = False) -> int:
    """Show what apply would change. Exit 3 if it would change something."""
    return _converge(options, hosts, only, check=True, diff=diff, no_wait=False)


def apply(
    options: Options, hosts: Hosts = None, *, only: Only = "", check: Check = False, diff: Diff = False, no_wait: NoWait = False
) -> int:
    """Make hosts as the inventory wants them, and prove it."""
    return _converge(options, hosts, only, check=check, diff=diff, no_wait=no_wait)


def _converge(options: Options, hosts: list[str] | None, only: str, *, check: bool, diff: bool, no_wait: bool) -> int:
    from novaops.cli.converging import converge_hosts
    from novaops.converge import Manner
    from novaops.errors import UsageError

    sections = [name for name in only.split(",") if name] or None
    _, playbooks = options.known()
    if unknown := [name for name in sections or () if name not in playbooks.by_name]:
        raise UsageError(f"there is no section {unknown[0]}", fix=f"there are {', '.join(playbooks.by_name)}")
    return converge_hosts(
        options,
        hosts or [],
        Manner(check, not no_wait),
        wanted=lambda known, playbooks, host: playbooks.resources(known, host, sections),
        diff=diff,
    )
