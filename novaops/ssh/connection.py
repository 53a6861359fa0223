"""Opening a connection: Fabric for ssh_config, jump hosts and authentication, with the host key checked on every hop.

Fabric by itself accepts any host key. Importing it takes 0.4 s: `session` imports this module only when it connects.
"""

from __future__ import annotations

import errno
import getpass
import logging
import os
import secrets
import socket
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from novaops.errors import ClosedAfterPassword, LoginFailed, PasswordsAccepted, Unreachable
from novaops.secret import Secret
from novaops.ssh import known_hosts
from novaops.ssh.host_keys import check_host_key, known_hosts_files
from novaops.ssh.target import Target

logging.getLogger("paramiko").addHandler(logging.NullHandler())
"""paramiko logs a traceback for each connection that fails. novaops reports the failure as an error of its own."""

KEEPALIVE = 15
"""Seconds between keepalive messages, so that firewalls on the way keep the connection."""

BANNER_SHARE = 0.8
"""The share of the timeout in which the server's banner must come. After the whole timeout paramiko gives up without a reason."""


class _HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """paramiko is given no known hosts, so it asks this policy about every host key."""

    def __init__(self, target: Target, files: list[Path]) -> None:
        self._target = target
        self._files = files

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client
        check_host_key(self._target, hostname, key.get_name(), key.asbytes(), self._files)


class _Transport(paramiko.Transport):
    """A transport that records the key that authenticated."""

    key: paramiko.PKey | None = None

    def auth_publickey(self, username: str, key: paramiko.PKey, event: Any = None) -> list[str]:
        left = super().auth_publickey(username, key, event)
        self.key = key
        return left


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
    target: Target, early: Future[socket.socket] | None = None, *, key: paramiko.PKey | None = None, no_passwords: bool = False
) -> Connection:
    """An open connection: over `early` where that is given (see early_connect), with `key` only where one is given. Raises Unreachable.

    With `no_passwords` the server must refuse a password first; else PasswordsAccepted is raised.
    """
    connection = _connection(target)
    try:
        if early is not None:
            connection.connect_kwargs["sock"] = early.result()
        for hop in _hops(connection):
            _prepare(hop, target, _PasswordFirst if no_passwords and hop is connection else _Transport)
        if target.password is not None or key is not None:
            _use_only(connection, target.password, key)
        elif target.identity:
            _use_identity(connection, target, connection.connect_kwargs.pop("key_filename")[0])
        connection.open()
        connection.transport.set_keepalive(KEEPALIVE)
        _limit_unacknowledged(connection.transport.sock, target.timeout)
    except BaseException as error:
        connection.close()
        if "sock" in connection.connect_kwargs:
            connection.connect_kwargs["sock"].close()
        if isinstance(error, (paramiko.SSHException, OSError, EOFError, ValueError)):
            raise explain(error, target, connection.host, connection.port) from error
        raise
    return connection


def _limit_unacknowledged(sock: object, seconds: float) -> None:
    """Close the connection when sent bytes are not acknowledged for so long: on a dead link, sending a large script would hang.

    Linux only, and not through a jump host. There the missing answer ends it.
    """
    if isinstance(sock, socket.socket) and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def _use_only(connection: Connection, password: Secret | None, key: paramiko.PKey | None) -> None:
    connection.connect_kwargs.pop("key_filename", None)
    connection.connect_kwargs.update(look_for_keys=False, allow_agent=False)
    if password is not None:
        connection.connect_kwargs["password"] = password.reveal()
    else:
        connection.connect_kwargs["pkey"] = key


def _use_identity(connection: Connection, target: Target, file: str) -> None:
    """Log in with this key only. A key with a passphrase must be in the agent.

    Given the name of the file, paramiko would try it as each type of key, and report the error of the last type.
    """
    try:
        connection.connect_kwargs["pkey"] = paramiko.PKey.from_path(Path(file))
    except (TypeError, paramiko.PasswordRequiredException):
        if "SSH_AUTH_SOCK" not in os.environ:
            fix = f"eval $(ssh-agent) && ssh-add {file}"
            raise LoginFailed(f"{target}: the private key {file} needs a passphrase", fix=fix) from None
        connection.connect_kwargs["allow_agent"] = True
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise LoginFailed(f"{target}: {file} is not a usable private key", why=str(error)) from None


def fetch_host_key(target: Target) -> tuple[str, bytes, str]:
    """The type and bytes of the server's host key, and its name in known_hosts; by a handshake without a login. Raises Unreachable."""
    connection = _connection(target)
    try:
        if connection.gateway:
            for hop in _hops(connection.gateway) if isinstance(connection.gateway, Connection) else ():
                _prepare(hop, target)
            sock: Any = connection.open_gateway()
        else:
            sock = socket.create_connection((connection.host, connection.port), target.timeout)
        transport = paramiko.Transport(sock)
        transport.banner_timeout = BANNER_SHARE * target.timeout
        try:
            transport.start_client(timeout=target.timeout)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise explain(error, target, connection.host, connection.port) from error
    return key.get_name(), key.asbytes(), known_hosts.host_name(connection.host, connection.port)


def key_files(target: Target) -> list[Path]:
    """The known_hosts files in which the target's key is looked up. New lines go to the first."""
    return known_hosts_files(target, _connection(target).ssh_config.get("userknownhostsfile", ""))


def _connection(target: Target) -> Connection:
    arguments: dict[str, Any] = {}
    if target.identity:
        arguments = {"key_filename": [str(Path(target.identity).expanduser())], "look_for_keys": False, "allow_agent": False}
    return Connection(
        host=target.address,
        user=target.user,
        port=target.port,
        config=Config(overrides={"user": target.user or getpass.getuser()}),
        connect_kwargs=arguments,
        connect_timeout=max(1, round(target.timeout)),
    )


def _hops(connection: Connection) -> list[Connection]:
    """The connection and every jump host on the way to it."""
    hops = [connection]
    while isinstance(hops[-1].gateway, Connection):
        hops.append(hops[-1].gateway)
    return hops


def _prepare(hop: Connection, target: Target, kind: type[paramiko.Transport] = _Transport) -> None:
    files = known_hosts_files(target, hop.ssh_config.get("userknownhostsfile", ""))
    hop.client.set_missing_host_key_policy(_HostKeyPolicy(target, files))
    known = known_hosts.matching(known_hosts.host_name(hop.host, hop.port), known_hosts.entries(files))
    hop.connect_kwargs.update(
        banner_timeout=BANNER_SHARE * target.timeout,
        auth_timeout=target.timeout,
        channel_timeout=target.timeout,
        transport_factory=partial(_transport, kind, [entry.key_type for entry in known if not entry.marker]),
    )


def _transport(kind: type[paramiko.Transport], known_types: list[str], sock: Any, **options: Any) -> paramiko.Transport:
    """A transport that asks for a host key of a type that is in known_hosts, as ssh does."""
    transport = kind(sock, **options)
    security = transport.get_security_options()
    offered = list(security.key_types)
    wanted = {name for known in known_types for name in ({"rsa-sha2-512", "rsa-sha2-256"} if known == "ssh-rsa" else {known})}
    security.key_types = sorted(offered, key=lambda name: name not in wanted)
    return transport


def explain(error: Exception, target: Target, address: str, port: int) -> Unreachable:
    """The exception as an Unreachable with a cause and a fix."""
    where = f"{address}:{port}"
    if isinstance(error, Unreachable):
        return error
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"{target}: the name {address} cannot be resolved", why=error.strerror or str(error), fix="check address in the inventory"
        )
    if isinstance(error, paramiko.ssh_exception.PasswordRequiredException):
        return LoginFailed(f"{target}: the private key needs a passphrase", fix="ssh-add it to an agent first")
    if isinstance(error, paramiko.AuthenticationException):
        return _login_failed(error, target, f"{target.user + '@' if target.user else ''}{address}", port)
    if reasons := _no_tcp(error):
        return Unreachable(f"{target}: nothing answers at {where}", why=reasons, fix="check address and port, and the firewall on the way")
    if isinstance(error, (TimeoutError, socket.timeout)):
        return Unreachable(
            f"{target}: no answer from {where} within {target.timeout:g} s", fix="check address and firewall; --timeout waits longer"
        )
    if isinstance(error, FileNotFoundError):
        return Unreachable(f"{target}: there is no key file {error.filename}", fix="check identity in the inventory")
    if isinstance(error, paramiko.SSHException) and (no_banner := _no_banner(str(error), target, where)):
        return no_banner
    return Unreachable(f"{target}: no ssh session with {where}", why=str(error) or type(error).__name__)


def _login_failed(error: paramiko.AuthenticationException, target: Target, who: str, port: int) -> LoginFailed:
    if target.password is not None:
        return LoginFailed(f"{target}: the login of {target.user} by password was refused", why=str(error))
    return LoginFailed(f"{target}: the login was refused", why=str(error), fix=f"ssh -v -p {port} {who} shows which keys are tried")


def _no_banner(said: str, target: Target, where: str) -> Unreachable | None:
    """The error for a server that accepts the connection and does not answer as an ssh server. `said` is what paramiko reports."""
    if "banner" in said:
        return Unreachable(f"{target}: {where} accepts connections, but does not greet as ssh does", why=said, fix="is this port sshd's?")
    if "No existing session" in said:
        return Unreachable(
            f"{target}: {where} accepts connections, but no ssh session came of it within {target.timeout:g} s",
            fix="--timeout waits longer; is this port sshd's, and the host not overloaded?",
        )
    return None


def _no_tcp(error: Exception) -> str:
    """Why there is no TCP connection, or "" when the error is a different one."""
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return ", ".join(sorted({str(e.strerror or e) for e in vars(error)["errors"].values()}))
    if isinstance(error, OSError) and error.errno in {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return error.strerror or str(error)
    return ""
