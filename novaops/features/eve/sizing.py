"""How many nodes of a class of images a host can run, and what a number of them needs. Pure. All of it is an estimate."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

from novaops.errors import UsageError
from novaops.features.eve.data import StrictModel, read

MIB = 1 << 20
GIB = 1 << 30
SHOWN = 0.93
"""The part of a VM's memory, and of its disk's size, that Linux shows at least: the kernel and the file system keep the rest."""

Scarce = Literal["memory", "processors", "disk"]


@dataclass(frozen=True)
class Room:
    """What a host has, or what is needed of one."""

    processors: float
    memory: float
    """Bytes."""
    disk: float
    """Bytes."""


class System(StrictModel):
    memory_mib: int
    disk_gib: float


class Least(StrictModel):
    processors: int
    memory_gib: int
    disk_gib: int


class ImageClass(StrictModel):
    """Images that need about the same."""

    name: str
    examples: tuple[str, ...]
    """Names of templates."""
    memory_mib: int
    processors: int
    load: float
    """The part of a processor that a node takes on average."""
    image_gib: float
    """The image itself, once for all nodes."""
    disk_gib: float
    """What a node writes."""


class Sizes(StrictModel):
    date: object
    system: System
    least: Least
    default: str
    classes: tuple[ImageClass, ...]


@functools.cache
def sizes() -> Sizes:
    return Sizes.model_validate(read("sizes"))


def class_named(name: str | None) -> ImageClass:
    """The class of that name; without one that of routers. Raises UsageError."""
    known = {one.name: one for one in sizes().classes}
    wanted = sizes().default if name is None else name
    if wanted not in known:
        raise UsageError(f"--class {wanted}: there is no such class of images", fix=f"there are {', '.join(known)}")
    return known[wanted]


def needed(kind: ImageClass, nodes: int) -> Room:
    """What a host has to show for so many nodes, Ubuntu and EVE-NG included."""
    system, least = sizes().system, sizes().least
    return Room(
        processors=max(kind.load * nodes, kind.processors, least.processors),
        memory=(system.memory_mib + kind.memory_mib * nodes) * MIB,
        disk=(system.disk_gib + kind.image_gib + kind.disk_gib * nodes) * GIB,
    )


@dataclass(frozen=True)
class Capacity:
    nodes: int
    scarce: Scarce
    """What is used up first."""


def capacity(kind: ImageClass, free: Room) -> Capacity:
    """How many nodes of a class fit into what a host has for EVE-NG and its nodes."""
    limits: dict[Scarce, float] = {
        "memory": (free.memory / MIB - sizes().system.memory_mib) / kind.memory_mib,
        "processors": free.processors / kind.load if free.processors >= kind.processors else 0,
        "disk": (free.disk / GIB - kind.image_gib) / kind.disk_gib,
    }
    scarce = min(limits, key=lambda one: limits[one])
    return Capacity(max(math.floor(limits[scarce]), 0), scarce)
