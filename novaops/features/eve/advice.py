"""What to do at a provider so that a VM there can run VMs of its own. Pure."""

from __future__ import annotations

import functools
from string import Template
from typing import Literal

from novaops.features.eve.data import StrictModel, read
from novaops.features.eve.prices import MachineType, prices


class Provider(StrictModel):
    title: str
    known: Literal["documented", "reported"]
    rule: str
    """Which machines can."""
    new: tuple[str, ...]
    """Commands that make a VM that can."""
    existing: tuple[str, ...]
    """Commands that change a VM so that it can; none where that is not possible."""
    remarks: tuple[str, ...]


class Advice(StrictModel):
    date: object
    default: str
    providers: dict[str, Provider]


@functools.cache
def _advice() -> Advice:
    return Advice.model_validate(read("advice"))


def providers() -> dict[str, Provider]:
    return _advice().providers


def advise(cloud: str, machine: MachineType, suite: str, disk_gb: int) -> Provider:
    """What to do at that provider. Of one that is not in the file nothing is known: then how to make such a VM at another one."""
    other = providers()[_advice().default].model_copy(update={"existing": ()})
    found = providers().get(cloud, other)
    choice = prices().choice
    values = {
        "machine": machine.name,
        "platform": machine.family.platforms[0],
        "disk": choice.disk,
        "disk_gb": str(disk_gb),
        "image": {"jammy": "ubuntu-2204-lts", "noble": "ubuntu-2404-lts-amd64"}[suite],
        "azure_image": {
            "jammy": "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest",
            "noble": "Canonical:ubuntu-24_04-lts:server:latest",
        }[suite],
    }
    new, existing = ([Template(line).substitute(values) for line in lines] for lines in (found.new, found.existing))
    return found.model_copy(update={"new": tuple(new), "existing": tuple(existing)})
