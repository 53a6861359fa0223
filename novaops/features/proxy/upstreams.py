"""`upstreams:` and `locations:` of a site: servers of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from novaops.features.proxy.field_types import Balance, LocationPath, RequestHeaders, ResponseHeaders, Seconds, StrictModel, Verify
from novaops.formats import names


class Upstream(StrictModel):
    """A server of one's own."""

    address: str
    """HOST:PORT, or unix:/PATH of a socket. Written as https://HOST:PORT where the server speaks TLS."""
    tls: bool = False
    weight: int = Field(default=1, ge=1, le=1000)
    backup: bool = False
    """Only asked when none of the others answers."""
    max_fails: int = Field(default=3, ge=0, le=1000)
    """After so many failures within fail_timeout it is not asked for as long. 0: it is always asked."""
    fail_timeout: Seconds = 10

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: Any) -> Any:
        found = {"address": value} if isinstance(value, str) else value
        if isinstance(found, dict) and str(found.get("address", "")).startswith("https://"):
            return {**found, "address": found["address"].removeprefix("https://"), "tls": True}
        return found

    @model_validator(mode="after")
    def _valid_address(self) -> Upstream:
        if self.is_socket:
            if any(c in ":;{}$\"'\\" or c.isspace() for c in self.address.removeprefix("unix:")):
                raise ValueError(f'"{self.address}" is no path of a socket that nginx could take')
            names.path(self.address.removeprefix("unix:"))
        elif names.address(self.address)[1] is None:
            raise ValueError(f'"{self.address}" has no port: HOST:PORT')
        return self

    @property
    def is_socket(self) -> bool:
        return self.address.startswith("unix:")

    @property
    def is_name(self) -> bool:
        """Whether it takes a DNS lookup to find it."""
        return not self.is_socket and self.host != "localhost" and not names.is_address(self.host)

    @property
    def host(self) -> str:
        return "" if self.is_socket else names.address(self.address)[0]


Upstreams = Annotated[tuple[Upstream, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str | Upstream])]


class Location(StrictModel):
    """A path of an app site with settings of its own, and what is below the path unless `exact`."""

    path: LocationPath
    exact: bool = False
    upstreams: Upstreams = ()
    """Without them those of the site."""
    balance: Balance | None = None
    buffering: bool | None = None
    """Without it that of the site."""
    auth: Literal["off"] | None = None
    """off: no password or network is checked here."""
    verify: Verify | None = None
    """How the certificates of https:// upstreams are checked. Without it as the site says."""
    strip_prefix: bool = False
    """Whether upstreams are asked without the path: /x in place of /api/x."""
    request_headers: RequestHeaders = Field(default_factory=dict)
    """What upstreams are told besides; "" takes a client's header away."""
    response_headers: ResponseHeaders = Field(default_factory=dict)
    """What clients are told in place of what upstreams say; "" takes a header away."""

    @model_validator(mode="after")
    def _strippable(self) -> Location:
        if self.strip_prefix and (self.exact or self.path == "/" or not self.path.endswith("/")):
            raise ValueError("strip_prefix: is for a path that ends in a slash, such as /api/, and is not exact")
        return self
