"""The storage layers of a host as a case file writes them.

layers     NODE: {size, kind, of: [NODE], path, table: gpt|dos, parts: {NUMBER: START+SIZE [extended]}, file: SIZE}
           and volume: {group, name, kind, roles, missing}, crypt: {kind, wants key, key, plain}
           or md: {metadata, component, members: {NODE: OFFSET+SIZE}, degraded, busy}. Partitions are there by themselves.
volumes    NODE: {group, size, free}, of those that are physical volumes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from novaops.features.disk.facts.storage_layers import (
    Array,
    Encryption,
    Layer,
    Layers,
    LogicalVolume,
    PartitionTable,
    PhysicalVolume,
    TableEntry,
)

MIB = 1024**2


def layers(case: Mapping[str, Any], size: Callable[[Any], int]) -> Layers:
    """`size` reads 20G."""
    found: dict[str, Layer] = {}
    volumes = case.get("volumes", {}).items()
    held = {node: PhysicalVolume(its["group"], size(its["size"]), size(its.get("free", 0)), MIB) for node, its in volumes}
    for node, about in case.get("layers", {}).items():
        its = about or {}
        parts = {int(number): str(text).split(" ") for number, text in its.get("parts", {}).items()}
        entries = tuple(
            TableEntry(number, size(words[0].split("+")[0]), size(words[0].split("+")[1]), extended=words[1:] == ["extended"])
            for number, words in parts.items()
        )
        table = PartitionTable(its["table"], 512, entries) if "table" in its else None
        found[node] = Layer(
            *(node, its.get("path", f"/dev/{node}"), its.get("kind", "disk"), size(its["size"]), tuple(its.get("of", ()))),
            about=_about(its, size),
            file_size=size(its.get("file", 0)),
            table=table,
            holds=held.get(node),
        )
        for entry in entries:
            part = f"{node}{'p' if node[-1].isdigit() else ''}{entry.number}"
            found[part] = Layer(part, f"/dev/{part}", "part", entry.size, (node,), entry.number, entry.start, holds=held.get(part))
    return Layers(found)


def _about(its: Mapping[str, Any], size: Callable[[Any], int]) -> LogicalVolume | Encryption | Array | None:
    if (its_volume := its.get("volume")) is not None:
        kind, roles = its_volume.get("kind", "linear"), frozenset(its_volume.get("roles", ["public"]))
        return LogicalVolume(its_volume["group"], its_volume["name"], size(its["size"]), kind, roles, 4 * MIB, its_volume.get("missing", 0))
    if (crypt := its.get("crypt")) is not None:
        key = (crypt.get("wants key", False), crypt.get("key", ""))
        return Encryption(crypt.get("kind", "LUKS2"), 16 * MIB, *key, crypt.get("plain", True))
    if (array := its.get("md")) is not None:
        pairs = {node: text.split("+") for node, text in array["members"].items()}
        members = {node: (size(offset), size(taken)) for node, (offset, taken) in pairs.items()}
        states = (array.get("degraded", False), array.get("busy", False))
        return Array(its["kind"], array.get("metadata", "1.2"), size(array["component"]), members, *states)
    return None
