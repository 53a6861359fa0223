"""What a VM costs, from a dated file of prices. Pure. All of it is an estimate, and in USD."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from novaops.features.eve.data import StrictModel, read
from novaops.features.eve.sizing import GIB, SHOWN, Room

MONTH_HOURS = 30 * 24
DAY_HOURS = 24
_QUARTERS = 4


class Family(StrictModel):
    name: str
    platforms: tuple[str, ...]
    charged: tuple[float, float, float, float]
    """The part of the price that is charged in each quarter of a month that a VM runs."""
    gib: dict[str, float]
    """Memory for each processor, by kind of machine."""


class Trial(StrictModel):
    usd: float
    days: int


class Choice(StrictModel):
    machine: str
    disk: str
    disk_gb: int


class Prices(StrictModel):
    date: date
    region: str
    processor_hour: float
    gib_hour: float
    families: tuple[Family, ...]
    processors: tuple[int, ...]
    disks: dict[str, float]
    address_hour: float
    trial: Trial
    choice: Choice


@functools.cache
def prices() -> Prices:
    return Prices.model_validate(read("prices"))


@dataclass(frozen=True)
class MachineType:
    name: str
    family: Family
    processors: int
    memory_gib: float

    @property
    def hourly(self) -> float:
        return self.processors * prices().processor_hour + self.memory_gib * prices().gib_hour

    def holds(self, needed: Room) -> bool:
        """Whether it has the processors and the memory."""
        return self.processors >= needed.processors and self.memory_gib * GIB * SHOWN >= needed.memory


@functools.cache
def machine_types() -> tuple[MachineType, ...]:
    """Every type of the file. Each of them can run VMs."""

    def each() -> Iterator[MachineType]:
        for family in prices().families:
            for kind, gib in family.gib.items():
                for processors in prices().processors:
                    yield MachineType(f"{family.name}-{kind}-{processors}", family, processors, processors * gib)

    return tuple(each())


def named(name: str) -> MachineType:
    return next(one for one in machine_types() if one.name == name)


def like(processors: int, memory: int) -> MachineType | None:
    """The type of a VM that shows so many processors and bytes of memory. None where no type is near that."""
    near = [one for one in machine_types() if one.processors == processors and SHOWN <= memory / (one.memory_gib * GIB) <= 1]
    return max(near, key=lambda one: memory / (one.memory_gib * GIB), default=None)


def cheapest(needed: Room) -> MachineType | None:
    """The type that has what is needed and costs least for a month; the chosen family before one that costs a little less."""
    family = named(prices().choice.machine).family
    return min((one for one in machine_types() if one.holds(needed)), key=lambda one: (one.family != family, one.hourly), default=None)


@dataclass(frozen=True)
class Use:
    """A VM, and how it is used."""

    machine: MachineType
    disk: str
    disk_gb: int
    months: int
    """Of 30 days."""
    hours_a_day: int = DAY_HOURS


@dataclass(frozen=True)
class Cost:
    use: Use
    total: float

    def days(self, credit: float) -> int:
        """How long a credit lasts."""
        return math.floor(credit / self.total * self.use.months * 30)


def cost(use: Use) -> Cost:
    """The VM while it runs, less the discount of each month; its disk all the time; its address while it runs."""
    share = use.hours_a_day / DAY_HOURS
    running = MONTH_HOURS * use.machine.hourly * _charged(use.machine.family, share)
    disk = prices().disks[use.disk] * use.disk_gb
    address = prices().address_hour * MONTH_HOURS * share
    return Cost(use, (running + disk + address) * use.months)


def _charged(family: Family, share: float) -> float:
    """How many months' price a VM costs that runs such a share of a month."""
    return sum(min(max(share - quarter / _QUARTERS, 0), 1 / _QUARTERS) * part for quarter, part in enumerate(family.charged))


def cheaper(use: Use, need: Room) -> list[tuple[str, Cost]]:
    """What would cost less, and how much that is. The most sparing one last. Another machine is one that has what is needed."""
    other = [
        one for one in machine_types() if one.processors == use.machine.processors and one.family != use.machine.family
    ]  # with about as much memory
    beside = min(other, key=lambda one: abs(one.memory_gib - use.machine.memory_gib))
    plain = min(prices().disks, key=lambda one: prices().disks[one])
    ways = [
        (f"with {plain} instead of {use.disk}", replace(use, disk=plain)),
        *([(f"{beside.name} ({beside.memory_gib:g} GB)", replace(use, machine=beside))] if beside.holds(need) else []),
        ("stopped for 16 of 24 hours", replace(use, hours_a_day=8)),
    ]
    now = cost(use).total
    return [(what, found) for what, other_use in ways if (found := cost(other_use)).total < now]
