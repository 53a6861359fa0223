"""novaops api app: the page for the browser, on loopback."""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from novaops.cli.options import Options, verb
from novaops.features.api.access import ApiFlags

_NEEDED = ("starlette", "uvicorn")


def register(app: typer.Typer) -> None:
    verb(app, "app", begins_runs=False)(serve_page)


def serve_page(
    options: Options,
    *,
    api: ApiFlags,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0 takes any free one.")] = 0,
) -> int:
    """Chat, files and knowledge bases on a page for your browser, until Ctrl-C. It is on loopback only, and keeps nothing unasked."""
    from novaops.cli import output
    from novaops.errors import UsageError

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(f"the page needs {' and '.join(missing)}", fix="pip install 'novaops[app]'")
    gc.enable()  # the console script turned it off for verbs that last a second

    from novaops.features.api.app.connections import Connections
    from novaops.features.api.app.live import LiveBackend
    from novaops.features.api.app.run import serve

    def opened(link: str) -> None:
        if options.json:
            output.document({"url": link, "exit_code": 0})
        else:
            output.line(link)
            output.line("Open it in your browser: it is good for one, once. Ctrl-C ends it.")
        sys.stdout.flush()

    def tell(error: Exception) -> None:
        output.complain(f"novaops itself went wrong: {type(error).__name__}")
        if options.verbose > 1:
            output.trace(error)

    connections = Connections(options, api, output.complain)
    try:
        serve(LiveBackend(connections), connections.chosen, port, opened, tell)
    finally:
        connections.close()
    return 0
