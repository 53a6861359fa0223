"""sshtunnel over a connection that is already logged in, and with sockets that already listen.

sshtunnel of itself logs in without checking a host key, knows neither known_hosts nor jump hosts, and listens only after it has
connected. Importing it takes 0.1 s, so only what opens a tunnel imports this.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paramiko
import sshtunnel

from novaops.errors import Unreachable
from novaops.formats.forward import PortForward
from novaops.ssh.forward import copy_all

_POLL = 0.2
"""Seconds between two looks whether the other direction is still open."""


class _Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]  # noqa: SLF001 - sshtunnel's own way to be told how to copy
    """One connection. Each direction has its own thread: in one loop, a side that does not read would block the other direction too."""

    def _redirect(self, chan: paramiko.Channel) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        out = threading.Thread(target=copy_all, args=(self.request.recv, chan.sendall, chan.shutdown_write), daemon=True)
        self.server.connections.add(self.request)
        try:
            out.start()
            copy_all(chan.recv, self.request.sendall, lambda: self.request.shutdown(socket.SHUT_WR))
            while out.is_alive() and not chan.closed:
                out.join(_POLL)
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)
            out.join()
        finally:
            self.server.connections.discard(self.request)


class _Server(sshtunnel._ThreadingForwardServer):  # type: ignore[misc]  # noqa: SLF001 - see _Handler
    """Accepts on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type[_Handler], failed: Callable[[], None], logger: logging.Logger) -> None:
        super().__init__(listener.getsockname(), handler, bind_and_activate=False, logger=logger)
        self.socket.close()
        self.socket: socket.socket = listener
        self.server_address = listener.getsockname()
        self.connections: set[socket.socket] = set()
        self._failed = failed

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client sees its connection closed; the user is told why."""
        del request, client_address
        if isinstance(sys.exception(), sshtunnel.HandlerSSHTunnelForwarderError):
            self._failed()

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Forwarder(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]  # sshtunnel ships no types
    """`failed` is called for each connection whose target the host did not reach."""

    def __init__(
        self,
        transport: paramiko.Transport,
        forwards: Sequence[PortForward],
        listeners: Sequence[socket.socket],
        failed: Callable[[PortForward], None],
    ) -> None:
        quiet = logging.getLogger("novaops.sshtunnel")
        quiet.propagate = False
        quiet.addHandler(logging.NullHandler())
        super().__init__(
            ("ready", 22),
            ssh_config_file=os.devnull,
            ssh_password="unused",  # noqa: S106 - it wants one, and never logs in
            allow_agent=False,
            host_pkey_directories=[],
            remote_bind_addresses=[(forward.host, forward.port) for forward in forwards],
            local_bind_addresses=[listener.getsockname()[:2] for listener in listeners],
            logger=quiet,
        )
        self._transport = transport
        self._pairs = list(zip(forwards, listeners, strict=True))
        self._failed = failed

    def _connect_to_gateway(self) -> None:
        """Called where the transport is dead already: sshtunnel would log in anew, and accept any host key."""
        raise Unreachable("the connection was lost before the tunnel was open")

    def _make_ssh_forward_server(self, remote_address: tuple[str, int], local_bind_address: tuple[str, int]) -> None:
        del local_bind_address
        forward, listener = self._pairs[len(self._server_list)]
        handler = type("Handler", (_Handler,), {"remote_address": remote_address, "ssh_transport": self._transport, "logger": self.logger})
        server = _Server(listener, handler, lambda: self._failed(forward), self.logger)
        self._server_list.append(server)
        self.tunnel_is_up[server.server_address] = False
