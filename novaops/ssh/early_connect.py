"""The way to a host, asked of ssh and connected to while the ssh library loads: that takes a fifth of a second anyway."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from novaops.errors import Unreachable
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.proxy_command import ProxySocket
from novaops.ssh.route import route
from novaops.ssh.target import Target

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True)
class Way:
    """The hosts on the way, and the connection to the first of them, or why there is none."""

    hops: tuple[ClientConfig, ...]
    sock: socket.socket | None
    error: Exception | None = None


def early_connect(target: Target) -> Future[Way]:
    """The way to the target, being found and connected. Its errors are those of `route`."""
    early: Future[Way] = Future()

    def connect() -> None:
        try:
            hops = route(target)
            try:
                early.set_result(Way(hops, dial(hops[0], hops[0].patience(target.timeout))))
            except (OSError, ValueError, Unreachable) as error:
                early.set_result(Way(hops, None, error))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            early.set_exception(error)

    threading.Thread(target=connect, name=f"connect {target.name}", daemon=True).start()
    return early


def dial(hop: ClientConfig, seconds: float) -> socket.socket:
    """A connection to the host, by its ProxyCommand or by TCP. Raises OSError, Unreachable."""
    unsupported = f"BindInterface {interface}" if (interface := hop.first("bindinterface")) else ""
    if hop.is_on("proxyusefdpass"):
        unsupported = "ProxyUseFdpass yes"
    if unsupported:
        raise Unreachable(f"{unsupported} of ssh's configuration for {hop} is not supported", fix="BindAddress and ProxyCommand are")
    if hop.proxy_command:
        return ProxySocket(hop.proxy_command)
    last: OSError | None = None
    wanted = _FAMILIES.get(hop.first("addressfamily"), socket.AF_UNSPEC)
    for family, kind, protocol, _, address in socket.getaddrinfo(hop.hostname, hop.port, wanted, socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(seconds)
            _bind(made, hop.first("bindaddress"))
            made.connect(address)
        except OSError as error:
            made.close()
            if last is None or not isinstance(error, _NotBoundError):
                last = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    assert last is not None, "getaddrinfo gives an address or raises"
    if isinstance(last, _NotBoundError):
        raise Unreachable(
            f"BindAddress {hop.first('bindaddress')} cannot be used",
            why=f"ssh's configuration has it for {hop}: {last}",
            fix="give an address that this machine has, IPv4 or IPv6 as the host's",
        )
    raise last


class _NotBoundError(OSError):
    """BindAddress does not go with this address of the host. It may go with the next one."""


def _bind(made: socket.socket, address: str) -> None:
    """Raises _NotBoundError where the address is none of this machine's, or not of the socket's family."""
    if not address:
        return
    try:
        made.bind(socket.getaddrinfo(address, 0, made.family, socket.SOCK_STREAM)[0][4])
    except OSError as error:
        raise _NotBoundError(error.strerror or str(error)) from None
