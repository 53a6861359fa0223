"""A tunnel as the inventory describes it (one entry of `tunnel:`), and its forwards with all defaults filled in. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.features.tunnel.field_types import ANY, Check, Listener, Reach, Target, gateway_name, host_port
from novaops.features.tunnel.paths import alias_address, probe_place
from novaops.formats import names
from novaops.formats.forward import LOOPBACK, PortForward
from novaops.formats.names import bracketed, pair, reached

LEFT_ALONE = ""
"""`via` of a tunnel that is to be taken away on the client only (`tunnel down --only-here`). No inventory can say it."""

SOCKS = "socks"

ANY_SITE = "127.0.0.1:80"
"""Stands for the address of the gateway's site where only the client's end matters."""

_HTTPS = frozenset({443, 8443})
_HTTP = frozenset({80, 8080})
_WITHOUT_NUMBER = frozenset({443, 80})
"""The default ports of https and http, which a URL leaves out."""
_WEB = (f"{ANY}:80", f"{ANY}:443")


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
    via: Annotated[str, AfterValidator(gateway_name)] | None = None
    """The gateway: a host of the inventory, or user@address."""
    via_address: Annotated[str, AfterValidator(host_port)] | None = None
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
    socks: Listener | None = None
    """[ADDRESS:]PORT of a SOCKS proxy, as `ssh -D`, instead of `to`."""
    reaches: Annotated[tuple[Reach, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])] = ()
    """HOST:PORT that the SOCKS proxy may connect to, as its clients name them, with * for any; default: ports 80 and 443 of any host."""
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
            for error in (*self._end_errors(), *self._socks_errors(), *self._direction_errors()):
                raise ValueError(error)
        return self

    def _end_errors(self) -> Iterator[str]:
        if self.via is None:
            yield "via: the host that it goes through has to be said"
        kinds = [key for key in ("to", "forwards", "site", "socks") if getattr(self, key)]
        if len(kinds) != 1:
            yield f"{' and '.join(kinds) or 'to'}: say one of to: (with listen:), forwards:, site: (with listen:) and socks:"
        for key in ("listen", "check"):
            if self.forwards and getattr(self, key):
                yield f"{key}: with forwards: each of them has its own"
        if not self.forwards and not self.socks and self.listen is None:
            yield "listen: where clients find it has to be said, such as 127.0.0.1:8443"
        listeners = [forward.listen for forward in self.forwards]
        if twice := next((one for one in listeners if listeners.count(one) > 1), None):
            yield f"forwards: {twice} is there twice"

    def _socks_errors(self) -> Iterator[str]:
        if not self.socks:
            if self.reaches:
                yield "reaches: only with socks: the other kinds lead to one port each"
            return
        if self.listen:
            yield f"listen: not with socks: which says itself where clients find it, {self.socks}"
        if twice := next((key for key in ("reverse", "transparent") if getattr(self, key)), None):
            yield f"{twice}: not with socks: its clients say themselves where they want to go"
        if "reaches" in self.model_fields_set and not self.reaches:
            yield "reaches: an empty list allows nothing; leave it out for the web"
        if not self.check or self.check == "tcp":
            yield "check: with socks: say which URL has to answer through it, such as https://api.openai.com/"
            return
        host, port = url_target(self.check)
        if not any(reach in _matching(host, port) for reach in self.permitted):
            yield f"check: {pair(host, port)} is not among what reaches: allows: {', '.join(self.permitted)}"

    @property
    def permitted(self) -> tuple[str, ...]:
        """What its SOCKS proxy may connect to; () where it has none."""
        return (self.reaches or _WEB) if self.socks else ()

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
        if self.socks and self.check:
            return (ResolvedForward(*url_target(self.check), *split(self.socks), self.check, tunnel=self.name, reaches=self.permitted),)
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


def url_target(url: str) -> tuple[str, int]:
    """Host and port that a URL leads to."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}[parts.scheme]


def _matching(host: str, port: int) -> frozenset[str]:
    """Each way to allow it."""
    return frozenset({pair(host, port), f"{bracketed(host)}:{ANY}", f"{ANY}:{port}", f"{ANY}:{ANY}"})


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
    reaches: tuple[str, ...] = ()
    """What a SOCKS proxy may connect to; () for one port, the target's. Its target is what its check requests."""

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
            return probe_place(f"{self.tunnel} {self.listens}")
        return self.entrance

    @property
    def local_alias(self) -> str:
        """The address that /etc/hosts gives the target's name on the client; "" without `transparent`."""
        return alias_address(self.host) if self.transparent else ""

    @property
    def kind(self) -> str:
        """tcp, http, https, or socks: what is requested through a SOCKS proxy."""
        if self.reaches:
            return SOCKS
        return "tcp" if self.check == "tcp" else urlsplit(self.check).scheme

    @property
    def ssh_forwards(self) -> tuple[tuple[str, str, str], ...]:
        """Lines of an ssh_config: keyword, listener, target."""
        if self.reaches:
            return (("DynamicForward", self.listens, ""),)
        if not self.reverse:
            return (("LocalForward", self.listens, self.target),)
        return (("RemoteForward", self.listens, self.target), ("LocalForward", pair(*self.probe_address), pair(*self.entrance)))

    @property
    def key_permissions(self) -> tuple[str, ...]:
        """Options of the key on the gateway."""
        if self.reaches:
            return tuple(f'permitopen="{reach}"' for reach in self.reaches)
        if self.reverse:
            return (f'permitlisten="{self.listens}"', f'permitopen="{pair(*self.entrance)}"')
        return (f'permitopen="{self.target}"',)


def default_name(flags: Mapping[str, Any]) -> str | None:
    """A name for a tunnel that only flags describe: the site, socks, or the distinctive label of `to`. None where none is given."""
    if site := flags.get("site"):
        return str(site)
    if "to" not in flags:
        return SOCKS if SOCKS in flags else None
    to = str(flags["to"])
    host = (to.rpartition(":")[0] or to).strip("[]:")  # without a port it is refused by its own name
    labels = host.split(".")
    is_address = labels[-1].isdecimal() or ":" in host
    return host.replace(":", "-").strip("-") if is_address or len(labels) == 1 else labels[-2]
