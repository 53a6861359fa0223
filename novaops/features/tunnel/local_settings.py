"""What `tunnel open` is to forward, read from its flags. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from novaops.errors import UsageError
from novaops.features.tunnel.settings import default_url
from novaops.formats import names
from novaops.formats.forward import LOOPBACK, PortForward
from novaops.formats.names import bracketed, pair

EVE = "eve"
EVE_PORTS = (443, 80)
"""Where EVE-NG serves its web page on its own host: by TLS, to which plain http then only leads; or by plain http alone."""

_LAST_PORT = 65535


@dataclass(frozen=True)
class LocalForward(PortForward):
    """A port of this machine that leads through the host."""

    page: bool = False
    """EVE-NG's web page, at the first of EVE_PORTS at which the host listens."""

    @property
    def ways(self) -> tuple[Self, ...]:
        return tuple(replace(self, port=port) for port in EVE_PORTS) if self.page else (self,)

    @property
    def usage(self) -> str:
        """What to type, once the port is known; "" where the protocol is not known."""
        here, url = pair(*self.entrance), default_url(self.host, self.port)
        if self.page and url.startswith("https:"):
            return f"https://{here}/ in a browser, which warns: the certificate is EVE-NG's own"
        if url.startswith("https:"):
            return f"curl --connect-to {self.target}:{here} {url}"
        return f"http://{here}/" if url else ""


def forwards(to: Sequence[str], listen: Sequence[str], api: Callable[[str], tuple[str, int]]) -> list[LocalForward]:
    """Each `--to` with its `--listen`. `api` gives host and port of a provider's API.

    Raises UsageError that names the argument.
    """
    targets = [_target(word, api) for word in to]
    listeners = [_listener(word) for word in listen]
    if listeners and len(listeners) != len(targets):
        raise UsageError(
            f"--listen is there {_times(len(listeners))}, and --to {_times(len(targets))}",
            why="Each --listen is where the --to in the same place is reached.",
            fix="leave --listen out, and a free port is taken for each",
        )
    fixed = [one for one in listeners if one[1]]
    if twice := next((one for one in fixed if fixed.count(one) > 1), None):
        raise UsageError(f"--listen {pair(*twice)} is there twice", fix="give each its own port")
    places = zip(to, targets, listeners or [(LOOPBACK, 0)] * len(targets), strict=True)
    return [LocalForward(*target, *listener, page=word == EVE) for word, target, listener in places]


def _target(word: str, api: Callable[[str], tuple[str, int]]) -> tuple[str, int]:
    if word == EVE:
        return LOOPBACK, EVE_PORTS[0]
    try:
        host, port = names.address(word)
    except ValueError as error:
        raise UsageError(f"--to {word}: {error}", fix="write it as HOST:PORT") from None
    if port is not None:
        return host, port
    if "." in host or ":" in host or host == "localhost":
        raise UsageError(f"--to {word} has no port", fix=f"write it as {bracketed(host)}:443")
    try:
        return api(word)
    except UsageError as error:
        raise UsageError(f"--to {word}: {error.what}", why=error.why, fix="or write HOST:PORT, or eve") from None


def _listener(word: str) -> tuple[str, int]:
    try:
        return _address_and_port(word)
    except ValueError as error:
        raise UsageError(f"--listen {word}: {error}", fix="write it as 127.0.0.1:8443, or as 8443; port 0 is any that is free") from None


def _address_and_port(word: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:(?:\[(?P<v6>[^\]]*)\]|(?P<plain>[^:\[\]]+)):)?(?P<port>[0-9]{1,5})", word)
    if match is None or int(match["port"]) > _LAST_PORT:
        raise ValueError(f"it is neither a port (0 to {_LAST_PORT}) nor ADDRESS:PORT")
    address = match["v6"] or match["plain"] or LOOPBACK
    return LOOPBACK if address == "localhost" else names.ip_address(address), int(match["port"])


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
