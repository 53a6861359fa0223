"""`auth:` of a site: who may use it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from novaops.engine.secret_source import Reference
from novaops.features.proxy.field_types import Header, Limit, Login, Networks, StrictModel
from novaops.formats import names

_RESERVED_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie"),
        *("expect", "host", "keep-alive", "origin", "proxy-authorization", "range", "referer", "te", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent", "via", "x-api-key"),
    }
)
"""Headers that mean something else, and so cannot carry the proxy's token."""

UNNAMED = "client"
"""The client whose token a single one is."""

OTHERWISE = "otherwise"
"""What flags say of `passthrough` that name networks alone: true where the site has no other mode."""

_MODES = ("basic", "keys", "token", "passthrough")


class Auth(StrictModel):
    """Who may use a site. In front of an API one of four: `keys` or `basic` with `inject`, `token`, `passthrough`."""

    basic: dict[Login, Reference] = Field(default={})
    """Users and their passwords, which the proxy asks for."""
    inject: Reference | None = None
    """The API's key, which the proxy adds to each request. Its users never see it."""
    keys: dict[names.Name, Reference] = Field(default={})
    """Keys of the proxy's own, by client. A client sends its key as it would send one of the API's, and `inject` takes its place."""
    limit: Limit | None = None
    """How many requests each client may make: 60/min, 5/s. More get 429. For keys and tokens."""
    token: dict[names.Name, Reference] = Field(default={})
    """Tokens for the proxy, by client. They travel in a header of their own; the client's API key is passed on."""
    header: Header = "X-Novaops-Token"
    passthrough: bool = False
    """Clients from the networks in `from` are let through, with an API key of their own."""
    addresses: Networks = Field(default=(), alias="from")

    @model_validator(mode="before")
    @classmethod
    def _one_token(cls, value: Any) -> Any:
        """A single reference is the token of a client that nobody named. A value of the wrong type may be a secret: it is not repeated."""
        if isinstance(value, Auth):
            return value
        if not isinstance(value, dict):
            raise ValueError("a mapping is needed here: basic:, inject:, token:, passthrough: or from:")  # noqa: TRY004 - pydantic's way
        if isinstance(value.get("token"), str):
            value = {**value, "token": {UNNAMED: value["token"]}}
        for key in ("basic", "token", "keys"):
            if not isinstance(value.get(key, {}), dict):
                raise ValueError(f"{key}: a mapping is needed here: NAME: env:VARIABLE")  # noqa: TRY004 - see above
        if value.get("passthrough") == OTHERWISE:
            value = {**value, "passthrough": not any(value.get(mode) for mode in _MODES[:-1])}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Auth:
        modes = [mode for mode in _MODES if getattr(self, mode)]
        if len(modes) > 1:
            raise ValueError(f"{modes[0]} and {modes[1]} exclude each other: a client sends one Authorization header")
        if self.inject and not (self.basic or self.keys):
            raise ValueError("inject needs keys or basic: whoever may use the key has to be known")
        if self.keys and not self.inject:
            raise ValueError("keys needs inject: the API's key, which takes their place")
        if self.limit and not (self.keys or self.token):
            raise ValueError("limit needs keys or token: without them nobody knows who asks")
        if self.passthrough and not self.addresses:
            raise ValueError("passthrough needs from: without it the whole world would come through this host")
        if self.header.lower() in _RESERVED_HEADERS:
            raise ValueError(f"header: {self.header} has another meaning")
        return self

    @property
    def mode(self) -> str:
        """keys, inject, token or passthrough; "" when it is none of them, so not for an API."""
        return "keys" if self.keys else "inject" if self.inject else "token" if self.token else "passthrough" if self.passthrough else ""
