"""What a host costs for the time it is wanted, and what would cost less. Pure. An estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from novaops.features.eve.candidate import Candidate, Wish
from novaops.features.eve.prices import DAY_HOURS, Cost, MachineType, Use, cheaper, cheapest, cost, like, named, prices
from novaops.features.eve.sizing import GIB, needed

GOOGLE = "google"
"""The provider whose prices are known."""


@dataclass(frozen=True)
class Budget:
    """In USD."""

    cost: Cost
    credit: float | None
    cheaper: tuple[tuple[str, Cost], ...]
    own: bool
    """Whether it is the host's own type and not one that is as large, or large enough."""

    @property
    def text(self) -> str:
        use, total = self.cost.use, self.cost.total
        which = "Google's" if not self.own else "this, which looks like Google's"
        what = f"{which} {use.machine.name}, with {use.disk_gb} GB of {use.disk}"
        months = "a month" if use.months == 1 else f"{use.months} months"
        text = f"about {total:.0f} USD for {months} of {what}, running all the time"
        if self.credit is not None:
            text += f": {_against(total, self.credit)}"
            text += f" (it lasts {self.cost.days(self.credit)} days)" if total > self.credit else ""
        return f"{text}; an estimate, with prices of {prices().date}"

    @property
    def cheaper_text(self) -> str:
        ways = [(what, found, "" if self.credit is None else f", {_against(found.total, self.credit)}") for what, found in self.cheaper]
        return "; ".join(f"{what}: {found.total:.0f} USD{against}" for what, found, against in ways)

    def as_json(self) -> dict[str, Any]:
        use = self.cost.use
        return {
            "usd": round(self.cost.total, 2),
            "machine": use.machine.name,
            "disk": use.disk,
            "disk_gb": use.disk_gb,
            "months": use.months,
            "hours_a_day": use.hours_a_day,
            "credit_usd": self.credit,
            "credit_days": None if self.credit is None else self.cost.days(self.credit),
            "cheaper": [{"how": how, "usd": round(one.total, 2)} for how, one in self.cheaper],
            "prices": {"region": prices().region, "date": prices().date.isoformat()},
        }


def _against(total: float, credit: float) -> str:
    left = credit - total
    return f"{-left:.0f} over the credit of {credit:g}" if left < 0 else f"{left:.0f} of {credit:g} left"


def budget(host: Candidate, wish: Wish) -> Budget | None:
    """None where it was not asked for, and the host is not at the provider whose prices are known."""
    here = host.machine.cloud == GOOGLE
    if not here and wish.months is None and wish.credit is None:
        return None
    machine, own = machine_for(host, wish)
    choice = prices().choice
    months = wish.months or (1 if wish.credit is None else round(prices().trial.days / 30))
    use = Use(machine, choice.disk, disk_gb(wish), months, DAY_HOURS)
    return Budget(cost(use), wish.credit, tuple(cheaper(use, needed(wish.kind, wish.nodes or 0))), own)


def disk_gb(wish: Wish) -> int:
    """The disk of a VM for it: the usual one, or what so many nodes need."""
    return max(prices().choice.disk_gb, math.ceil(needed(wish.kind, wish.nodes or 0).disk / GIB))


def machine_for(host: Candidate, wish: Wish) -> tuple[MachineType, bool]:
    """The type that the host should have for the wish, and whether it is what it has."""
    machine, fits = host.machine, host.capacities()[wish.kind.name]
    own = like(machine.processors, machine.memory) if machine.cloud == GOOGLE else None
    if own is not None and (wish.nodes is None or wish.nodes <= fits.nodes or fits.scarce == "disk"):
        return own, True
    larger = cheapest(needed(wish.kind, wish.nodes)) if wish.nodes else None
    return larger or named(prices().choice.machine), False
