"""novaops login: who may log in over ssh by password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Check, Diff, Guard, Hosts, NoWait, OneHost, Options, verb
from novaops.engine.guard import SECONDS

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import DesiredState, Playbooks

app = typer.Typer(help="Password logins over ssh: allow, deny, status.", no_args_is_help=True, rich_markup_mode=None)

User = Annotated[list[str] | None, typer.Option("--user", metavar="NAME", help="Who; may be given several times.")]
Password = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: the user gets this password, and is made if it is not there."),
]
From = Annotated[list[str] | None, typer.Option("--from", metavar="CIDR", help="Only from this network; may be given several times.")]


@verb(app)
def allow(  # noqa: PLR0913 - one option for each key of the section
    options: Options,
    host: OneHost,
    *,
    user: User = None,
    password: Password = None,
    from_: From = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="Every account but root's.")] = False,
    root: Annotated[bool, typer.Option("--root", help="Root too. It is tried first by everybody who guesses.")] = False,
    fail2ban: Annotated[bool, typer.Option("--fail2ban", help="Shut out addresses that try too many passwords.")] = False,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
    guard: Guard = SECONDS,
) -> int:
    """Let users log in by password, besides keys, and prove it by logging in. If that fails, the host rolls the change back."""
    users = [*(user or []), *(["root"] if root and "root" not in (user or []) else [])]
    networks = from_ or []
    if not users and (password or (networks and not everyone)):
        from novaops.errors import UsageError

        raise UsageError("say for whom: --user NAME", why="--password and --from say more about a user.")
    entries = [{"name": name, **({"password": password} if password else {}), **({"from": networks} if networks else {})} for name in users]
    flags: dict[str, Any] = {
        **({"from": networks} if networks and everyone else {}),
        **({"everyone": True} if everyone else {}),
        **({"root": True} if root else {}),
        **({"fail2ban": True} if fail2ban else {}),
    }
    return _converge(options, host, entries, flags, check=check, diff=diff, no_wait=no_wait, guard=guard)


@verb(app)
def deny(
    options: Options, host: OneHost, *, check: Check = False, diff: Diff = False, no_wait: NoWait = False, guard: Guard = SECONDS
) -> int:
    """Disable password logins, by every method. Keys work as before, which is proven by a login."""
    return _converge(options, host, None, {}, check=check, diff=diff, no_wait=no_wait, guard=guard)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Who may log in, by which method, and why not."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.login import status as logins

    reports, started = ask_hosts(options, hosts or [], logins.questions(), logins.details)
    return show_rows(options, reports, started, ("USER", "PASSWORD", "KEY", "WHY"), logins.rows)


def _converge(
    options: Options,
    host: str,
    users: list[dict[str, Any]] | None,
    flags: dict[str, Any],
    *,
    check: bool,
    diff: bool,
    no_wait: bool,
    guard: int,
) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        settings = _settings(playbooks, found, users, flags)
        return playbooks.wishes(known, found, settings={"login": settings})

    return converge_hosts(options, [host], RunOptions(check, not no_wait, guard=guard), wanted=wanted, section="login", diff=diff)


def _settings(playbooks: Playbooks, host: Host, users: list[dict[str, Any]] | None, flags: dict[str, Any]) -> Any:
    """What the host's section says, with the flags over it. `users` None: nobody."""
    from novaops.errors import UsageError

    book = playbooks.by_name["login"]
    written = host.sections.get("login") or {}
    section = dict(written) if isinstance(written, dict) else {}
    if users is None:
        return book.read({**{key: section[key] for key in ("fail2ban",) if key in section}, "others": "denied"})
    if "root" in {user["name"] for user in users} and "root" not in flags and not section.get("root"):
        raise UsageError("root is let in by password only when --root says so", why="Whoever guesses passwords tries root first.")
    if not users and not flags and not section:
        raise UsageError("say who: --user NAME", why=f"{host.name} has no login: section to take it from.")
    named = {user["name"] for user in users}
    before = [user for user in section.get("users") or [] if (user.get("name") if isinstance(user, dict) else user) not in named]
    return book.read({**section, **flags, "users": [*before, *users]}, "Beside" if users or flags else "Settings")
