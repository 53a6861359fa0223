"""By which way requests get to an API: the addresses to connect to, and what a proxy on the way asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from novaops.providers.loader import Endpoint, Provider
from novaops.secret import Secret

Address = tuple[str, int]


@dataclass(frozen=True)
class Route:
    """A way to the API that `provider` describes as it is served there."""

    provider: Provider
    name: str = "direct"
    """As --via says it."""
    origin: str = ""
    """https://DOMAIN of the site that passes requests on. "": each endpoint has its own."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """What the site asks for."""
    sends_key: bool = True
    """Whether the client's own key goes with a request; not where the site puts one in."""
    forwards: Mapping[Address, Address] = field(default_factory=dict)
    """Where to connect to instead of a host and its port, such as the entrance of a tunnel. The certificate is still the host's."""

    def url(self, below: str, endpoint: int = 0) -> str:
        """The URL of a path below the path of that endpoint: "/files"."""
        there = self.provider.endpoints[endpoint]
        return f"{self.origin}{there.served_at}{below}" if self.origin else f"{_origin(there)}{there.path}{below}"


def direct(provider: Provider) -> Route:
    return Route(provider)


def is_local(host: str) -> bool:
    """Whether it is this machine itself."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _origin(endpoint: Endpoint) -> str:
    return f"{endpoint.scheme}://{endpoint.authority}"
