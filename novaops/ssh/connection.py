"""Opening a connection: each host on the way over the one before it, with its host key checked, by Fabric and paramiko.

What ssh's configuration says was asked of ssh itself (`route`); nothing of it is read by Fabric. Fabric by itself accepts any
host key. Importing it takes 0.4 s: `session` imports this module only when it connects.
"""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import paramiko
from fabric import Config, Connection

from novaops.errors import ClosedAfterPassword, NovaopsError, PasswordsAccepted, Unreachable
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.early_connect import Way, early_connect, seconds_for
from novaops.ssh.explain import Place, explain
from novaops.ssh.host_keys import check_host_key, known_entries
from novaops.ssh.login import Login
from novaops.ssh.login_keys import LoginKeys
from novaops.ssh.target import Target

logging.getLogger("paramiko").addHandler(logging.NullHandler())
"""paramiko logs a traceback for each connection that fails. novaops reports the failure as an error of its own."""

KEEPALIVE = 15
"""Seconds between keepalive messages, so that firewalls on the way keep the connection."""

BANNER_SHARE = 0.8
"""The share of the timeout in which the server's banner must come. After the whole timeout paramiko gives up without a reason."""

_SAME = {"curve25519-sha256": "curve25519-sha256@libssh.org"}
"""Two names of one algorithm, of which paramiko knows the second one only."""


class _HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """paramiko is given no known hosts, so it asks this policy about every host key."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client, hostname
        check_host_key(self._place, key.get_name(), key.asbytes())


class _Transport(paramiko.Transport):
    """A transport that records the key that authenticated, and what the server can do."""

    key: paramiko.PKey | None = None
    kex_offered: tuple[str, ...] = ()
    host_keys_offered: tuple[str, ...] = ()
    ciphers_offered: tuple[str, ...] = ()

    def auth_publickey(self, username: str, key: paramiko.PKey, event: Any = None) -> list[str]:
        left = super().auth_publickey(username, key, event)
        self.key = key
        return left

    def _parse_kex_init(self, m: paramiko.Message) -> None:
        said = self._really_parse_kex_init(paramiko.Message(m.asbytes()))  # type: ignore[attr-defined]
        kept = [name for name in said["kex_algo_list"] if not name.startswith(("ext-info-", "kex-strict-"))]
        self.kex_offered, self.host_keys_offered = tuple(kept), tuple(said["server_key_algo_list"])
        self.ciphers_offered = tuple(said["server_encrypt_algo_list"])
        super()._parse_kex_init(m)  # type: ignore[misc]

    def offered(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """By kind: what the server offers, and what it was offered."""
        ours = self.get_security_options()
        return [
            ("key exchange", self.kex_offered, tuple(ours.kex)),
            ("kind of host key", self.host_keys_offered, tuple(ours.key_types)),
            ("cipher", self.ciphers_offered, tuple(ours.ciphers)),
        ]


class _PasswordFirst(_Transport):
    """A transport that tries a password before the first key. Within the same connection that does no harm: sshd would
    count a connection without a login against the address that it came from.
    """

    _tried = False

    def auth_publickey(self, username: str, key: paramiko.PKey, event: Any = None) -> list[str]:
        if not self._tried:
            self._tried = True
            if offered := PASSWORD_METHODS & _offered_methods(self, username):
                raise PasswordsAccepted(f"the server still offers {' and '.join(sorted(offered))}")
            if not self.is_active():
                raise ClosedAfterPassword("the server closed the connection after one password")
        return super().auth_publickey(username, key, event)


PASSWORD_METHODS = frozenset({"password", "keyboard-interactive"})


def _offered_methods(transport: paramiko.Transport, user: str) -> set[str]:
    """The methods that the server offers when it is asked with none, and with a random password."""
    offered: set[str] = set()
    for attempt in (partial(transport.auth_none, user), partial(transport.auth_password, user, secrets.token_hex(16), fallback=False)):
        try:
            attempt()
        except paramiko.BadAuthenticationType as error:
            offered |= set(error.allowed_types)
        except paramiko.AuthenticationException:
            if transport.is_active():
                offered.add("password")
        except (paramiko.SSHException, EOFError):
            pass  # the server closed the connection
        else:
            raise PasswordsAccepted("the server asks for nothing at all")
    return offered


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
        connection, login = _prepared(last, _PasswordFirst if no_passwords else _Transport)
        if target.password is not None or key is not None:
            login.password, login.key = target.password, key
        elif target.identity:
            login.keys.only = target.identity
        _open(connection, login, last, way, gateway)
    _limit_unacknowledged(connection.transport.sock, target.timeout)
    return connection


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
        transport: _Transport | None = None
        try:
            sock = _line(last, way, gateway)
            transport = _transport(last, _Transport, [], sock)
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
            connection, login = _prepared(place, _Transport)
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
    seconds = seconds_for(place.hop, place.target)
    return gateway.transport.open_channel("direct-tcpip", (place.hop.hostname, place.hop.port), ("127.0.0.1", 0), timeout=seconds)


def _prepared(place: Place, kind: type[_Transport]) -> tuple[Connection, Login]:
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
        "transport_factory": partial(_transport, place, kind, known),
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
            explain(error, place, sock, transport.offered() if isinstance(transport, _Transport) else ())
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


def _limit_unacknowledged(sock: object, seconds: float) -> None:
    """Close the connection when sent bytes are not acknowledged for so long: on a dead link, sending a large script would hang.

    Linux only, and neither through a jump host nor a ProxyCommand. There the missing answer ends it.
    """
    if isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def _transport(place: Place, kind: type[_Transport], known_types: list[str], sock: Any, **options: Any) -> _Transport:
    """A transport that asks for what ssh's configuration allows, and first for a host key of a type that is in known_hosts, as ssh does."""
    transport = kind(sock, **options)
    security = transport.get_security_options()
    wanted = {name for known in known_types for name in ({"rsa-sha2-512", "rsa-sha2-256"} if known == "ssh-rsa" else {known})}
    plain = tuple(name for name in transport._key_info if "-cert-" not in name)  # type: ignore[attr-defined]  # noqa: SLF001
    types = _allowed(place, "HostKeyAlgorithms", security.key_types, plain)
    security.key_types = sorted(types, key=lambda name: name not in wanted)
    security.kex = _allowed(place, "KexAlgorithms", security.kex, tuple(transport._kex_info))  # type: ignore[attr-defined]  # noqa: SLF001
    return transport


def _allowed(place: Place, keyword: str, default: Sequence[str], can: tuple[str, ...]) -> Sequence[str]:
    """What ssh's configuration allows of what paramiko can do, in its order. Raises Unreachable where that is nothing."""
    said = place.hop.listed(keyword.lower())
    if not said:
        return default
    if both := tuple(dict.fromkeys(name for one in said if (name := _SAME.get(one, one)) in can)):
        return both
    raise Unreachable(
        f"{place}: {keyword} of ssh's configuration allows nothing that novaops can do",
        why=f"It allows {', '.join(said)}. novaops can do {', '.join(can)}.",
        fix=f"add one of these to {keyword} for {place.hop.asked.host}",
    )
