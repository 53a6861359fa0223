"""VPNs as the inventory describes them: one entry of `vpn:` is a link to somebody's server, or a server of one's own. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from novaops.engine.secret_source import Reference
from novaops.formats import names

LONGEST_DEVICE = 15

_SHORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}")
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_WIDEST, _NARROWEST = 16, 29
"""Bits of a network's prefix: what OpenVPN makes of `server`, and of `topology subnet`."""


def route(text: str) -> str:
    """A name, an address or a network. Raises ValueError with the offending text."""
    if "/" not in text:
        found = names.host(text)
        if names.is_address(found):
            _refuse_special(ipaddress.ip_network(found))
        elif "." not in found.strip(".") or found.replace(".", "").isdecimal():
            raise ValueError(f'"{text}" is not a name like api.openai.com, an address or a network')
        return found if names.is_address(found) else found.lower().rstrip(".")
    network = ipaddress.ip_network(names.network(text))
    _refuse_special(network)
    return str(network) if network.num_addresses > 1 else str(network.network_address)


def _refuse_special(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    if network.prefixlen == 0:
        raise ValueError(f'"{network}" is every address, ssh included: only what is named goes through a VPN')
    if network.is_loopback or network.is_multicast or network.is_unspecified or network.is_link_local:
        raise ValueError(f'"{network}" never leaves the host or its link')


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(not "!" <= c <= "~" or c in "\"\\'" for c in text) or "@" in text:
        raise ValueError(f'"{text}" is not a URL like https://api.example.com/v1/models')
    names.address(parts.netloc)
    return text


def _short(name: str) -> str:
    """The server's name is part of the names of its device and of its nftables table. Raises ValueError."""
    if not _SHORT.fullmatch(name):
        raise ValueError(f'"{name}" is not a name for a VPN server: at most {LONGEST_DEVICE - 4} letters, digits, "-" and "_"')
    return name


def _of_clients(text: str) -> str:
    """A network from which clients can get addresses. Raises ValueError with the offending text."""
    try:
        found = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is not a network like 10.86.0.0/24: {error}') from None
    if not _WIDEST <= found.prefixlen <= _NARROWEST:
        raise ValueError(f'"{text}" is not a network for clients: /{_WIDEST} to /{_NARROWEST}')
    if not any(found.subnet_of(ipaddress.IPv4Network(one)) for one in _PRIVATE):
        raise ValueError(f'"{text}" is not a private network, which is part of {", ".join(_PRIVATE)}')
    return str(found)


def reached(text: str) -> str:
    """A network that clients may go to. Raises ValueError."""
    if ":" in text:
        raise ValueError(f'"{text}" is not an IPv4 network: only IPv4 goes through this VPN')
    return names.network(text)


Route = Annotated[str, AfterValidator(route)]
Routes = Annotated[tuple[Route, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])]
Url = Annotated[str, AfterValidator(_url)]
Port = Annotated[int, BeforeValidator(names.port, json_schema_input_type=int | str)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Link(_StrictModel):
    """A client of somebody's OpenVPN server, for the named routes only."""

    name: names.Name
    profile: str | None = Field(default=None, min_length=1)
    """The .ovpn file on the operator's machine, relative to the inventory's folder."""
    routes: Routes = ()
    """What goes through it: names, addresses, networks. Nothing else does."""
    user: str | None = None
    password: Reference | None = None
    """Of `user`, where the server wants both."""
    key_password: Reference | None = None
    """What opens the profile's private key, where that is encrypted."""
    when_down: Literal["unreachable", "direct"] = "unreachable"
    """While the link is down, packets for its routes are dropped, or go by the default route."""
    keep: int = Field(default=24, ge=1, le=24 * 365)
    """Hours that an address stays routed after the name was last seen to resolve to it."""
    check: Url | None = None
    """The URL that has to answer through the link; default: https:// and the first name of `routes`."""
    serve: Literal[False] = False
    state: Literal["present", "absent"] = "present"

    @model_validator(mode="after")
    def _fits(self) -> Link:
        if self.state == "absent":
            return self
        if not self.profile:
            raise ValueError("profile: the .ovpn file is needed")
        if not self.routes:
            raise ValueError("routes: say what goes through it: names, addresses or networks")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if self.user is not None and (not self.user.strip() or any(c in self.user for c in "\r\n\0")):
            raise ValueError("user: it is blank, or has a line break in it")
        if self.check is None and not self.hosts:
            raise ValueError("check: say which URL has to answer: routes has no name to ask")
        return self

    @property
    def device(self) -> str:
        """The network device's name: the kernel takes fifteen characters."""
        return device(self.name)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names among the routes."""
        return tuple(one for one in self.routes if "/" not in one and not names.is_address(one))

    @property
    def networks(self) -> tuple[str, ...]:
        """The addresses and networks among the routes."""
        return tuple(one for one in self.routes if one not in self.hosts)

    @property
    def url(self) -> str:
        """The URL that has to answer through it."""
        return self.check or f"https://{self.hosts[0]}/"


class Server(_StrictModel):
    """The other end: an OpenVPN server with a small authority of its own."""

    name: Annotated[names.Name, AfterValidator(_short)]
    serve: Literal[True]
    port: Port = 1194
    protocol: Literal["udp", "tcp"] = "udp"
    network: Annotated[str, AfterValidator(_of_clients)] = "10.86.0.0/24"
    """The addresses of its clients, and of itself."""
    address: names.Host | None = None
    """What the profiles say after `remote`; default: the inventory's address."""
    reaches: Annotated[
        tuple[Annotated[str, AfterValidator(reached)], ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])
    ] = ()
    """The networks that its clients may reach; default: all."""
    state: Literal["present", "absent"] = "present"

    @property
    def device(self) -> str:
        return device(self.name)


def _which(value: Any) -> str:
    serve = value.get("serve", False) if isinstance(value, dict) else getattr(value, "serve", False)
    return "tagged-server" if str(serve).lower() == "true" else "tagged-link"


def _plain(value: Any) -> Any:
    """The inventory gives `true` and `false` as texts."""
    if isinstance(value, dict) and str(value.get("serve")).lower() in {"true", "false"}:
        return {**value, "serve": str(value["serve"]).lower() == "true"}
    return value


Vpn = Annotated[
    Annotated[Link, Tag("tagged-link")] | Annotated[Server, Tag("tagged-server")], Discriminator(_which), BeforeValidator(_plain)
]


def device(name: str) -> str:
    return f"vpn-{name}"[:LONGEST_DEVICE]


def distinct(entries: Sequence[Vpn]) -> list[Vpn]:
    """The entries. Raises ValueError where two of them have the same name, device, port, network or route."""
    names.each_once("name", [entry.name for entry in entries])
    seen: dict[str, str] = {}
    for entry in entries:
        leaves = isinstance(entry, Link) and entry.state == "absent"  # its device is gone before another one is made
        if not leaves and seen.setdefault(entry.device, entry.name) != entry.name:
            raise ValueError(
                f"{seen[entry.device]} and {entry.name} would both have the device {entry.device}: it has {LONGEST_DEVICE} characters"
            )
        if isinstance(entry, Server) and entry.state == "present":
            place = f"{entry.protocol} port {entry.port}"
            if seen.setdefault(place, entry.name) != entry.name:
                raise ValueError(f"{seen[place]} and {entry.name} would both listen at {place}")
            for other in entries:
                if not isinstance(other, Server) or other is entry or other.state == "absent":
                    continue
                if ipaddress.ip_network(entry.network).overlaps(ipaddress.ip_network(other.network)):
                    raise ValueError(f"the networks of {entry.name} and {other.name} overlap: {entry.network} and {other.network}")
        for one in entry.routes if isinstance(entry, Link) and entry.state == "present" else ():
            if seen.setdefault(f"route {one}", entry.name) != entry.name:
                raise ValueError(f"{one} cannot go through both {seen[f'route {one}']} and {entry.name}")
    return list(entries)
