"""The addresses of the APIs behind sites: a timer for each site, on the host, and the files that it writes.

The files belong to the host. The run that sets a site up has the first ones written; what they say later is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

_EACH = f'status=0; for site; do sh {SCRIPT} "$site" $verb || status=1; done; exit $status'


def folder(site: str) -> str:
    return f"{OWN}/{site}.addresses"


@dataclass(frozen=True)
class ApiAddresses(Resource):
    sites: tuple[tuple[str, tuple[str, ...]], ...]
    """The names of sites, each with its APIs as HOST:PORT."""
    gone: tuple[str, ...] = ()
    """The names of sites that have none."""

    @property
    def id(self) -> str:
        return "nginx:(addresses of APIs)"

    def questions(self) -> Iterable[Question[Any]]:
        yield Nginx()
        for name, apis in self.sites:
            yield from (UnitNamed(_timer(name)), Succeeds(_are_written(name, apis)))
        for name in (*self.gone, *(name for name, _ in self.sites)):
            yield from (UnitNamed(_timer(name)), Succeeds(_is_forgotten(name)))

    def plan(self, facts: Facts) -> Iterable[Step]:
        native = facts.known(Nginx()).version >= RESOLVE
        sites = () if native else self.sites
        gone = self.gone + (tuple(name for name, _ in self.sites) if native else ())
        pairs = [*self._followed(sites, facts), *self._left(gone, facts)]
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, actions in pairs for action in actions))

    def _followed(self, sites: Sequence[tuple[str, tuple[str, ...]]], facts: Facts) -> Iterator[tuple[Change, Sequence[Action]]]:
        missing = [(name, apis) for name, apis in sites if not facts.known(Succeeds(_are_written(name, apis)))]
        if missing:
            names = [name for name, _ in missing]
            written = " && ".join(_are_written(name, apis) for name, apis in missing)
            forget = Command(("rm", "-rf", "--", *map(folder, names)), holds=" && ".join(map(_is_forgotten, names)))
            write = Command(("sh", "-c", f"verb=write; {_EACH}", "write", *names), holds=written, undo=forget)
            found = ", ".join(dict.fromkeys(api for _, apis in missing for api in apis))
            yield Change("addresses", None, found), (write,)
        off = [name for name, _ in sites if not _is_on(facts[UnitNamed(_timer(name))])]
        if off:
            start, stop = _timers("enable", off), _timers("disable", off)
            yield Change("timer", None, f"every {EVERY} s for {', '.join(off)}"), (_undone_by(start, stop),)

    def _left(self, gone: Sequence[str], facts: Facts) -> Iterator[tuple[Change, Sequence[Action]]]:
        on = [name for name in gone if _is_on(facts[UnitNamed(_timer(name))])]
        if on:
            yield Change("timer", f"for {', '.join(on)}", None), (_undone_by(_timers("disable", on), _timers("enable", on)),)
        known = [name for name in gone if not facts.known(Succeeds(_is_forgotten(name)))]
        if known:
            again = Command(
                ("sh", "-c", f"verb=; {_EACH}", "write", *known), holds=" && ".join(f"[ -e {quote(folder(n))} ]" for n in known)
            )
            forget = Command(("rm", "-rf", "--", *map(folder, known)), holds=" && ".join(map(_is_forgotten, known)), undo=again)
            yield Change("addresses", f"of {', '.join(known)}", None), (forget,)


def _timer(site: str) -> str:
    return f"{UNIT}{site}.timer"


def _are_written(site: str, apis: Sequence[str]) -> str:
    return " && ".join(f"[ -e {quote(f'{folder(site)}/{api}')} ]" for api in apis)


def _is_forgotten(site: str) -> str:
    return f"[ ! -e {quote(folder(site))} ]"


def _is_on(unit: Any) -> bool:
    return unit is not Missing.ABSENT and unit.enabled == "enabled" and unit.active == "active"


def _timers(verb: str, sites: Sequence[str]) -> Command:
    units = [_timer(site) for site in sites]
    counts = {"enable": (len(units), len(units)), "disable": (0, 0)}[verb]
    asked = zip(("is-enabled", "is-active"), ("enabled", "active"), counts, strict=True)
    holds = [f'[ "$(systemctl {ask} -- {join(units)} 2>/dev/null | grep -c -x {state})" = {count} ]' for ask, state, count in asked]
    return Command(("systemctl", verb, "--now", "-q", "--", *units), holds=" && ".join(holds))


def _undone_by(command: Command, undo: Command) -> Command:
    return Command(command.words, holds=command.holds, undo=undo)
