"""Ports of this machine that lead through a host, for as long as a command runs."""

from __future__ import annotations

import errno
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Self, TypeVar

import paramiko
from fabric import Connection

from novaops.engine.local_forwarder import Forwarder
from novaops.errors import HostFailed, Unreachable, UsageError
from novaops.formats.forward import PortForward
from novaops.ssh.connection import KEEPALIVE, connect, hops
from novaops.ssh.early_connect import early_connect
from novaops.ssh.target import Target

_BACKLOG = 128
_REACH_SECONDS = 10.0
"""How long the host may take to reach a target."""
_POLL = 0.2
"""Seconds between two looks whether the connection is still there."""
_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, RFC 4254."""
_OPEN_FAILED = re.compile(r"Secsh channel \d+ open FAILED: (?P<said>.*): [^:]*$")
"""How paramiko logs why a channel was not opened. Its exception has only a number."""
_BIND_ERRORS = {errno.EADDRINUSE: "Another program listens there.", errno.EACCES: "Ports below 1024 are root's.", errno.EADDRNOTAVAIL: ""}


Forward = TypeVar("Forward", bound=PortForward)


class LocalTunnel(Generic[Forward]):
    """Every forward, open from `__enter__` to `__exit__`.

    Raises UsageError for a port that cannot be listened on, before anything is contacted; Unreachable; HostFailed for a
    target that the host does not reach.
    """

    def __init__(self, target: Target, forwards: Sequence[Forward], warn: Callable[[str], None]) -> None:
        """`warn` is called with a sentence for each connection that could not be forwarded later."""
        self.target = target
        self.forwards = tuple(forwards)
        """With their ports, once it is open."""
        self._warn = warn
        self._listeners: list[socket.socket] = []
        self._connection: Connection | None = None
        self._forwarder: Forwarder | None = None
        self._last_answer = 0.0

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
            self._listeners.append(_listen(forward))
        self._connection = connect(self.target, early_connect(self.target))
        transport: paramiko.Transport = self._connection.transport
        log = _ChannelLog(transport)
        self.forwards = tuple(_reached(transport, forward, self.target, log) for forward in self.forwards)
        self._forwarder = Forwarder(transport, self.forwards, self._listeners, lambda forward: self._failed(forward, log))
        self._forwarder.start()
        ports = [listener.getsockname()[1] for listener in self._listeners]
        self.forwards = tuple(forward.at(port) for forward, port in zip(self.forwards, ports, strict=True))
        self._last_answer = time.monotonic()
        threading.Thread(target=self._keep_alive, args=(transport,), name="alive", daemon=True).start()

    def serve_until(self, stopped: Callable[[], bool]) -> None:
        """Returns when `stopped` says so. Raises Unreachable when the connection is lost."""
        assert self._connection is not None
        transport: paramiko.Transport = self._connection.transport
        patience = KEEPALIVE + self.target.timeout
        while not stopped():
            if not transport.is_active():
                raise self._lost(str(transport.saved_exception or ""))
            if time.monotonic() - self._last_answer > patience:
                raise self._lost(f"Nothing was heard for {patience:g} s.")
            time.sleep(_POLL)

    def close(self) -> None:
        """No listener, connection or thread is left. May be called twice."""
        open_hops = hops(self._connection) if self._connection is not None else []
        for hop in open_hops:
            if hop.transport is not None:
                hop.transport.close()
        if self._forwarder is not None:
            self._forwarder.stop()
            self._forwarder = None
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for hop in open_hops:
            if hop.transport is not None:
                hop.transport.join(self.target.timeout)
            hop.close()
        self._connection = None

    def _keep_alive(self, transport: paramiko.Transport) -> None:
        """Requests that every server answers, if only by no. Without them a dead link behind a jump host is not noticed."""
        while transport.is_active():
            with suppress(paramiko.SSHException, OSError, EOFError):
                transport.global_request("keepalive@openssh.com", wait=True)
            if transport.is_active():
                self._last_answer = time.monotonic()
            until = time.monotonic() + KEEPALIVE
            while transport.is_active() and time.monotonic() < until:
                time.sleep(_POLL)

    def _lost(self, why: str) -> Unreachable:
        return Unreachable(
            f"the connection to {self.target} was lost, and the tunnel with it",
            why=why,
            fix="run it again; novaops tunnel up makes one that heals itself",
        )

    def _failed(self, forward: PortForward, log: _ChannelLog) -> None:
        if self._connection is not None and self._connection.transport is not None and self._connection.transport.is_active():
            self._warn(f"{self.target} did not reach {forward.target}: {log.last or 'no answer'}")


def _listen(forward: PortForward) -> socket.socket:
    """A socket that listens; nothing is accepted yet. Raises UsageError."""
    made = socket.socket(socket.AF_INET6 if ":" in forward.listen else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((forward.listen, forward.listen_port))
        made.listen(_BACKLOG)  # two may bind to one port, and only one may listen
    except OSError as error:
        made.close()
        if error.errno not in _BIND_ERRORS:
            raise
        raise UsageError(
            f"--listen {forward.listens} cannot be listened on",
            why=_BIND_ERRORS[error.errno] or f"{error.strerror}.",
            fix="give another port, or leave --listen out",
        ) from None
    return made


def _reached(transport: paramiko.Transport, forward: Forward, target: Target, log: _ChannelLog) -> Forward:
    """The first of the forward's ways that the host reaches. Raises as `_reach`, for the last one."""
    *others, last = forward.ways
    for way in others:
        with suppress(HostFailed):
            _reach(transport, way, target, log)
            return way
    _reach(transport, last, target, log)
    return last


def _reach(transport: paramiko.Transport, forward: PortForward, target: Target, log: _ChannelLog) -> None:
    """Prove that the host reaches the forward's target. Raises HostFailed; Unreachable where the connection is lost."""
    what = f"{target} does not reach {forward.target}"
    try:
        transport.open_channel("direct-tcpip", (forward.host, forward.port), ("127.0.0.1", 0), timeout=_REACH_SECONDS).close()
    except paramiko.ChannelException as error:
        if error.code == _PROHIBITED:
            fix = "AllowTcpForwarding and PermitOpen in its sshd_config, or restrict in authorized_keys, forbid it"
            raise HostFailed(f"{target} does not forward to {forward.target}", why=f"sshd says: {log.last}", fix=fix) from None
        raise HostFailed(what, why=f"{log.last}.", fix="see whether name and port are right, as that host knows them") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        if not transport.is_active():
            raise Unreachable(f"the connection to {target} was lost", why=str(error)) from error
        raise HostFailed(what, why=f"No answer came within {_REACH_SECONDS:g} s.", fix="does a firewall in between drop it?") from None


class _ChannelLog(logging.Handler):
    """Why the server did not open a channel, in its own words."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        name = f"{__name__}.{id(transport)}"
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(self)
        transport.set_log_channel(name)

    def emit(self, record: logging.LogRecord) -> None:
        if found := _OPEN_FAILED.search(record.getMessage()):
            self.last = found["said"]
