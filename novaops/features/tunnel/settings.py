"""A tunnel as the inventory describes it: one entry of `tunnel:`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.features.tunnel.paths import own_address
from novaops.formats import names
from novaops.formats.names import bracketed, pair, reached

LOOPBACK = "127.0.0.1"

_HTTPS = frozenset({443, 8443})
_HTTP = frozenset({80, 8080})
_ROOTS = 1024
"""Ports below are root's, and nothing of a tunnel runs as root."""


def _target(text: str) -> str:
    host, port = names.address(text)
    if port is None:
        raise ValueError(f'"{text}" has no port: HOST:PORT')
    return pair(host, port)


def _listener(value: Any) -> str:
    text = str(value)
    address, colon, digits = text.rpartition(":")
    plain = address.removeprefix("[").removesuffix("]") if address.startswith("[") else address
    if colon and (not address or (":" in plain and plain == address)):
        raise ValueError(f'"{text}" is neither a port nor ADDRESS:PORT')
    host = LOOPBACK if plain in {"", "localhost"} else names.ip_address(plain)
    port = names.port(digits)
    if port < _ROOTS:
        raise ValueError(f'"{text}": ports below {_ROOTS} are root\'s, and no part of a tunnel runs as root')
    return pair(host, port)


def _place(text: str) -> str:
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


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Forward(Form):
    """One way through the tunnel."""

    to: Target
    listen: Listener
    check: Check | None = None


class Tunnel(Form):
    """One entry of `tunnel:`."""

    name: names.Name
    state: Literal["present", "absent"] = "present"
    via: Annotated[str, AfterValidator(_via)] | None = None
    """The gateway: a host of the inventory, or user@address."""
    via_address: Annotated[str, AfterValidator(_place)] | None = None
    """How the client reaches it, where that is not the inventory's address: HOST[:PORT]."""
    to: Target | None = None
    """HOST:PORT, as the gateway resolves it."""
    listen: Listener | None = None
    """[ADDRESS:]PORT where clients find it."""
    check: Check | None = None
    """What is asked through it, again and again: a URL, or tcp. Without it by the port."""
    forwards: tuple[Forward, ...] = ()
    site: names.Name | None = None
    """A site of the gateway's proxy: section that listens on its loopback, instead of `to`."""
    reverse: bool = False
    """The other way round: `listen` is on the gateway, and `to` is reached from here."""
    supervisor: Literal["autossh", "systemd"] = "autossh"
    transparent: bool = False
    """Whether unchanged clients of this host come through it: the name leads to a listener of its own at the name's own port."""
    every: Annotated[int, Field(ge=5, le=3600)] = 20
    """Seconds between two requests that see whether it works."""

    @model_validator(mode="after")
    def _fits(self) -> Tunnel:
        if self.state == "present":
            for complaint in (*self._of_its_ends(), *self._of_its_way()):
                raise ValueError(complaint)
        return self

    def _of_its_ends(self) -> Iterator[str]:
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

    def _of_its_way(self) -> Iterator[str]:
        if self.reverse and self.site:
            yield "site: that is on the gateway, where a tunnel with reverse: true comes out of"
        if self.transparent and (self.reverse or self.site):
            yield f"transparent: not with {'reverse' if self.reverse else 'site'}: there is no name of another host to take over"
        if self.transparent:
            targets = [names.address(one) for one in (self.to, *(forward.to for forward in self.forwards)) if one]
            if address := next((host for host, _ in targets if names.is_address(host) or "." not in host), None):
                yield f"transparent: {address} is no name that clients could find elsewhere in DNS"
            if twice := next((host for host, port in targets if targets.count((host, port)) > 1), None):
                yield f"transparent: {twice} is there twice"

    def passages(self, site: str = "") -> tuple[ResolvedForward, ...]:
        """Its forwards, with all that follows from how they are written. `site` is ADDRESS:PORT of the gateway's site."""
        written = self.forwards or (Forward(to=site or self.to or "", listen=self.listen or "", check=self.check),)
        return tuple(self._passage(one) for one in written)

    def _passage(self, forward: Forward) -> ResolvedForward:
        host, port = split(forward.to)
        listen, listen_port = split(forward.listen)
        check = forward.check or _default_check(host, port, pair(reached(listen), listen_port) if self.site else "")
        return ResolvedForward(host.lower(), port, listen, listen_port, check, self.reverse, self.transparent, self.name, bool(self.site))


def _default_check(host: str, port: int, site: str) -> str:
    if site:
        return f"http://{site}/"
    named = bracketed(host)
    if port in _HTTPS and not names.is_address(host):
        return f"https://{named}/" if port == 443 else f"https://{named}:{port}/"  # noqa: PLR2004 - what https means without a number
    if port in _HTTP:
        return f"http://{named}/" if port == 80 else f"http://{named}:{port}/"  # noqa: PLR2004 - and http
    return "tcp"


def split(text: str) -> tuple[str, int]:
    """HOST and PORT of a text that has been read."""
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass(frozen=True)
class ResolvedForward:
    """One forward, with all that follows from it."""

    host: str
    """The target, as the one resolves it who goes there."""
    port: int
    listen: str
    listen_port: int
    check: str
    """tcp, or a URL."""
    reverse: bool
    transparent: bool
    tunnel: str
    to_site: bool = False

    @property
    def target(self) -> str:
        return pair(self.host, self.port)

    @property
    def listens(self) -> str:
        return pair(self.listen, self.listen_port)

    @property
    def is_plain(self) -> bool:
        """Whether sshd knows the address without being allowed to take others."""
        return self.listen in {LOOPBACK, "::1"}

    @property
    def is_public(self) -> bool:
        return not ipaddress.ip_address(self.listen).is_loopback

    @property
    def asked_at(self) -> tuple[str, int]:
        """Where the client sends what it asks to see whether it works. Of a listener on the gateway it is the way there and back."""
        if self.reverse:
            return own_address(f"{self.tunnel} {self.listens}"), self.listen_port
        return reached(self.listen), self.listen_port

    @property
    def front(self) -> str:
        """The address that the name leads to for unchanged clients; "" where it leads where it always did."""
        return own_address(self.host) if self.transparent else ""

    @property
    def kind(self) -> str:
        return "tcp" if self.check == "tcp" else urlsplit(self.check).scheme

    @property
    def ssh_forwards(self) -> tuple[tuple[str, str, str], ...]:
        """Lines of an ssh_config: keyword, where it listens, where it leads."""
        if not self.reverse:
            return (("LocalForward", self.listens, self.target),)
        asked = pair(*self.asked_at)
        return (("RemoteForward", self.listens, self.target), ("LocalForward", asked, pair(reached(self.listen), self.listen_port)))

    @property
    def permits(self) -> tuple[str, ...]:
        """Options of the key on the gateway."""
        if self.reverse:
            return (f'permitlisten="{self.listens}"', f'permitopen="{pair(reached(self.listen), self.listen_port)}"')
        return (f'permitopen="{self.target}"',)


NOTHING_LISTENS = 'permitlisten="localhost:1"'
"""Nothing but root may have that port, and sshd knows no better word for no port at all."""


def options_of_key(passages: tuple[ResolvedForward, ...]) -> str:
    """What the key may do on the gateway, and nothing else: no shell, no command, no other port, no other direction."""
    permits = [permit for passage in passages for permit in passage.permits]
    if not any(permit.startswith("permitlisten") for permit in permits):
        permits.append(NOTHING_LISTENS)
    return ",".join(["restrict", "port-forwarding", 'command="/bin/false"', *dict.fromkeys(permits)])


def distinct(tunnels: list[Tunnel]) -> list[Tunnel]:
    """The tunnels, no two of which want the same. Raises ValueError."""
    named = [tunnel.name for tunnel in tunnels]
    listeners: dict[str, str] = {}
    fronts: dict[tuple[str, int], str] = {}
    units: dict[str, str] = {}
    for tunnel in tunnels:
        if named.count(tunnel.name) > 1:
            raise ValueError(f"{tunnel.name} is there twice")
        for unit in unit_stems(tunnel):
            if (other := units.setdefault(unit, tunnel.name)) != tunnel.name:
                raise ValueError(f"{other} and {tunnel.name} would both have a unit {unit}: choose another name")
        if tunnel.state == "absent":
            continue
        for passage in tunnel.passages("127.0.0.1:80" if tunnel.site else ""):
            place = f"{tunnel.via if passage.reverse else ''} {passage.listens}"
            if (other := listeners.setdefault(place, tunnel.name)) != tunnel.name:
                raise ValueError(f"listen: {other} and {tunnel.name} both have {passage.listens}")
            if passage.transparent and (other := fronts.setdefault((passage.host, passage.port), tunnel.name)) != tunnel.name:
                raise ValueError(f"transparent: {other} and {tunnel.name} both take {passage.target}")
    return tunnels


def unit_stems(tunnel: Tunnel) -> tuple[str, ...]:
    """The names of its units, without what they begin and end with."""
    fronts: tuple[str, ...] = ()
    if tunnel.transparent and tunnel.state == "present":
        fronts = tuple(f"{tunnel.name}-{part}" for part in front_parts(tunnel.passages()))
    return (tunnel.name, f"{tunnel.name}-check", *fronts)


def front_parts(passages: tuple[ResolvedForward, ...]) -> tuple[str, ...]:
    """What tells the units of listeners for unchanged clients apart: the port, and where that is not enough the number before it."""
    ports = [passage.port for passage in passages]
    return tuple(str(port) if ports.count(port) == 1 else f"{number}-{port}" for number, port in enumerate(ports, 1))
