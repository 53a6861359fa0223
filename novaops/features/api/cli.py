"""novaops api: the API of a provider, as a host can reach it, and as a client on this machine uses it."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import TIMEOUT, Hosts, Options, verb
from novaops.features.api import cli_app, cli_ask, cli_chat, cli_files, cli_knowledge, cli_serve

app = typer.Typer(
    help="LLM APIs: which routes a host has to one, and questions to its models.", no_args_is_help=True, rich_markup_mode=None
)


@verb(app, begins_runs=False)
def check(
    options: Options,
    hosts: Hosts = None,
    *,
    provider: Annotated[str | None, typer.Option(help="openai, sensenova, …; without it those of the inventory, else openai.")] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="Another API: https://HOST[:PORT]/PATH; or where --provider is for you.")
    ] = None,
    probe: Annotated[str | None, typer.Option(metavar="PATH", help="What is asked for there: 2xx with a key, 401 without one.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: a key of the API's, to see whether answers stream."),
    ] = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Do not look whether answers stream: nothing is asked that costs.")
    ] = False,
) -> int:
    """Can a host reach the API, by which route, how fast, and do answers stream? Exit 1 where no route works."""
    from novaops.cli.query import on_hosts, show_rows
    from novaops.features.api import status
    from novaops.features.api.check import check_host, collect_routes
    from novaops.features.api.routes import ApiChoice

    known, playbooks = options.known()
    wanted, timeout = known.find(hosts or []), options.timeout or TIMEOUT
    choice = ApiChoice(provider, upstream, probe)
    routes = collect_routes(known, playbooks, wanted, choice, key, streaming=not no_stream, timeout=timeout)
    reports, started = on_hosts(options, hosts or [], lambda target: check_host(target, routes[target.name]))
    several = len({route.api for found in routes.values() for route in found}) > 1
    return show_rows(
        options, reports, started, status.headers(several_apis=several), lambda found: status.rows(found, several_apis=several)
    )


cli_chat.register(app)
cli_app.register(app)
cli_serve.register(app)
cli_ask.register(app)
app.add_typer(cli_files.app, name="files")
app.add_typer(cli_knowledge.app, name="knowledge")
