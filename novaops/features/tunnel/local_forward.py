"""Ports of this machine that lead through a host, for as long as somebody wants them.

sshtunnel listens and passes on. The connection is novaops' own: sshtunnel of itself checks no host key that it is not given, and
knows neither known_hosts nor jump hosts. Importing it takes 0.1 s, so only who opens a tunnel imports this.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self

import paramiko
import sshtunnel
from fabric import Connection

from novaops.errors import HostFailed, Unreachable, UsageError
from novaops.features.tunnel.local_settings import Forward
from novaops.ssh.connection import KEEPALIVE, connect
from novaops.ssh.early_connect import early_connect
from novaops.ssh.target import Target

CHUNK = 65_536
BACKLOG = 128
REACHING = 10.0
"""Seconds that the host may take to reach a target."""

_SEEN = 0.2
"""Seconds between two looks whether the connection is still there."""
_FAILED = re.compile(r"Secsh channel \d+ open FAILED: (?P<said>.*): [^:]*$")
"""How paramiko logs why a channel was not opened. Its exception has only a number."""
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})

Told = Callable[[str], None]


class Tunnel:
    """Every forward, open from `__enter__` to `__exit__`.

    Raises UsageError for a port that cannot be listened on, before anything is contacted; Unreachable; HostFailed for a
    target that the host does not reach.
    """

    def __init__(self, target: Target, forwards: Sequence[Forward], told: Told) -> None:
        """`told` is given a sentence for each connection that could not be passed on later."""
        self.target = target
        self.forwards = tuple(forwards)
        """With their ports, once it is open."""
        self._told = told
        self._listeners: list[socket.socket] = []
        self._connection: Connection | None = None
        self._forwarder: _Forwarder | None = None
        self._answered = 0.0

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        for forward in self.forwards:
            self._listeners.append(_bound(forward))
        self._connection = connect(self.target, early_connect(self.target))
        transport: paramiko.Transport = self._connection.transport
        reasons = _Reasons(transport)
        for forward in self.forwards:
            _reach(transport, forward, self.target, reasons)
        self._forwarder = _Forwarder(transport, self.forwards, self._listeners, lambda forward: self._failed(forward, reasons))
        self._forwarder.start()
        ports = [listener.getsockname()[1] for listener in self._listeners]
        self.forwards = tuple(forward.at(port) for forward, port in zip(self.forwards, ports, strict=True))
        self._answered = time.monotonic()
        threading.Thread(target=self._ask_for_life, args=(transport,), name="alive", daemon=True).start()

    def stay(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping` says so. Raises Unreachable when the connection is lost."""
        assert self._connection is not None
        transport: paramiko.Transport = self._connection.transport
        patience = KEEPALIVE + self.target.timeout
        while not stopping():
            if not transport.is_active():
                raise self._lost(str(transport.saved_exception or ""))
            if time.monotonic() - self._answered > patience:
                raise self._lost(f"Nothing was heard for {patience:g} s.")
            time.sleep(_SEEN)

    def close(self) -> None:
        """No listener, connection or thread is left. May be called twice."""
        if self._connection is not None:
            for hop in _way(self._connection):
                if hop.transport is not None:
                    hop.transport.close()
        if self._forwarder is not None:
            self._forwarder.stop()
            self._forwarder = None
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._connection is not None:
            for hop in _way(self._connection):
                if hop.transport is not None:
                    hop.transport.join(self.target.timeout)
                hop.close()
            self._connection = None

    def _ask_for_life(self, transport: paramiko.Transport) -> None:
        """A question that every server answers, if only by no. Without one, a dead link behind a jump host is not noticed."""
        while transport.is_active():
            with suppress(paramiko.SSHException, OSError, EOFError):
                transport.global_request("keepalive@openssh.com", wait=True)
            if transport.is_active():
                self._answered = time.monotonic()
            until = time.monotonic() + KEEPALIVE
            while transport.is_active() and time.monotonic() < until:
                time.sleep(_SEEN)

    def _lost(self, why: str) -> Unreachable:
        return Unreachable(
            f"the connection to {self.target} was lost, and the tunnel with it",
            why=why,
            fix="run it again; novaops tunnel up makes one that heals itself",
        )

    def _failed(self, forward: Forward, reasons: _Reasons) -> None:
        if self._connection is not None and self._connection.transport is not None and self._connection.transport.is_active():
            self._told(f"{self.target} did not reach {forward.to}: {reasons.last or 'no answer'}")


def _bound(forward: Forward) -> socket.socket:
    """The port, taken; nobody is listened to yet. Raises UsageError."""
    made = socket.socket(socket.AF_INET6 if ":" in forward.listen else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((forward.listen, forward.listen_port))
        made.listen(BACKLOG)  # two may bind to one port, and only one may listen
    except OSError as error:
        made.close()
        if error.errno not in _TAKEN:
            raise
        why = {errno.EADDRINUSE: "Another program listens there.", errno.EACCES: "Ports below 1024 are root's."}
        raise UsageError(
            f"--listen {forward.listens} cannot be listened on",
            why=why.get(error.errno or 0, f"{error.strerror}."),
            fix="give another port, or leave --listen out",
        ) from None
    return made


def _reach(transport: paramiko.Transport, forward: Forward, target: Target, reasons: _Reasons) -> None:
    """Prove that the host reaches the forward's target. Raises HostFailed."""
    what = f"{target} does not reach {forward.to}"
    try:
        transport.open_channel("direct-tcpip", (forward.host, forward.port), ("127.0.0.1", 0), timeout=REACHING).close()
    except paramiko.ChannelException as error:
        if error.code == 1:  # administratively prohibited
            fix = "AllowTcpForwarding and PermitOpen in its sshd_config, or restrict in authorized_keys, forbid it"
            raise HostFailed(f"{target} does not forward to {forward.to}", why=f"sshd says: {reasons.last}", fix=fix) from None
        raise HostFailed(what, why=f"{reasons.last}.", fix="see whether name and port are right, as that host knows them") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        if not transport.is_active():
            raise Unreachable(f"the connection to {target} was lost", why=str(error)) from error
        raise HostFailed(what, why=f"No answer came within {REACHING:g} s.", fix="a firewall on the way drops it?") from None


class _Reasons(logging.Handler):
    """Why the server did not open a channel, in its own words."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        name = f"novaops.features.tunnel.settings.{id(transport)}"
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(self)
        transport.set_log_channel(name)

    def emit(self, record: logging.LogRecord) -> None:
        if found := _FAILED.search(record.getMessage()):
            self.last = found["said"]


class _Passing(sshtunnel._ForwardHandler):  # type: ignore[misc]  # noqa: SLF001 - sshtunnel's own way to be told how to pass on
    """One connection. Both directions at once: in one loop, a side that does not read would keep the other from being read."""

    def _redirect(self, chan: paramiko.Channel) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        out = threading.Thread(target=_pass_on, args=(self.request.recv, chan.sendall, chan.shutdown_write), daemon=True)
        self.server.passing.add(self.request)
        try:
            out.start()
            _pass_on(chan.recv, self.request.sendall, lambda: self.request.shutdown(socket.SHUT_WR))
            while out.is_alive() and not chan.closed:
                out.join(_SEEN)
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)
            out.join()
        finally:
            self.server.passing.discard(self.request)


def _pass_on(read: Callable[[int], bytes], write: Callable[[bytes], Any], end: Callable[[], Any]) -> None:
    with suppress(OSError, EOFError):
        while data := read(CHUNK):
            write(data)
    with suppress(OSError, EOFError):
        end()


class _Listening(sshtunnel._ThreadingForwardServer):  # type: ignore[misc]  # noqa: SLF001 - see _Passing
    """On a socket that is bound already."""

    def __init__(self, listener: socket.socket, handler: type[_Passing], failed: Callable[[], None], logger: logging.Logger) -> None:
        super().__init__(listener.getsockname(), handler, bind_and_activate=False, logger=logger)
        self.socket.close()
        self.socket: socket.socket = listener
        self.server_address = listener.getsockname()
        self.passing: set[socket.socket] = set()
        self._failed = failed

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever opened the connection sees it closed; the person sees why."""
        del request, client_address
        if isinstance(sys.exception(), sshtunnel.HandlerSSHTunnelForwarderError):
            self._failed()

    def server_close(self) -> None:
        super().server_close()
        for request in list(self.passing):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Forwarder(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]  # sshtunnel ships no types
    """sshtunnel over a transport that is logged in, with sockets that are bound."""

    def __init__(
        self,
        transport: paramiko.Transport,
        forwards: Sequence[Forward],
        listeners: Sequence[socket.socket],
        failed: Callable[[Forward], None],
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
        self._given = list(zip(forwards, listeners, strict=True))
        self._failed = failed

    def _connect_to_gateway(self) -> None:
        """Only for a transport that is dead by now: it would log in anew, to whatever host key."""
        raise Unreachable("the connection was lost before the tunnel was open")

    def _make_ssh_forward_server(self, remote_address: tuple[str, int], local_bind_address: tuple[str, int]) -> None:
        del local_bind_address
        forward, listener = self._given[len(self._server_list)]
        handler = type("Passing", (_Passing,), {"remote_address": remote_address, "ssh_transport": self._transport, "logger": self.logger})
        made = _Listening(listener, handler, lambda: self._failed(forward), self.logger)
        made.daemon_threads = True
        self._server_list.append(made)
        self.tunnel_is_up[made.server_address] = False


def _way(connection: Connection) -> list[Connection]:
    """The connection, and every jump host before it."""
    hops = [connection]
    while isinstance(hops[-1].gateway, Connection):
        hops.append(hops[-1].gateway)
    return hops
