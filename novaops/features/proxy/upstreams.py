"""`upstreams:` and `locations:` of a site: servers of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from novaops.features.proxy.field_types import Balance, LocationPath, Seconds, StrictModel
from novaops.formats import names


class Upstream(StrictModel):
    """A server of one's own."""

    address: str
    """HOST:PORT, or unix:/PATH of a socket."""
    weight: int = Field(default=1, ge=1, le=1000)
    backup: bool = False
    """Only asked when none of the others answers."""
    max_fails: int = Field(default=3, ge=0, le=1000)
    """After so many failures within fail_timeout it is not asked for as long. 0: it is always asked."""
    fail_timeout: Seconds = 10

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

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
