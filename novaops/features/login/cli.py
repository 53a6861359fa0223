"""novaops login: who may log in over ssh by password."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Group, GuardedRun, Hosts, OneHost, Options, verb

if TYPE_CHECKING:
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbook, Playbooks
    from novaops.model.plan import Note

app = typer.Typer(help="Password logins over ssh: allow, deny, status.", no_args_is_help=True, rich_markup_mode=None)

User = Annotated[list[str] | None, typer.Option("--user", metavar="NAME", help="Who; may be given several times.")]
Password = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: the user gets this password, and is made if it is not there."),
]
From = Annotated[list[str] | None, typer.Option("--from", metavar="CIDR", help="Only from this network; may be given several times.")]


class AllowFlags(Group):
    user: User = None
    password: Password = None
    from_: From = None
    everyone: Annotated[bool, typer.Option("--everyone", help="Every account but root's.")] = False
    root: Annotated[bool, typer.Option("--root", help="Root too. It is tried first by everybody who guesses.")] = False
    fail2ban: Annotated[bool, typer.Option("--fail2ban", help="Shut out addresses that try too many passwords.")] = False

    def users(self) -> list[dict[str, Any]]:
        """The section's `users:`. Raises UsageError where something is said of no user."""
        from novaops.errors import UsageError

        names = list(self.user or [])
        names += ["root"] if self.root and "root" not in names else []
        if not names and (self.password or (self.from_ and not self.everyone)):
            raise UsageError("say for whom: --user NAME", why="--password and --from say more about a user.")
        about = {"password": self.password, "from": self.from_}
        return [{"name": name, **{key: value for key, value in about.items() if value}} for name in names]

    def others(self) -> dict[str, Any]:
        """The section's other keys."""
        said = {"from": self.from_ if self.everyone else None, "everyone": self.everyone, "root": self.root, "fail2ban": self.fail2ban}
        return {key: value for key, value in said.items() if value}


@verb(app)
def allow(options: Options, host: OneHost, *, flags: AllowFlags, run: GuardedRun) -> int:
    """Let users log in by password, besides keys, and prove it by logging in. If that fails, the host rolls the change back."""
    from novaops.features.login.flags import allowed

    users, others = flags.users(), flags.others()
    return _converge(options, host, run, lambda playbook, found: allowed(playbook, found, users, others))


@verb(app)
def deny(options: Options, host: OneHost, *, run: GuardedRun) -> int:
    """Disable password logins, by every method. Keys work as before, which is proven by a login."""
    from novaops.features.login.flags import nobody

    return _converge(options, host, run, nobody)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Who may log in, by which method, and why not. Exit code 1 where sshd would not start again with its files."""
    from dataclasses import replace

    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.login import status as logins

    reports, started = ask_hosts(options, hosts or [], logins.questions(), logins.details)
    judged = [replace(one, status="failed") if one.details.get("complaint") else one for one in reports]
    return show_rows(options, judged, started, ("USER", "PASSWORD", "KEY", "WHY"), logins.rows)


def _converge(options: Options, host: str, run: GuardedRun, settings: Callable[[Playbook, Host], Any]) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.features.login.flags import contradictions

    remarks: dict[str, list[Note]] = {}

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        playbook = playbooks.by_name["login"]
        declared = playbook.settings(known, found) if "login" in found.sections else None  # what is wrong there is no flag's
        of_verb = settings(playbook, found)
        if declared:
            remarks[found.name] = contradictions(of_verb, declared)
        return playbooks.desired(known, found, settings={"login": of_verb})

    return converge_hosts(options, [host], run.options(), wanted=wanted, section="login", diff=run.diff, remarks=remarks)
