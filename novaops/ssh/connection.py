"""Opening a connection: each host on the way over the one before it, with its host key checked, by Fabric and paramiko.

What ssh's configuration says was asked of ssh itself (`route`); nothing of it is read by Fabric. Fabric by itself accepts any
host key. Importing it takes 0.4 s: `session` imports this module only when it connects.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import paramiko
from fabric import Config, Connection

from novaops.errors import NovaopsError
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.early_connect import Way, early_connect
from novaops.ssh.explain import Place, explain
from novaops.ssh.host_keys import check_host_key, known_entries
from novaops.ssh.login import Login
from novaops.ssh.login_keys import LoginKeys
from novaops.ssh.route import route
from novaops.ssh.target import Target
from novaops.ssh.transport import HostTransport, PasswordFirst, made_for

logging.getLogger("paramiko").addHandler(logging.NullHandler())
"""paramiko logs a traceback for each connection that fails. novaops reports the failure as an error of its own."""

KEEPALIVE = 15
"""Seconds between keepalive messages, so that firewalls on the way keep the connection."""

BANNER_SHARE = 0.8
"""The share of the timeout in which the server's banner must come. After the whole timeout paramiko gives up without a reason."""


class _HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """paramiko is given no known hosts, so it asks this policy about every host key."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client, hostname
        check_host_key(self._place, key.get_name(), key.asbytes())


def key_of(connection: Connection) -> paramiko.PKey | None:
    """The key that authenticated the connection; None where it was not a key."""
    return getattr(connection.transport, "key", None)


def connect(
    target: Target, early: Future[Way] | None = None, *, key: paramiko.PKey | None = None, no_passwords: bool = False
) -> Connection:
    """An open connection: on the way that is `early` (see early_connect), with `key` only where one is given.

    With `no_passwords` the server must refuse a password first; else PasswordsAccepted is raised. Raises Unreachable; UsageError
    where ssh's configuration leads nowhere.
    """
    way = (early or early_connect(target)).result()
    *jumps, last = _places(target, way)
    with _opened_jumps(way, jumps) as gateway:
        connection, login = _prepared(last, PasswordFirst if no_passwords else HostTransport)
        if target.password is not None or key is not None:
            login.password, login.key = target.password, key
        elif target.identity:
            login.keys.only = target.identity
        _open(connection, login, last, way, gateway)
    limit_unacknowledged(connection, target.timeout)
    return connection


def check_again(connection: Connection, target: Target) -> None:
    """Raises UnknownHostKey or ChangedHostKey where the key of a host on the way is not known any more."""
    places = _places(target, Way(route(target), None))
    for place, hop in zip(reversed(places), hops(connection), strict=True):
        key = hop.transport.get_remote_server_key()
        check_host_key(place, key.get_name(), key.asbytes())


def close(connection: Connection) -> None:
    """Close the connection and those to its jump hosts."""
    for hop in hops(connection):
        if hop.transport is not None:
            hop.transport.close()
        hop.close()


def hops(connection: Connection) -> list[Connection]:
    """The connection and every jump host on the way to it."""
    found = [connection]
    while isinstance(found[-1].gateway, Connection):
        found.append(found[-1].gateway)
    return found


def fetch_host_key(target: Target) -> tuple[str, bytes, Place]:
    """The type and bytes of the target's host key, by a handshake without a login; and the target on its way. Raises as `connect`."""
    way = early_connect(target).result()
    *jumps, last = _places(target, way)
    with _opened_jumps(way, jumps) as gateway:
        sock: Any = None
        transport: HostTransport | None = None
        try:
            sock = _line(last, way, gateway)
            transport = made_for(last, HostTransport, [], sock)
            transport.banner_timeout = BANNER_SHARE * target.timeout
            transport.start_client(timeout=target.timeout)
            key = transport.get_remote_server_key()
            return key.get_name(), key.asbytes(), last
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
            raise explain(error, last, sock, transport.offered() if transport else ()) from error
        finally:
            for used in (transport, sock, gateway and _Chain(gateway)):
                if used is not None:
                    used.close()


class _Chain:
    """A connection that is closed with its jump hosts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        close(self._connection)


def _places(target: Target, way: Way) -> list[Place]:
    before: list[ClientConfig | None] = [None, *way.hops[:-1]]
    return [Place(target, hop, previous, last=hop is way.hops[-1]) for hop, previous in zip(way.hops, before, strict=True)]


@contextmanager
def _opened_jumps(way: Way, jumps: list[Place]) -> Iterator[Connection | None]:
    """The last of the jump hosts, logged in to; None where there are none. They are closed when the block fails."""
    gateway: Connection | None = None
    try:
        for place in jumps:
            connection, login = _prepared(place, HostTransport)
            _open(connection, login, place, way, gateway)
            gateway = connection
        yield gateway
    except BaseException:
        if gateway is not None:
            close(gateway)
        if way.sock is not None:
            way.sock.close()
        raise


def _line(place: Place, way: Way, gateway: Connection | None) -> Any:
    """The bytes to and from the host: the connection of `way` for the first one, a channel of `gateway` for the others."""
    if gateway is None:
        if way.error is not None:
            raise way.error
        return way.sock
    seconds = place.hop.patience(place.target.timeout)
    return gateway.transport.open_channel("direct-tcpip", (place.hop.hostname, place.hop.port), ("127.0.0.1", 0), timeout=seconds)


def _prepared(place: Place, kind: type[HostTransport]) -> tuple[Connection, Login]:
    hop, target = place.hop, place.target
    connection = Connection(
        host=hop.hostname,
        user=hop.user,
        port=hop.port,
        gateway=False,
        config=Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        connect_timeout=max(1, round(target.timeout)),
    )
    connection.client.set_missing_host_key_policy(_HostKeyPolicy(place))
    known = [entry.key_type for entry in known_entries(place) if not entry.marker]
    connection.connect_kwargs = {
        "banner_timeout": BANNER_SHARE * target.timeout,
        "auth_timeout": target.timeout,
        "channel_timeout": target.timeout,
        "transport_factory": partial(made_for, place, kind, known),
    }
    return connection, Login(str(place), hop.user, LoginKeys(hop, target.timeout))


def _open(connection: Connection, login: Login, place: Place, way: Way, gateway: Connection | None) -> None:
    """Connect and log in. Raises Unreachable, blaming the host that is at fault; then nothing is left open but the gateway."""
    sock: Any = None
    try:
        sock = _line(place, way, gateway)
        connection.connect_kwargs |= {"sock": sock, "auth_strategy": login}
        connection.open()
        connection.gateway = gateway or False
        connection.transport.set_keepalive(KEEPALIVE)
    except BaseException as error:
        transport = connection.client.get_transport()
        explained = (
            explain(error, place, sock, transport.offered() if isinstance(transport, HostTransport) else ())
            if isinstance(error, (NovaopsError, paramiko.SSHException, OSError, EOFError, ValueError))
            else None
        )
        connection.close()
        for used in (transport, sock):
            if used is not None:
                with suppress(OSError):
                    used.close()
        if explained is None or explained is error:
            raise
        raise explained from error


def limit_unacknowledged(connection: Connection, seconds: float) -> None:
    """Close the connection when sent bytes are not acknowledged for so long: on a dead link, sending a large script would hang.

    Linux only, and neither through a jump host nor a ProxyCommand. There the missing answer ends it.
    """
    sock = connection.transport.sock
    if isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
