"""What a host must be before anything of EVE-NG is put on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.machine import Machine, MachineFacts
from novaops.facts.package import PackageNamed
from novaops.features.eve.candidate import Wish, candidate, questions
from novaops.features.eve.editions import Edition, editions
from novaops.features.eve.facts.site import EveSiteAt
from novaops.features.eve.resources.after_install import installed
from novaops.features.eve.sizing import class_named
from novaops.features.eve.verdict import NODES_CAN_RUN, judge
from novaops.formats.size import human
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


def edition_for_host(machine: MachineFacts) -> Edition:
    """The edition that is made for the host. Raises Refused where none is, or none that novaops installs."""
    found = next((one for one in editions() if one.os == f"{machine.os_id} {machine.os_version}"), None)
    made = " or ".join(f"{one.os.replace('ubuntu', 'Ubuntu')} ({one.title})" for one in editions() if one.support == "installed")
    if found is None:
        raise Refused(f"there is no EVE-NG for {machine.os or 'this system'}", fix=f"take a host with {made}")
    if found.support != "installed":
        raise Refused(f"novaops does not install {found.title}", why=found.remark, fix=f"take a host with {made}")
    return found


@dataclass(frozen=True)
class EveHost(Resource):
    """No steps: it refuses a host on which EVE-NG would not come to work. One that has it already is taken as it is."""

    packages: tuple[str, ...]
    needs_nested: bool
    room: int
    """Bytes that have to be free on the root disk, unless packages of it are unpacked there already."""
    release: str | None = None
    """The code name of the system that it must have; None: any that EVE-NG is made for."""

    @property
    def id(self) -> str:
        return "eve:host"

    def questions(self) -> Iterable[Question[Any]]:
        yield from questions()
        yield from map(PackageNamed, self.packages)

    def plan(self, facts: Facts) -> Iterable[Step]:
        machine = facts.known(Machine())
        edition = edition_for_host(machine)
        if self.release not in {None, edition.suite}:
            raise Refused(
                f"this host has {machine.os}, and the inventory wants release: {self.release}",
                why=f"{edition.title} is the edition for {edition.suite}.",
                fix=f"take a host with {self.release}, or write release: {edition.suite}",
            )
        if installed(facts, self.packages):
            return ()
        if not machine.booted_with_systemd:
            raise Refused("this host was not booted with systemd, and EVE-NG's services need it")
        if machine.root_free < self.room and not facts.known(EveSiteAt()).begun:
            raise Refused(
                f"the root disk has {human(machine.root_free)} free, and the packages need {human(self.room)}",
                fix="make the disk larger at the provider, then: novaops disk grow HOST --path /",
            )
        waived = () if self.needs_nested else (NODES_CAN_RUN,)
        found = judge(candidate(facts), Wish(class_named(None)))
        problems = [one for one in found if one.verdict == "problem" and one.subject not in waived]
        if problems:
            raise Refused(
                "EVE-NG would not work here: novaops eve check HOST has all of it",
                why="\n".join(f"{one.subject}: {one.text}" for one in problems),
                fix="; ".join(dict.fromkeys(one.fix for one in problems if one.fix)),
            )
        return ()

    def notes(self, facts: Facts) -> Iterable[str]:
        edition = edition_for_host(facts.known(Machine()))
        if not installed(facts, self.packages):
            yield f"{edition.title} is the edition for {edition.os}; it runs {edition.nodes} nodes at once without a licence"
