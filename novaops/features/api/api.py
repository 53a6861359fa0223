"""An API to be reached, and whether a site leads to it. What a question loads too, so without all that routes of hosts need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from novaops.providers.loader import Provider

if TYPE_CHECKING:
    from novaops.features.proxy.settings import Site


@dataclass(frozen=True)
class Api:
    """An API to be reached: a provider by its name, or one that is only a URL."""

    name: str
    provider: Provider
    upstream: str = ""

    described: bool = True
    """Whether a provider's file says what answers."""
    speaks_json: bool = True
    """Whether JSON is to be expected: everywhere but at a path of the user's own, of an API that nothing describes."""

    def is_behind(self, site: Site) -> bool:
        if self.upstream:
            return (site.upstream or "").rstrip("/") == self.upstream.rstrip("/")
        return site.provider == self.name and site.upstream is None
