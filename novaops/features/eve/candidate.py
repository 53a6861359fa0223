"""A host that EVE-NG is wanted on: what it is asked, and what of its answers matters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from novaops.errors import HostFailed, UsageError
from novaops.facts.guest_run import GuestRun
from novaops.facts.machine import Machine, MachineFacts
from novaops.facts.nearby import Near, Nearby
from novaops.facts.nested import Nested, nested_virtualization
from novaops.facts.sshd import Caller
from novaops.features.eve.editions import Edition, edition_for, edition_of
from novaops.features.eve.facts.site import EveSite, EveSiteAt
from novaops.features.eve.sizing import GIB, Capacity, ImageClass, Room, capacity, sizes
from novaops.model.question import Facts, Missing, Question

Answer = TypeVar("Answer")

_MOST = 1_000_000_000
"""Nodes, months and USD."""


@dataclass(frozen=True)
class Wish:
    """What the host is wanted for."""

    kind: ImageClass
    nodes: int | None = None
    months: int | None = None
    credit: float | None = None
    """In USD."""
    licensed: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError."""
        for name in ("nodes", "months", "credit"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= _MOST:
                raise UsageError(f"--{name} is no number to reckon with", fix=f"at most {_MOST}")


@dataclass(frozen=True)
class Candidate:
    machine: MachineFacts
    nested: Nested
    site: EveSite
    near: Near | None
    """None: the host could not say."""
    caller: str
    """The address that the operator's connection comes from; "" when it is not known."""

    @property
    def installed(self) -> bool:
        return self.site.package != ""

    @property
    def edition(self) -> Edition | None:
        """The one that is installed, or else the one that is made for the host's system."""
        if self.installed:
            return edition_of(self.site.package, self.site.version)
        return edition_for(self.machine.os_id, self.machine.os_version)

    @property
    def free(self) -> Room:
        """What there is for EVE-NG and its nodes."""
        eve = 0 if self.installed else sizes().system.disk_gib * GIB
        return Room(self.machine.processors, self.machine.memory, self.site.disk_free - eve)

    def capacities(self) -> dict[str, Capacity]:
        """By class of images how many nodes fit."""
        return {kind.name: capacity(kind, self.free) for kind in sizes().classes}


def questions() -> tuple[Question[Any], ...]:
    return Machine(), GuestRun(), EveSiteAt(), Nearby(), Caller()


def candidate(facts: Facts) -> Candidate:
    """Raises HostFailed where the host does not say what machine it is, and what is on it. Its networks may be unknown."""
    machine = facts.known(Machine())
    run = facts[GuestRun()]
    caller = _known(facts, Caller())
    nested = nested_virtualization(machine, run)
    return Candidate(machine, nested, facts.known(EveSiteAt()), _known(facts, Nearby()), caller.address if caller else "")


def _known(facts: Facts, question: Question[Answer]) -> Answer | None:
    try:
        found = facts[question]
    except HostFailed:
        return None
    return None if found is Missing.ABSENT else found
