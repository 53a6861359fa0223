"""What is on each block device, and who uses it: the evidence on which a disk may be formatted."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from novaops.features.disk.facts.device_table import BlockDevice, DeviceTable, Signature
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, sh_file

ENDS = sh_file(__package__, "device_ends.sh")
"""sh functions: `edge_of`, `fingerprint`, `blank_ends`, `knows_only_the_partition`."""

USERS = sh_file(__package__, "device_users.sh")
"""sh functions: `device_users`."""

_SCRIPT = ENDS + USERS + sh_file(__package__, "block_devices.sh")


class BlockDevices(Singleton[DeviceTable]):
    family: ClassVar[str] = "block-devices"

    @classmethod
    def script_one(cls) -> str:
        return _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> DeviceTable | Missing:
        if section.status:
            return Missing.UNKNOWN
        head, _, rest = section.stdout.partition("\njson\n")
        tree, rest_start = json.JSONDecoder().raw_decode(rest)
        fresh_uuid, *lines = lines_of(head)
        swaps = tuple(line.split("\t")[1] for line in lines if line.startswith("swap\t"))
        links = _links(line.split("\t")[1:] for line in lines if line.startswith("link\t"))
        users = [line.split("\t", 2)[1:] for line in lines if line.startswith("user\t")]
        details = dict(_details(lines_of(rest[rest_start:])))
        devices: dict[str, BlockDevice] = {}
        if any(entry["size"] is None for entry, _ in _walk(tree["blockdevices"], None)):
            return Missing.UNKNOWN
        for entry, parent in _walk(tree["blockdevices"], None):
            path = entry["name"]
            if path in devices:
                known = devices[path]
                devices[path] = BlockDevice(**{**vars(known), "parents": (*known.parents, *filter(None, [parent]))})
            elif entry["type"] != "rom" and int(entry["size"]):
                kernel_name = entry.get("kname") or path
                names = tuple(sorted({*links.get(path, ()), *links.get(kernel_name, ()), kernel_name} - {path}))
                used = tuple(use for name, use in users if name == posixpath.basename(kernel_name))
                devices[path] = _device(entry, parent, details.get(path), names, used)
        return DeviceTable(tuple(devices.values()), swaps, fresh_uuid)


def _links(rows: Iterable[list[str]]) -> dict[str, list[str]]:
    """Of each device its links, also those that lead to another link. udev writes them relative to the link's own folder."""
    targets = {link: posixpath.normpath(posixpath.join(posixpath.dirname(link), target)) for link, target in rows}
    found: dict[str, list[str]] = {}
    for link, target in targets.items():
        end, steps = target, 0
        while end in targets and steps < _DEEPEST:
            end, steps = targets[end], steps + 1
        found.setdefault(end, []).append(link)
    return found


_DEEPEST = 40
"""Links in a row that Linux follows: path_resolution(7)."""


def _walk(entries: Iterable[dict[str, Any]], parent: str | None) -> Iterator[tuple[dict[str, Any], str | None]]:
    for entry in entries:
        yield entry, parent
        yield from _walk(entry.get("children", ()), entry["name"])


def _details(lines: Iterable[str]) -> Iterator[tuple[str, list[list[str]]]]:
    block: list[list[str]] = []
    for line in lines:
        word, *fields = line.split("\t")
        if word == "device":
            block = []
            yield fields[0], block
        elif word:
            block.append([word, *fields])


def _device(
    entry: dict[str, Any], parent: str | None, details: list[list[str]] | None, links: tuple[str, ...], users: tuple[str, ...]
) -> BlockDevice:
    rows = details or []
    signatures = [_signature(row[1]) for row in rows if row[0] == "wipefs"]
    probed = dict(row[1].split("=", 1) for row in rows if row[0] == "probed" and "=" in row[1])
    edges = next((row[1:] for row in rows if row[0] == "edges"), None)
    status = next((row[1] for row in rows if row[0] == "blkid"), None)
    blank: bool | None
    if details is None or ["unreadable"] in rows or status not in {"0", "2", "8"}:
        blank = None
    elif signatures or status != "2":
        blank = False
    else:
        blank = None if edges is None or not set(edges) <= {"0", "1"} else edges == ["0", "0"]
    return BlockDevice(
        path=entry["name"],
        kind=entry["type"],
        size=int(entry["size"]),
        number=entry.get("maj:min") or "",
        parents=(parent,) if parent else (),
        read_only=entry.get("ro") in {True, "1"},
        serial=(entry.get("serial") or "").strip(),
        model=(entry.get("model") or "").strip(),
        table_uuid=entry.get("ptuuid") or probed.get("PTUUID", "") if entry["type"] != "part" else "",
        signatures=tuple(signatures),
        probed={key: value.replace("\\ ", " ") for key, value in probed.items() if key != "DEVNAME"},
        blank=blank,
        fingerprint=next((row[1][:16] for row in rows if row[0] == "fingerprint"), ""),
        holders=tuple(row[1] for row in rows if row[0] == "holder"),
        links=links,
        users=users,
        tags=tuple(f"{tag}={entry[tag.lower()]}" for tag in ("UUID", "LABEL", "PARTUUID", "PARTLABEL") if entry.get(tag.lower())),
    )


def _signature(line: str) -> Signature:
    """`offset,uuid,label,type`: a comma inside the label is not escaped, so the other fields are split off from both ends."""
    offset, uuid, rest = line.split(",", 2)
    label, _, kind = rest.rpartition(",")
    return Signature(kind=kind, uuid=uuid, label=_decode(label), offset=offset)


def _decode(text: str) -> str:
    r"""Wipefs writes `\x20` for a blank inside a label, and each byte of a letter so; control characters stay written so."""

    def byte(match: re.Match[bytes]) -> bytes:
        value = int(match[1], 16)
        return match[0] if value < ord(" ") or value == _DELETE else bytes([value])

    raw = re.sub(rb"\\x([0-9a-f]{2})", byte, text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


_DELETE = 127
