"""How many nodes fit, and what a number of them needs."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.errors import UsageError
from novaops.features.eve import cli
from novaops.features.eve.facts.site import EveSite
from novaops.features.eve.prices import cheapest
from novaops.features.eve.sizing import GIB, ImageClass, Room, capacity, class_named, needed, sizes
from tests.unit.features.eve.support import found, host, wish

SEED = Room(4, 15.6 * GIB, 33 * GIB)
"""The VM of 4 processors and 16 GB with a disk of 50 GB."""


@pytest.mark.parametrize(
    ("room", "image_class", "nodes", "scarce"),
    [
        (SEED, "host", 27, "memory"),
        (SEED, "router", 16, "processors"),
        (SEED, "switch", 6, "memory"),
        (SEED, "large-router", 4, "memory"),
        (SEED, "firewall", 3, "memory"),
        (SEED, "datacenter", 0, "memory"),
        (Room(4, 64 * GIB, 33 * GIB), "datacenter", 2, "processors"),
        (Room(2, 64 * GIB, 33 * GIB), "datacenter", 0, "processors"),  # a node has four
        (Room(16, 64 * GIB, 3 * GIB), "firewall", 0, "disk"),
        (Room(16, 64 * GIB, -5 * GIB), "host", 0, "disk"),
        (Room(1, 1 * GIB, 33 * GIB), "host", 0, "memory"),
    ],
)
def test_how_many_nodes_fit(room: Room, image_class: str, nodes: int, scarce: str) -> None:
    fits = capacity(class_named(image_class), room)
    assert (fits.nodes, fits.scarce) == (nodes, scarce)


@pytest.mark.parametrize("kind", sizes().classes, ids=lambda kind: kind.name)
@pytest.mark.parametrize("nodes", [1, 10, 63])
def test_what_is_needed_is_enough(kind: ImageClass, nodes: int) -> None:
    room = needed(kind, nodes)
    free = Room(room.processors, room.memory, room.disk - sizes().system.disk_gib * GIB)
    assert capacity(kind, free).nodes >= nodes
    assert capacity(kind, Room(free.processors, free.memory - GIB, free.disk)).nodes < nodes


@pytest.mark.parametrize(
    ("image_class", "nodes", "machine"),
    [
        ("router", 1, "n2-standard-4"),
        ("router", 16, "n2-standard-4"),
        ("router", 20, "n2-standard-8"),
        ("switch", 10, "n2-standard-8"),
        ("switch", 14, "n2-highmem-8"),
        ("datacenter", 4, "n2-highmem-16"),
        ("datacenter", 60, None),
    ],
)
def test_the_machine_for_so_many_nodes(image_class: str, nodes: int, machine: str | None) -> None:
    found_type = cheapest(needed(class_named(image_class), nodes))
    assert (found_type.name if found_type else None) == machine


@pytest.mark.parametrize(
    ("nodes", "disk_free", "verdict", "text", "fix"),
    [
        (16, 45, "ok", "16 of class router (such as vios, viosl2) fit", ""),
        (
            17,
            45,
            "problem",
            "17 of class router (such as vios, viosl2) do not fit: the processors are enough for 16",
            "a VM like Google's n2-",
        ),
        (
            5,
            13,
            "problem",
            "5 of class router (such as vios, viosl2) do not fit: the disk is enough for 3",
            "a blank disk for the images: novaops",
        ),
    ],
)
def test_a_number_of_nodes(nodes: int, disk_free: int, verdict: str, text: str, fix: str) -> None:
    (finding,) = found("nodes", host(site=EveSite("", "", "/opt", 50 * GIB, disk_free * GIB)), wish(nodes=nodes))
    assert (finding.verdict, finding.text) == (verdict, text)
    assert finding.fix.startswith(fix)


def test_a_disk_is_no_longer_mounted_where_the_images_are() -> None:
    (finding,) = found("nodes", host(site=EveSite("eve-ng", "6.2.0-4", "/opt/unetlab/addons", 50 * GIB, 3 * GIB)), wish(nodes=20))
    assert finding.fix.startswith("a larger disk at the provider, then: novaops disk grow HOST --path PATH")


def test_an_installed_eve_needs_no_room_any_more() -> None:
    free = host(site=EveSite("eve-ng", "6.2.0-4", "/opt/unetlab/addons", 50 * GIB, 13 * GIB)).free
    assert free.disk == 13 * GIB


@pytest.mark.parametrize(
    ("fields", "size", "small"),
    [
        ({}, 48, False),
        ({"processors": 2}, 48, True),
        ({"memory": 6 * GIB}, 48, True),
        ({"memory": int(7.6 * GIB)}, 48, False),
        ({}, 20, True),
    ],
)
def test_a_small_host_is_called_small(fields: dict[str, Any], size: int, small: bool) -> None:  # noqa: FBT001
    notes = [one for one in found("room", host(site=EveSite("", "", "/", size * GIB, 19 * GIB), **fields)) if one.verdict == "note"]
    assert bool(notes) == small


def test_an_unknown_class_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(UsageError) as error:
        class_named("ios")
    assert error.value.fix == "there are host, router, switch, large-router, firewall, datacenter"


def test_the_help_names_all_classes() -> None:
    assert ", ".join(one.name for one in sizes().classes) in cli.check.__annotations__["image_class"]
