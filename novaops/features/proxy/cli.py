"""novaops proxy: reverse proxies for an API, or for servers of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Check, Diff, Hosts, NoWait, Options, verb

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import DesiredState, Playbooks

app = typer.Typer(help="Reverse proxies with nginx: deploy, status, remove.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str | None, typer.Option("--name", help="The site; without it every entry of the host's proxy: section.")]
Source = "env:NAME, file:PATH or cmd:WORDS"


@verb(app)
def deploy(  # noqa: PLR0913 - one option for each key of the section
    options: Options,
    hosts: Hosts = None,
    *,
    name: Name = None,
    provider: Annotated[str | None, typer.Option(help="openai, sensenova, …: the API behind the site.")] = None,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Another API: https://HOST[:PORT]/PATH.")] = None,
    upstreams: Annotated[str | None, typer.Option(metavar="HOST:PORT,...", help="Or servers of your own.")] = None,
    domain: Annotated[str | None, typer.Option(metavar="NAME,...", help="The names that clients use.")] = None,
    tls: Annotated[str | None, typer.Option(help="off, letsencrypt, self-signed or files.")] = None,
    email: Annotated[str | None, typer.Option(help="For tls letsencrypt: who is told when a certificate is about to expire.")] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Who the site lets in, with --password.")] = None,
    password: Annotated[str | None, typer.Option(metavar="SOURCE", help=f"{Source}: that user's password.")] = None,
    inject: Annotated[str | None, typer.Option(metavar="SOURCE", help="The API's key, which the site puts in for its users.")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Or a token of the site's own; the client's key goes through.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="CIDR,...", help="Or, and: the networks that may use it.")] = None,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
) -> int:
    """Make each site of the hosts' proxy: sections answer, and prove it by a request that went through it."""
    given = {
        "provider": provider,
        "upstream": upstream,
        "upstreams": upstreams,
        "domain": domain,
        "tls": tls,
        "email": email,
        "auth": _auth(user, password, inject, token, from_),
    }
    flags = {key: value for key, value in given.items() if value is not None}
    state = {"state": "present"} if name else {}  # otherwise as each entry says
    return _converge(options, hosts or [], name, {**flags, **state}, check=check, diff=diff, no_wait=no_wait)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Each site that novaops set up: where it listens, its certificate, its upstreams, and its last errors."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.proxy import status as sites

    reports, started = ask_hosts(options, hosts or [], sites.questions(), sites.details)
    return show_rows(options, reports, started, ("SITE", "SERVES", "CERTIFICATE", "UPSTREAM", "LAST ERROR"), sites.rows)


@verb(app)
def remove(
    options: Options, hosts: Hosts = None, *, name: Name = None, check: Check = False, diff: Diff = False, no_wait: NoWait = False
) -> int:
    """Take sites away, with their passwords and keys. nginx itself, and every other site of it, stays."""
    return _converge(options, hosts or [], name, {"state": "absent"}, check=check, diff=diff, no_wait=no_wait)


def _auth(user: str | None, password: str | None, inject: str | None, token: str | None, networks: str | None) -> dict[str, Any] | None:
    """What the flags say of `auth:`. Raises UsageError for half of something."""
    from novaops.errors import UsageError

    if (user is None) != (password is None):
        raise UsageError("--user and --password belong together")
    auth: dict[str, Any] = {}
    if user is not None:
        auth["basic"] = {user: password}
    if inject is not None:
        auth["inject"] = inject
    if token is not None:
        auth["token"] = token
    if networks is not None:
        auth["from"] = networks
        if user is None and token is None:
            auth["passthrough"] = "true"
    return auth or None


def _converge(
    options: Options, hosts: list[str], name: str | None, flags: dict[str, Any], *, check: bool, diff: bool, no_wait: bool
) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        settings = playbooks.by_name["proxy"].overridden(known, found, "name", name, flags)
        return playbooks.wishes(known, found, settings={"proxy": settings})

    return converge_hosts(options, hosts, RunOptions(check, not no_wait), wanted=wanted, section="proxy", diff=diff)
