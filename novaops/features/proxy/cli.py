"""novaops proxy: reverse proxies for an API, or for servers of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Flags, Hosts, Options, RollingRun, verb
from novaops.engine.scope import Scope

if TYPE_CHECKING:
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host
    from novaops.features.proxy.settings import Site

app = typer.Typer(help="Reverse proxies with nginx: deploy, status, remove.", no_args_is_help=True, rich_markup_mode=None)

DEPLOY = Scope("proxy", "name", ("present",), takes_all=True)
REMOVE = Scope("proxy", "name", ("absent",), takes_all=True)

Name = Annotated[str | None, typer.Option("--name", help="The site; without it every entry of the host's proxy: section.")]
Source = "env:NAME, file:PATH or cmd:WORDS"


class SiteFlags(Flags):
    provider: Annotated[str | None, typer.Option(help="openai, sensenova, …: the API behind the site.")] = None
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="Another API: https://HOST[:PORT]/PATH; or where --provider is for you.")
    ] = None
    probe: Annotated[str | None, typer.Option(metavar="PATH", help="A path of the API that answers 2xx with a key, 401 without one.")] = (
        None
    )
    upstreams: Annotated[str | None, typer.Option(metavar="HOST:PORT,...", help="Or servers of your own.")] = None
    domain: Annotated[str | None, typer.Option(metavar="NAME,...", help="The names that clients use.")] = None
    tls: Annotated[str | None, typer.Option(help="off, letsencrypt, self-signed, or files (whose paths only an inventory says).")] = None
    buffering: Annotated[
        bool | None, typer.Option("--buffering/--no-buffering", help="Whether answers of your own servers are gathered before they go on.")
    ] = None
    cors: Annotated[str | None, typer.Option(metavar="URL,...", help="Web pages whose scripts may use it: https://app.example.com.")] = None
    email: Annotated[str | None, typer.Option(help="For tls letsencrypt: who is told when a certificate is about to expire.")] = None


class AuthFlags(Flags):
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Who the site lets in, with --password, --key or --token.")] = None
    key: Annotated[
        str | None, typer.Option(metavar="SOURCE", help=f"{Source}: that user's own key, which --inject takes the place of.")
    ] = None
    password: Annotated[str | None, typer.Option(metavar="SOURCE", help=f"{Source}: that user's password.")] = None
    inject: Annotated[str | None, typer.Option(metavar="SOURCE", help="The API's key, which the site puts in for its users.")] = None
    token: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Or a token of the site's own, that user's or one for all; the client's key goes through."),
    ] = None
    rate: Annotated[str | None, typer.Option(metavar="N/min", help="How many requests each client may make: 60/min, 5/s.")] = None
    auth: Annotated[str | None, typer.Option(metavar="off", help="A site with servers of your own is to be open to everybody.")] = None
    remove_user: Annotated[
        str | None,
        typer.Option("--remove-user", metavar="NAME,...", help="Whom the site does not let in any more: users, networks, web pages."),
    ] = None
    from_: Annotated[str | None, typer.Option("--from", metavar="CIDR,...", help="Or, and: the networks that may use it.")] = None

    def given(self, *, is_api: bool = False) -> dict[str, Any]:
        """The site's `auth:`; {} where nothing is said of it. Raises UsageError for half of something.

        `is_api` is whether the flags say that an API is behind the site: there networks alone let in with a key of the client's own.
        """
        from novaops.errors import UsageError
        from novaops.features.proxy.auth import OTHERWISE

        secrets = {"basic": self.password, "keys": self.key, "token": self.token}
        given = {kind: secret for kind, secret in secrets.items() if secret is not None}
        if len(given) > 1 or (given.keys() - {"token"} if self.user is None else not given):
            raise UsageError("--user belongs together with one of --password, --key and --token")
        auth: dict[str, Any] = {kind: secret if self.user is None else {self.user: secret} for kind, secret in given.items()}
        said = {"inject": self.inject, "limit": self.rate, "from": self.from_}
        auth |= {key: value for key, value in said.items() if value is not None}
        if is_api and self.from_ is not None and self.user is None and self.token is None:
            auth["passthrough"] = OTHERWISE
        if self.auth not in {None, "off"} or (self.auth and (auth or self.remove_user)):
            raise UsageError("--auth takes off, and nothing else of --user, --token, --from and --remove-user beside it")
        entry: dict[str, Any] = {"auth": auth} if auth else {"auth": None, "open": "true"} if self.auth else {}
        return entry | ({"without": self.remove_user} if self.remove_user else {})


@verb(app)
def deploy(options: Options, hosts: Hosts = None, *, name: Name = None, site: SiteFlags, auth: AuthFlags, run: RollingRun) -> int:
    """Make each site of the hosts' proxy: sections answer, and prove it by a request that went through it."""
    state = {"state": "present"} if name else {}  # otherwise as each entry says
    said = {**site.given(), **auth.given(is_api=bool(site.provider or site.upstream))}
    adds = {"others": "keep"} if said else {}  # by flags one adds; an inventory is the whole wish
    return _converge(options, hosts, name, {**said, **adds, **state}, run, DEPLOY)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Each site that novaops set up: where it listens, its certificate, its upstreams, and its last errors. Exit 1 for one that is down."""
    from dataclasses import replace

    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.proxy import status as sites

    reports, started = ask_hosts(options, hosts or [], sites.questions(), sites.details)
    judged = [replace(one, status="failed") if not one.error and sites.is_down(one.details) else one for one in reports]
    return show_rows(options, judged, started, ("SITE", "SERVES", "CERTIFICATE", "UPSTREAM", "LAST ERROR"), sites.rows)


@verb(app)
def remove(options: Options, hosts: Hosts = None, *, name: Name = None, run: RollingRun) -> int:
    """Take sites away, with their passwords and keys. nginx itself, and every other site of it, stays."""
    return _converge(options, hosts, name, {"state": "absent"}, run, REMOVE)


def _converge(options: Options, hosts: list[str] | None, name: str | None, flags: dict[str, Any], run: RollingRun, scope: Scope) -> int:
    from novaops.cli.section_verb import converge_entries

    def sites(of: Callable[[Any], DesiredState], _host: Host, entries: list[Site]) -> DesiredState:
        for entry in entries if "without" in flags else ():
            _refuse_both(entry, flags)
        return of(entries)

    return converge_entries(options, hosts or [], run, scope, name, flags, sites)


def _refuse_both(entry: Site, flags: Mapping[str, Any]) -> None:
    """Raises UsageError for whom the site is to let in, and flags take away: nothing would be taken away."""
    from novaops.errors import UsageError
    from novaops.features.proxy.auth import Auth
    from novaops.features.proxy.resources.access_kept import spellings

    auth = entry.auth or Auth()
    lists = {"basic": auth.basic, "keys": auth.keys, "token": auth.token, "from": auth.addresses, "cors": entry.cors}
    said = {**(flags.get("auth") or {}), "cors": flags.get("cors")}
    for word in entry.without:
        for key in (key for key, named in lists.items() if spellings(word) & {*named}):
            by_flags = said.get(key)
            if isinstance(by_flags, str) and key == "token":
                continue  # one token for all, in the place of the one before
            if isinstance(by_flags, str) or word in (by_flags or ()):
                raise UsageError(f"--remove-user: {word} is let in by another flag", fix="leave one of the two out")
            fix = f"take it out of {key}: of {entry.name} there, and deploy that without --remove-user"
            raise UsageError(f"--remove-user: {word} is in the inventory", why="Flags take away what only the host has.", fix=fix)
