"""The page, served on loopback until Ctrl-C."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from novaops.errors import UsageError
from novaops.features.api.app.backend import Backend, Choice
from novaops.features.api.app.server import application
from novaops.features.api.app.session import Session

ADDRESS = "127.0.0.1"
_BACKLOG = 128
_LAST_ANSWERS = 1
"""Seconds that answers under way have when the program ends."""
_BIND_ERRORS = {errno.EADDRINUSE: "Another program listens there.", errno.EACCES: "Ports below 1024 are root's."}


def listen(port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises UsageError."""
    # asyncio sends pieces at once (TCP_NODELAY) only where the protocol is named: otherwise each answer takes 40 ms more.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ADDRESS, port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if error.errno not in _BIND_ERRORS:
            raise
        fix = "give another --port, or leave it out for a free one"
        raise UsageError(f"cannot listen on {ADDRESS}:{port}", why=_BIND_ERRORS[error.errno], fix=fix) from None
    return made


def server(backend: Backend, session: Session, chosen: Choice, tell: Callable[[Exception], None] = lambda _: None) -> uvicorn.Server:
    """HTTP/1.1 only, as that is what `api check` measures.

    Nothing is logged: a request's line may have the token, and exceptions go to `tell`.
    """
    config = uvicorn.Config(
        application(backend, session, chosen, tell),
        http="h11",
        ws="none",
        log_config=None,
        log_level="critical",  # it logs each answer that Ctrl-C ends, with a traceback
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )
    return uvicorn.Server(config)


def serve(backend: Backend, chosen: Choice, port: int, opened: Callable[[str], None], tell: Callable[[Exception], None]) -> None:
    """Returns after Ctrl-C or SIGTERM. `opened` gets the link once, `tell` each exception that no code expected.

    Raises UsageError for a port that cannot be listened on.
    """
    with listen(port) as listening:
        taken = listening.getsockname()[1]
        session = Session(taken)
        serving = server(backend, session, chosen, tell)
        # uvicorn notes the signal, ends in order, and raises it again for this handler
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            opened(f"http://{ADDRESS}:{taken}/?token={session.token}")
            with suppress(KeyboardInterrupt):
                serving.run(sockets=[listening])
        finally:
            signal.signal(signal.SIGTERM, before)
