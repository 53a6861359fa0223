"""Connections to a host's ports: directly from here, or from the host itself through the ssh connection."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import cast

from novaops.errors import HostFailed
from novaops.ssh.session import Session
from novaops.verify.http import FAILURES, Plain, trouble

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Reach:
    session: Session
    here: str
    """This machine's address, as the host sees it."""
    inner: str
    """The address at which the host connects to itself, and from which it then sees itself coming."""
    on_host: bool = False
    """Whether the port can only be reached from the host itself."""

    @property
    def comes_from(self) -> str:
        return self.inner if self.on_host else self.here

    @property
    def address(self) -> str:
        own = self.session.connection
        return self.inner if self.on_host or own is None else str(own.host)

    def open(self, port: int) -> Plain:
        """From here; where there is a jump host, from there. Raises one of FAILURES."""
        if self.on_host:
            return self.through(self.inner, port)
        own = self.session.connection
        assert own is not None
        timeout = self.session.target.timeout
        if (before := getattr(own.gateway, "transport", None)) is not None:
            channel = before.open_channel("direct-tcpip", (own.host, port), (LOOPBACK, 0), timeout=timeout)
            channel.settimeout(timeout)
            return cast("Plain", channel)
        return socket.create_connection((own.host, port), timeout)

    def through(self, address: str, port: int) -> Plain:
        """From the host. Raises one of FAILURES."""
        own = self.session.connection
        assert own is not None
        timeout = self.session.target.timeout
        channel = own.transport.open_channel("direct-tcpip", (address, port), (LOOPBACK, 0), timeout=timeout)
        channel.settimeout(timeout)
        return cast("Plain", channel)

    def closed(self, port: int) -> str:
        """What keeps a port from taking connections; "" when nothing does."""
        try:
            self.open(port).close()
        except FAILURES as error:
            return trouble(error)
        return ""


def addresses(session: Session) -> tuple[str, str]:
    """Those of this machine and of the host, as the host sees them. Raises HostFailed."""
    here, _, server, _ = endpoints(session)
    return here, server


def endpoints(session: Session) -> tuple[str, str, str, str]:
    """Address and port of this machine, then of the host, as the host sees them. Raises HostFailed."""
    fields = [field.partition("%")[0] for field in session.run('echo "$SSH_CONNECTION"', root=False).stdout.split()]
    try:
        here, client_port, server, port = fields
        return str(ipaddress.ip_address(here)), client_port, str(ipaddress.ip_address(server)), port
    except ValueError:
        raise HostFailed(f"{session.target} does not tell where this connection comes from", why=" ".join(fields)) from None
