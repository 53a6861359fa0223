"""A tunnel as the inventory describes it (one entry of `tunnel:`), and its forwards with all defaults filled in. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.features.tunnel.paths import alias_address
from novaops.formats import names
from novaops.formats.forward import LOOPBACK, PortForward
from novaops.formats.names import bracketed, pair, reached

LEFT_ALONE = ""
"""`via` of a tunnel that is to be taken away on the client only (`tunnel down --only-here`). No inventory can say it."""

ANY_SITE = "127.0.0.1:80"
"""Stands for the address of the gateway's site where only the client's end matters."""

_HTTPS = frozenset({443, 8443})
_HTTP = frozenset({80, 8080})
_WITHOUT_NUMBER = frozenset({443, 80})
"""The default ports of https and http, which a URL leaves out."""
_FIRST_UNPRIVILEGED = 1024
"""Ports below are root's, and no part of a tunnel runs as root."""


def _target(text: str) -> str:
    host, port = names.address(text)
    if port is None:
        raise ValueError(f'"{text}" has no port: HOST:PORT')
    return pair(host, port)


def _listener(value: Any) -> str:
    if not isinstance(value, (str, int)):
        raise ValueError(f"{names.shown(value)} is neither a port nor ADDRESS:PORT")  # noqa: TRY004 - pydantic takes ValueErrors
    text = str(value)
    address, colon, digits = text.rpartition(":")
    plain = address.removeprefix("[").removesuffix("]") if address.startswith("[") else address
    if colon and (not address or (":" in plain and plain == address)):
        raise ValueError(f'"{text}" is neither a port nor ADDRESS:PORT')
    host = LOOPBACK if plain in {"", "localhost"} else names.ip_address(plain)
    port = names.port(digits)
    if port < _FIRST_UNPRIVILEGED:
        raise ValueError(f'"{text}": ports below {_FIRST_UNPRIVILEGED} are root\'s, and no part of a tunnel runs as root')
    return pair(host, port)


def _host_port(text: str) -> str:
    host, port = names.address(text)
    return host if port is None else pair(host, port)


def _check(text: str) -> str:
    if text == "tcp":
        return text
    if any(not "!" <= c <= "~" or c in "\"'\\`<>{}|^@" for c in text):
        raise ValueError(f'"{text}" is no URL: it has blanks or strange characters in it')
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f'"{text}" is neither tcp nor a URL like https://api.example.com/')
    names.address(parts.netloc)
    return text


def _via(text: str) -> str:
    if not text or any(c.isspace() or not c.isprintable() or c in "\"',\\" for c in text):
        raise ValueError(f'"{text}" is no host')
    return text


Target = Annotated[str, AfterValidator(_target)]
Listener = Annotated[str, BeforeValidator(_listener, json_schema_input_type=str | int)]
Check = Annotated[str, AfterValidator(_check)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Forward(StrictModel):
    """A listener of the tunnel, and where it leads."""

    to: Target
    listen: Listener
    check: Check | None = None


class Tunnel(StrictModel):
    """One entry of `tunnel:`."""

    name: names.Name
    state: Literal["present", "absent"] = "present"
    via: Annotated[str, AfterValidator(_via)] | None = None
    """The gateway: a host of the inventory, or user@address."""
    via_address: Annotated[str, AfterValidator(_host_port)] | None = None
    """HOST[:PORT] at which the client reaches the gateway, where that is not the inventory's address."""
    to: Target | None = None
    """HOST:PORT, as the gateway resolves it."""
    listen: Listener | None = None
    """[ADDRESS:]PORT where clients find it."""
    check: Check | None = None
    """The health check: a URL to request, or tcp to connect only. The default depends on the port of `to`."""
    forwards: tuple[Forward, ...] = ()
    site: names.Name | None = None
    """A site of the gateway's proxy: section that listens on its loopback, instead of `to`."""
    reverse: bool = False
    """As `ssh -R`: `listen` is on the gateway, and `to` is reached from the client."""
    supervisor: Literal["autossh", "systemd"] = "autossh"
    transparent: bool = False
    """Whether /etc/hosts leads the target's name into the tunnel, so that clients on this host need no change."""
    every: Annotated[int, Field(ge=5, le=3600)] = 20
    """Seconds between two health checks."""

    @model_validator(mode="after")
    def _fits(self) -> Tunnel:
        if self.state == "present":
            for error in (*self._end_errors(), *self._direction_errors()):
                raise ValueError(error)
        return self

    def _end_errors(self) -> Iterator[str]:
        if self.via is None:
            yield "via: the host that it goes through has to be said"
        kinds = [key for key in ("to", "forwards", "site") if getattr(self, key)]
        if len(kinds) != 1:
            yield f"{' and '.join(kinds) or 'to'}: say one of to: (with listen:), forwards: and site: (with listen:)"
        for key in ("listen", "check"):
            if self.forwards and getattr(self, key):
                yield f"{key}: with forwards: each of them has its own"
        if not self.forwards and self.listen is None:
            yield "listen: where clients find it has to be said, such as 127.0.0.1:8443"
        listeners = [forward.listen for forward in self.forwards]
        if twice := next((one for one in listeners if listeners.count(one) > 1), None):
            yield f"forwards: {twice} is there twice"

    def _direction_errors(self) -> Iterator[str]:
        if self.reverse and self.site:
            yield "site: not with reverse: a site is on the gateway, and a reverse tunnel leads to the client"
        if self.transparent and (self.reverse or self.site):
            yield f"transparent: not with {'reverse' if self.reverse else 'site'}: there is no name that could lead into it"
        if self.transparent:
            targets = [names.address(one) for one in (self.to, *(forward.to for forward in self.forwards)) if one]
            if address := next((host for host, _ in targets if names.is_address(host) or "." not in host), None):
                yield f"transparent: {address} is no name that clients could find elsewhere in DNS"
            if twice := next((host for host, port in targets if targets.count((host, port)) > 1), None):
                yield f"transparent: {twice} is there twice"

    def resolved_forwards(self, site: str = "") -> tuple[ResolvedForward, ...]:
        """Its forwards with all defaults filled in. `site` is ADDRESS:PORT of the gateway's site."""
        written = self.forwards or (Forward(to=site or self.to or "", listen=self.listen or "", check=self.check),)
        return tuple(self._resolve(one) for one in written)

    def _resolve(self, forward: Forward) -> ResolvedForward:
        host, port = split(forward.to)
        listen, listen_port = split(forward.listen)
        check = f"http://{pair(reached(listen), listen_port)}/" if self.site else _default_check(host, port)
        return ResolvedForward(
            *(host.lower(), port, listen, listen_port, forward.check or check),
            reverse=self.reverse,
            transparent=self.transparent,
            tunnel=self.name,
            to_site=bool(self.site),
        )


def default_url(host: str, port: int) -> str:
    """The URL that is usual for the port; "" where no URL is."""
    scheme = "https" if port in _HTTPS else "http" if port in _HTTP else ""
    if not scheme:
        return ""
    return f"{scheme}://{bracketed(host) if port in _WITHOUT_NUMBER else pair(host, port)}/"


def _default_check(host: str, port: int) -> str:
    url = default_url(host, port)
    return url if url.startswith("http:") or (url and not names.is_address(host)) else "tcp"


def split(text: str) -> tuple[str, int]:
    """HOST and PORT of a text that has been validated."""
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass(frozen=True)
class ResolvedForward(PortForward):
    """One forward of a tunnel, with all defaults filled in."""

    check: str = "tcp"
    """tcp, or a URL."""
    reverse: bool = False
    transparent: bool = False
    tunnel: str = ""
    to_site: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether sshd listens at this address whatever GatewayPorts says."""
        return self.listen in {LOOPBACK, "::1"}

    @property
    def is_public(self) -> bool:
        return not ipaddress.ip_address(self.listen).is_loopback

    @property
    def probe_address(self) -> tuple[str, int]:
        """Where the client sends its health check. With `reverse` it goes to the gateway's listener and back through the same ssh."""
        if self.reverse:
            return alias_address(f"{self.tunnel} {self.listens}"), self.listen_port
        return self.entrance

    @property
    def local_alias(self) -> str:
        """The address that /etc/hosts gives the target's name on the client; "" without `transparent`."""
        return alias_address(self.host) if self.transparent else ""

    @property
    def kind(self) -> str:
        """tcp, http or https."""
        return "tcp" if self.check == "tcp" else urlsplit(self.check).scheme

    @property
    def ssh_forwards(self) -> tuple[tuple[str, str, str], ...]:
        """Lines of an ssh_config: keyword, listener, target."""
        if not self.reverse:
            return (("LocalForward", self.listens, self.target),)
        return (("RemoteForward", self.listens, self.target), ("LocalForward", pair(*self.probe_address), pair(*self.entrance)))

    @property
    def key_permissions(self) -> tuple[str, ...]:
        """Options of the key on the gateway."""
        if self.reverse:
            return (f'permitlisten="{self.listens}"', f'permitopen="{pair(*self.entrance)}"')
        return (f'permitopen="{self.target}"',)


def distinct(tunnels: list[Tunnel]) -> list[Tunnel]:
    """The tunnels, if no two of them need the same listener, name or unit. Raises ValueError."""
    names.each_once("name", [tunnel.name for tunnel in tunnels])
    listeners: dict[str, str] = {}
    names_taken: dict[str, str] = {}
    units: dict[str, str] = {}
    for tunnel in tunnels:
        for stem in _unit_stems(tunnel):
            if (other := units.setdefault(stem, tunnel.name)) != tunnel.name:
                raise ValueError(f"{other} and {tunnel.name} would both have a unit {stem}: choose another name")
        if tunnel.state == "absent":
            continue
        for forward in tunnel.resolved_forwards(ANY_SITE if tunnel.site else ""):
            listener = f"{tunnel.via if forward.reverse else ''} {forward.listens}"
            if (other := listeners.setdefault(listener, tunnel.name)) != tunnel.name:
                raise ValueError(f"listen: {other} and {tunnel.name} both have {forward.listens}")
            if forward.transparent and (other := names_taken.setdefault(forward.target, tunnel.name)) != tunnel.name:
                raise ValueError(f"transparent: {other} and {tunnel.name} both take {forward.target}")
    return tunnels


def _unit_stems(tunnel: Tunnel) -> tuple[str, ...]:
    """The names of its units, without `novaops-tunnel-` and the suffix."""
    aliases: tuple[str, ...] = ()
    if tunnel.transparent and tunnel.state == "present":
        aliases = tuple(f"{tunnel.name}-{part}" for part in alias_parts(tunnel.resolved_forwards()))
    return (tunnel.name, f"{tunnel.name}-check", *aliases)


def alias_parts(forwards: tuple[ResolvedForward, ...]) -> tuple[str, ...]:
    """What tells the units of local aliases apart: the port; where two have the same port, the forward's number before it."""
    ports = [forward.port for forward in forwards]
    return tuple(str(port) if ports.count(port) == 1 else f"{number}-{port}" for number, port in enumerate(ports, 1))


def default_name(flags: Mapping[str, Any]) -> str | None:
    """A name for a tunnel that only flags describe: the site, or the distinctive label of `to`. None where neither is given."""
    if site := flags.get("site"):
        return str(site)
    host = str(flags.get("to", "")).rpartition(":")[0].strip("[]")
    if not host:
        return None
    labels = host.split(".")
    is_address = labels[-1].isdecimal() or ":" in host
    return host.replace(":", "-").strip("-") if is_address or len(labels) == 1 else labels[-2]
