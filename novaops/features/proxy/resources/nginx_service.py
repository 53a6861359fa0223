"""nginx.service: it runs, and no other web server takes its ports when the host boots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.unit import UnitNamed
from novaops.features.proxy.facts.apache_listens import ApacheListens
from novaops.model.plan import ListensAt
from novaops.model.question import Facts, Missing, Question
from novaops.resources.unit import Unit

OTHERS = (
    *("apache2.service", "httpd.service", "httpd.socket", "lighttpd.service", "lighttpd.socket", "caddy.service", "haproxy.service"),
    *("openresty.service", "angie.service", "traefik.service", "varnish.service", "hitch.service"),
)
"""Web servers that a host may have, besides nginx."""

_RUNNING = ("active", "reloading", "activating")


@dataclass(frozen=True)
class NginxService(Unit):
    places: tuple[ListensAt, ...] = ()
    """Where the sites listen."""

    def questions(self) -> Iterable[Question[Any]]:
        yield from super().questions()
        yield ApacheListens()
        yield from map(UnitNamed, OTHERS)

    def notes(self, facts: Facts) -> Iterator[str]:
        for unit in _waiting(facts):
            if not self._taken_by(unit, facts):
                yield f"{unit} is enabled, and does not run now: where it wants a port of nginx's, one of them does not start at the next boot"

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed where Apache, which somebody has only stopped, comes again with the host and wants a port of nginx's."""
        for unit in _waiting(facts):
            for port in self._taken_by(unit, facts):
                raise HostFailed(
                    f"{unit} is enabled, and its configuration has Listen {port}: it wants the port of nginx at the next boot",
                    why="It does not run now. At the next boot both start, and one of them does not get the port.",
                    fix=f"systemctl disable {unit}; or take the line out there",
                )

    def _taken_by(self, unit: str, facts: Facts) -> list[int]:
        wanted = [ListensAt(unit, one.port, one.address) for one in facts.known(ApacheListens()) if one.unit == unit]
        return sorted({one.port for one in wanted if any(one.conflicts(place) for place in self.places)})


def _waiting(facts: Facts) -> Iterator[str]:
    """The web servers that start at the next boot, and do not run."""
    for name in OTHERS:
        unit = facts[UnitNamed(name)]
        if unit is not Missing.ABSENT and unit.enabled == "enabled" and unit.active not in _RUNNING:
            yield name
