"""novaops tunnel open: a port of this machine that leads through a host, for as long as the command runs."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import TIMEOUT, Options, SingleHost, verb

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.features.tunnel.local_settings import LocalForward

To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="HOST:PORT|PROVIDER|eve", help="Where it leads, as HOST resolves it; again for more [default: openai]."),
]
Listen = Annotated[
    list[str] | None,
    typer.Option("--listen", metavar="[ADDRESS:]PORT", help="Where it is reached, one for each --to [default: a free port of 127.0.0.1]."),
]


def register(app: typer.Typer) -> None:
    verb(app, "open")(open_here)


def open_here(options: Options, host: SingleHost, *, to: To = None, listen: Listen = None) -> int:
    """Reach an API, EVE-NG's web page or any port through a host, from here, until Ctrl-C. Changes nothing on the host."""
    gc.enable()  # the console script turned it off for verbs that last a second
    with _signals() as stop:
        try:
            return _open(options, host, to or ["openai"], listen or [], stop)
        except KeyboardInterrupt:
            from novaops.cli import output

            output.complain("")
            output.complain("Interrupted before anything was open.")
            return 130


def _open(options: Options, word: str, to: list[str], listen: list[str], stop: _StopSignal) -> int:
    from novaops.cli import output
    from novaops.engine import report
    from novaops.errors import NovaopsError
    from novaops.features.tunnel.local_settings import forwards
    from novaops.providers import loader

    known, _ = options.known()
    folders = [Path(known.file).parent / "providers"] if known.file else []

    def api(name: str) -> tuple[str, int]:
        first = loader.load(name, folders).endpoints[0]
        return first.host, first.port

    wanted = forwards(to, listen, api)
    target = _host(known, word).target(options.timeout or TIMEOUT)

    from novaops.engine.local_forward import LocalTunnel

    with LocalTunnel(target, wanted, output.complain) as tunnel:
        stop.defer()
        _show(options, target.name, tunnel.forwards)
        try:
            tunnel.serve_until(lambda: stop.received)
        except NovaopsError as error:
            # On stderr with --json too: the one document was printed when the tunnel was open.
            report.typed_error(error, options.to_type())
            for _, text in report.error_lines(error):
                output.complain(text)
            return error.exit_code
    return 0


def _show(options: Options, host: str, forwards: Sequence[LocalForward]) -> None:
    """Print where it listens. Flushed: a reader at the other end of a pipe waits for it, and nothing more may come for days."""
    from novaops.cli import output

    if options.json:
        opened = [{"to": one.target, "listen": one.listens, "port": one.listen_port} for one in forwards]
        output.document({"host": host, "forwards": opened, "exit_code": 0})
    else:
        for one in forwards:
            output.line(f"{one.listens} leads through {host} to {one.target}")
            if one.usage:
                output.line(f"  {one.usage}")
        output.line("Ctrl-C closes it.")
    sys.stdout.flush()


def _host(known: Inventory, word: str) -> Host:
    """One host, without its sudo password: that is not needed, so it is not prompted for. Raises UsageError."""
    from novaops.errors import UsageError

    if word in known.groups:
        raise UsageError(f"{word} is a group, and a tunnel goes through one host")
    (found,) = known.find([word])
    return replace(found, access=found.access.model_copy(update={"sudo_password": None}))


class _StopSignal:
    """Handles Ctrl-C and SIGTERM. Raises KeyboardInterrupt; after `defer` it only notes them, so that all is closed in order."""

    def __init__(self) -> None:
        self.received = False
        self._deferred = False

    def __call__(self, *_: Any) -> None:
        if self._deferred:
            self.received = True
        else:
            raise KeyboardInterrupt

    def defer(self) -> None:
        self._deferred = True


@contextmanager
def _signals() -> Iterator[_StopSignal]:
    stop = _StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
