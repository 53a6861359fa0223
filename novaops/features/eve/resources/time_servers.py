"""The servers by which the host sets its clock, told to the program that does it there. Images of Google, AWS and Azure have chrony for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitNamed
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.directory import Directory
from novaops.resources.file import File

CHRONY = "/etc/chrony/sources.d/novaops-eve.sources"
TIMESYNCD = "/etc/systemd/timesyncd.conf.d/novaops-eve.conf"

_CHRONY_UNIT = UnitNamed("chrony.service")
_TIMESYNCD_UNIT = UnitNamed("systemd-timesyncd.service")
_READ = Succeeds(
    r"grep -qE '^[[:space:]]*sourcedir([[:space:]].*)?[[:space:]]/etc/chrony/sources\.d/?([[:space:]]|$)' /etc/chrony/chrony.conf"
)
"""Whether chrony reads the folder. Its own configuration has that since version 4; one that somebody has written may not."""
_RELOAD = ("sh", "-c", "! systemctl is-active --quiet chrony || exec chronyc reload sources")
_RESTART = ("sh", "-c", "! systemctl cat systemd-timesyncd >/dev/null 2>&1 || exec systemctl try-restart systemd-timesyncd")


@dataclass(frozen=True)
class TimeServers(Resource):
    servers: tuple[str, ...]

    @property
    def id(self) -> str:
        return "eve:ntp"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (_CHRONY_UNIT, _TIMESYNCD_UNIT, _READ, FileAt(CHRONY), FileAt(TIMESYNCD), FileAt(_folder(TIMESYNCD)))

    def plan(self, facts: Facts) -> Iterable[Step]:
        return (replace(step, resource=self.id) for step in self._steps(facts))

    def _steps(self, facts: Facts) -> Iterable[Step]:
        if not _is_there(facts, _CHRONY_UNIT):
            yield from Directory(_folder(TIMESYNCD)).plan(facts)
            yield from File(TIMESYNCD, f"[Time]\nNTP={' '.join(self.servers)}\n", then=_RESTART).plan(facts)
            return
        if not facts.known(_READ):
            raise Refused(
                f"chrony sets the clock here, and its configuration does not read {_folder(CHRONY)}",
                fix="put the servers into /etc/chrony/chrony.conf there, and leave ntp: out",
            )
        yield from File(CHRONY, "".join(f"server {one} iburst\n" for one in self.servers), then=_RELOAD).plan(facts)

    def notes(self, facts: Facts) -> Iterable[str]:
        if not _is_there(facts, _CHRONY_UNIT) and not _is_there(facts, _TIMESYNCD_UNIT):
            yield "neither systemd-timesyncd nor chrony is here to set the clock by these servers"


def _is_there(facts: Facts, unit: UnitNamed) -> bool:
    found = facts[unit]
    return found is not Missing.ABSENT and found.load == "loaded"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
