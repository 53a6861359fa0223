"""What went wrong with a connection, as an error that names the host on the way whose fault it was, a cause and a fix."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from novaops.errors import LoginFailed, NovaopsError, Unreachable
from novaops.shell import quote
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.proxy_command import ProxySocket
from novaops.ssh.target import Target

_COMMAND_MISSING = (126, 127)
"""The exit status of a shell that cannot run the program."""

_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, RFC 4254."""


@dataclass(frozen=True)
class Place:
    """One host on the way to the target, and the one before it."""

    target: Target
    hop: ClientConfig
    before: ClientConfig | None = None
    last: bool = True
    """Whether it is the target itself."""

    @property
    def address(self) -> str:
        return f"{self.hop.hostname}:{self.hop.port}"

    def __str__(self) -> str:
        return str(self.target) if self.last else f"{self.target}: the jump host {self.hop}"

    @property
    def source(self) -> str:
        """Where the address comes from."""
        if not self.last or self.hop.hostname != self.target.address:
            return "ssh's configuration"
        return "the address" if self.target.address in self.target.name else "address in the inventory"  # as on the command line


def explain(
    error: Exception, place: Place, sock: object = None, offered: Sequence[tuple[str, Sequence[str], Sequence[str]]] = ()
) -> NovaopsError:
    """The exception as an error with a cause and a fix.

    `sock` is the connection that it came from; `offered` what the server can do, by kind: its and ours.
    """
    if isinstance(error, NovaopsError):
        return error
    if isinstance(sock, ProxySocket) and (ended := _proxy_ended(sock, place)):
        return ended
    if isinstance(error, paramiko.ChannelException):
        return _not_forwarded(error, place)
    if isinstance(error, paramiko.AuthenticationException):
        return _login_failed(error, place)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return _incompatible(error, place, offered)
    if isinstance(sock, ProxySocket) and (isinstance(error, TimeoutError) or _is_silence(str(error))):
        return _proxy_waits(sock, place)
    found = _no_tcp(error, place) if isinstance(error, OSError) else _no_session(str(error), place)
    return found or Unreachable(f"{place}: no ssh session with {place.address}", why=str(error) or type(error).__name__)


def _not_resolved(error: socket.gaierror, place: Place) -> Unreachable:
    fix = f"check {place.source}" if place.last else f"check ProxyJump of ssh's configuration for {place.target.address}"
    name = place.hop.hostname
    if place.last:
        return Unreachable(f"{place}: the name {name} cannot be resolved", why=error.strerror or str(error), fix=fix)
    return Unreachable(f"{place.target}: the name {name} of its jump host cannot be resolved", why=error.strerror or str(error), fix=fix)


def _not_forwarded(error: paramiko.ChannelException, place: Place) -> Unreachable:
    """The host before this one was logged in to, and did not make the connection."""
    before = place.before or place.hop
    if error.code == _PROHIBITED:
        fix = "AllowTcpForwarding and PermitOpen of its sshd_config, or restrict in authorized_keys, forbid it"
        return Unreachable(
            f"{place.target}: the jump host {before} forwards no connection to {place.address}", why=str(error.text), fix=fix
        )
    what = f"{place.target}: nothing answers at {place.address}, asked from its jump host {before}"
    return Unreachable(what, why=str(error.text), fix=_see_there(before))


def _not_opened(place: Place) -> Unreachable:
    """The host before this one was logged in to, and did not say in time whether it can make the connection."""
    before = place.before or place.hop
    what = f"{place.target}: no answer from {place.address} within {_seconds(place):g} s, asked from its jump host {before}"
    return Unreachable(what, fix=f"{_see_there(before)}; {_longer(place)}")


def _see_there(before: ClientConfig) -> str:
    return f"see whether name and port are right as {before.asked.host} knows them, and the firewall behind it"


def _proxy_ended(sock: ProxySocket, place: Place) -> Unreachable | None:
    """The error for a ProxyCommand that has ended; None while it runs."""
    sock.close()
    if sock.ended is None:
        return None
    status, said = sock.ended, sock.said
    fix = _proxy_is(sock)
    if status in _COMMAND_MISSING:
        return Unreachable(f"{place}: the program of its ProxyCommand cannot be run", why=said, fix=fix)
    how = f"was ended by signal {-status}" if status < 0 else f"ended (exit status {status})"
    return Unreachable(f"{place}: its ProxyCommand {how}", why=said or "It said nothing.", fix=fix)


def _proxy_waits(sock: ProxySocket, place: Place) -> Unreachable:
    """It runs, and has not connected: it may wait for a login in a browser."""
    what = f"{place}: its ProxyCommand runs, and no ssh server answered through it within {place.target.timeout:g} s"
    return Unreachable(what, why=f"It said: {sock.said}" if sock.said else "It said nothing.", fix=_proxy_is(sock))


def _proxy_is(sock: ProxySocket) -> str:
    return f"ssh's configuration has ProxyCommand {sock.command}"


def _login_failed(error: paramiko.AuthenticationException, place: Place) -> LoginFailed:
    hop, target = place.hop, place.target
    if target.password is not None and place.last:
        return LoginFailed(f"{place}: the login of {hop.user} by password was refused", why=str(error))
    who = f"{quote(hop.user) if not hop.user.isalnum() else hop.user}@{hop.asked.host}"
    return LoginFailed(f"{place}: the login was refused", why=str(error), fix=f"ssh -v -p {hop.port} {who} shows which keys are tried")


def _incompatible(error: Exception, place: Place, offered: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Unreachable:
    """The server and novaops have no algorithm in common."""
    for kind, theirs, ours in offered:
        if not set(theirs) & set(ours):
            return Unreachable(
                f"{place}: {place.address} and novaops have no {kind} in common",
                why=f"The server offers {', '.join(theirs)}. novaops asks for one of {', '.join(ours)}.",
                fix=f"let the server's sshd_config allow one of novaops', or ssh's configuration for {place.hop.asked.host}",
            )
    return Unreachable(f"{place}: no ssh session with {place.address}", why=str(error))


def _is_silence(said: str) -> bool:
    """Whether paramiko reports a server that accepts the connection, and does not greet as an ssh server."""
    return "banner" in said or "No existing session" in said


def _no_session(said: str, place: Place) -> Unreachable | None:
    """The error for a server that accepts the connection and does not answer as an ssh server. `said` is what paramiko reports."""
    where, seconds = place.address, place.target.timeout
    if "Timeout opening channel" in said:
        return _not_opened(place)
    if not _is_silence(said):
        return None
    if "banner" in said:
        return Unreachable(f"{place}: {where} accepts connections, but does not greet as ssh does", why=said, fix="is this port sshd's?")
    return Unreachable(
        f"{place}: {where} accepts connections, but no ssh session came of it within {seconds:g} s",
        fix="--timeout waits longer; is this port sshd's, and the host not overloaded?",
    )


def _no_tcp(error: OSError, place: Place) -> Unreachable | None:
    """The error for a host to which there is no TCP connection."""
    if isinstance(error, socket.gaierror):
        return _not_resolved(error, place)
    if error.errno in {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}:
        fix = f"check {place.source}, and the firewall on the way"
        return Unreachable(f"{place}: nothing answers at {place.address}", why=error.strerror or str(error), fix=fix)
    if isinstance(error, TimeoutError):
        return Unreachable(
            f"{place}: no answer from {place.address} within {_seconds(place):g} s", fix=f"check address and firewall; {_longer(place)}"
        )
    return None


def _seconds(place: Place) -> float:
    return place.hop.patience(place.target.timeout)


def _longer(place: Place) -> str:
    """How more time is given to a connection."""
    if _seconds(place) < place.target.timeout:
        return f"ConnectTimeout {_seconds(place):g} of ssh's configuration allows no more"
    return "--timeout waits longer"
