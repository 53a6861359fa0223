"""The addresses of the APIs behind sites: a timer for each site, on the host, and the files that it writes.

The files belong to the host. The run that sets a site up has the first ones written; what they say later is not compared.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitNamed
from novaops.features.proxy.facts.nginx import RESOLVE, Nginx
from novaops.features.proxy.resources.nginx_files import OWN
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import join, quote

SCRIPT = f"{OWN}/addresses.sh"
UNIT = "novaops-proxy@"
EVERY = 20
"""Seconds after which a name is looked up again."""

_EACH = (
    f'running=; for site; do sh {SCRIPT} "$site" $verb & running="$running $!"; done; '
    'status=0; for one in $running; do wait "$one" || status=1; done; exit $status'
)
"""All at once: where no name server answers, each waits for its own."""


def folder(site: str) -> str:
    return f"{OWN}/{site}.addresses"


@dataclass(frozen=True)
class _OfApis(Resource):
    sites: tuple[tuple[str, tuple[str, ...]], ...]
    """The names of sites, each with its APIs as HOST:PORT."""
    gone: tuple[str, ...] = ()
    """The names of sites that have none."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.sites)

    def followed(self, facts: Facts) -> bool:
        """Whether the host has to follow the addresses: a newer nginx does it itself."""
        return facts.known(Nginx()).version < RESOLVE

    def plan(self, facts: Facts) -> Iterable[Step]:
        pairs = list(self.pairs(facts))
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, action in pairs))

    @abstractmethod
    def pairs(self, facts: Facts) -> Iterator[tuple[Change, Action]]: ...


@dataclass(frozen=True)
class ApiAddresses(_OfApis):
    """The files with addresses, which a site includes."""

    @property
    def id(self) -> str:
        return "nginx:(addresses of APIs)"

    def questions(self) -> Iterable[Question[Any]]:
        yield Nginx()
        yield from (Succeeds(_are_written(name, apis)) for name, apis in self.sites)
        yield from (Succeeds(_is_forgotten(name)) for name in (*self.names, *self.gone))

    def pairs(self, facts: Facts) -> Iterator[tuple[Change, Action]]:
        followed = self.followed(facts)
        missing = [(name, apis) for name, apis in self.sites if followed and not facts.known(Succeeds(_are_written(name, apis)))]
        if missing:
            names = [name for name, _ in missing]
            written = " && ".join(_are_written(name, apis) for name, apis in missing)
            forget = Command(("rm", "-rf", "--", *map(folder, names)), holds=_all(names, _is_forgotten))
            found = ", ".join(dict.fromkeys(api for _, apis in missing for api in apis))
            yield (
                Change("addresses", None, found),
                Command(("sh", "-c", f"verb=write; {_EACH}", "write", *names), holds=written, undo=forget),
            )
        gone = [name for name in (*self.gone, *(() if followed else self.names)) if not facts.known(Succeeds(_is_forgotten(name)))]
        if gone:
            again = Command(("sh", "-c", f"verb=; {_EACH}", "write", *gone), holds=_all(gone, lambda name: f"[ -e {quote(folder(name))} ]"))
            forget = Command(("rm", "-rf", "--", *map(folder, gone)), holds=_all(gone, _is_forgotten), undo=again)
            yield Change("addresses", f"of {', '.join(gone)}", None), forget


@dataclass(frozen=True)
class ApiTimers(_OfApis):
    """The timers that write the files. They start after the reload, as a configuration that is half written is not for them to test.

    They are stopped before anything else goes: what they wrote would come back.
    """

    start: bool = True
    """Whether those that are missing are started, or those that are not needed are stopped."""

    @property
    def id(self) -> str:
        return "unit:novaops-proxy@" if self.start else "unit:novaops-proxy@ (gone)"

    def questions(self) -> Iterable[Question[Any]]:
        yield Nginx()
        yield from (UnitNamed(_timer(name)) for name in (*self.names, *self.gone))

    def pairs(self, facts: Facts) -> Iterator[tuple[Change, Action]]:
        followed = self.followed(facts)
        wanted = self.names if followed else ()
        concerned = wanted if self.start else (*self.gone, *(() if followed else self.names))
        names = [name for name in concerned if _is_on(facts[UnitNamed(_timer(name))]) != self.start]
        if names and self.start:
            yield Change("timers", None, f"every {EVERY} s for {', '.join(names)}"), _timers("enable", names, "disable")
        elif names:
            yield Change("timers", f"for {', '.join(names)}", None), _timers("disable", names, "enable")


def _timer(site: str) -> str:
    return f"{UNIT}{site}.timer"


def _are_written(site: str, apis: Sequence[str]) -> str:
    return " && ".join(f"[ -e {quote(f'{folder(site)}/{api}')} ]" for api in apis)


def _is_forgotten(site: str) -> str:
    return f"[ ! -e {quote(folder(site))} ]"


def _is_on(unit: Any) -> bool:
    return unit is not Missing.ABSENT and unit.enabled == "enabled" and unit.active == "active"


def _all(sites: Iterable[str], test: Callable[[str], str]) -> str:
    return " && ".join(map(test, sites))


def _timers(verb: str, sites: Sequence[str], opposite: str = "") -> Command:
    units = [_timer(site) for site in sites]
    count = len(units) if verb == "enable" else 0
    asked = (("is-enabled", "enabled"), ("is-active", "active"))
    holds = [f'[ "$(systemctl {ask} -- {join(units)} 2>/dev/null | grep -c -x {state})" = {count} ]' for ask, state in asked]
    undo = _timers(opposite, sites) if opposite else None
    return Command(("systemctl", verb, "--now", "-q", "--", *units), holds=" && ".join(holds), undo=undo)
