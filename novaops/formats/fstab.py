"""The text of /etc/fstab: find, put or remove one line, and keep every other byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_FIELD = re.compile(rb"[^ \t]+")
_FIELDS = 6
_TAG = re.compile(r"(UUID|LABEL|PARTUUID|PARTLABEL|ID)=(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class FstabLine:
    """One line of fstab. Fields that are left out have their defaults (fstab(5))."""

    source: str
    path: str
    filesystem: str
    options: tuple[str, ...] = ("defaults",)
    dump: str = "0"
    check: str = "0"
    comment: str = ""
    """What is behind the fields, from its # on."""
    complete: bool = field(default=True, compare=False)
    """Whether all six fields were written."""

    def render(self) -> str:
        fields = (self.source, self.path, self.filesystem, ",".join(self.options), self.dump, self.check)
        return " ".join([*(escape(part) for part in fields), *([self.comment] if self.comment else [])])

    @property
    def automounts(self) -> bool:
        """Whether systemd mounts it when it is first used: then its automount unit stands for the mount."""
        return "x-systemd.automount" in self.options

    def same_as(self, other: FstabLine) -> bool:
        """Whether both mean the same; the order of options does not matter."""
        return (self.source, self.path, self.filesystem, set(self.options), self.dump, self.check) == (
            *(other.source, other.path, other.filesystem, set(other.options)),
            *(other.dump, other.check),
        )


def escape(text: str) -> str:
    """A field of fstab: whitespace, backslash and # as octal, because whitespace ends a field."""
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\r\\#" else c for c in text)


def parse(content: bytes) -> Iterator[tuple[int, FstabLine]]:
    """Each line that has an entry, with its number from 0. Comments and lines with too few fields are ignored.

    Read as generously as systemd does; mount(8) passes over a line whose comment stands in the place of a number.
    """
    for number, raw in enumerate(content.split(b"\n")):
        if (line := _read_line(raw.strip(b" \t\r"))) is not None:
            yield number, line


def _read_line(raw: bytes) -> FstabLine | None:
    fields: list[str] = []
    comment = b""
    for found in _FIELD.finditer(raw):
        # A # at the beginning of the source is a comment line; in the mount point and the type it is a letter.
        if found[0].startswith(b"#") and len(fields) not in {1, 2}:
            comment = raw[found.start() :]
            break
        fields.append(unescape(found[0].decode("utf-8", "surrogateescape")))
    if len(fields) < 3:  # noqa: PLR2004 - source, path and type are the least
        return None
    source, path, filesystem, *rest = fields[:_FIELDS]
    options, dump, check = (*rest, *("defaults", "0", "0")[len(rest) :])
    behind = comment.decode("utf-8", "surrogateescape")
    return FstabLine(source, plain_path(path), filesystem, split_options(options), dump, check, behind, len(fields) >= _FIELDS)


def plain_path(path: str) -> str:
    """A path without doubled slashes, dots and a slash at its end, as systemd names it; "none" and "swap" as they are."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."}) if path.startswith("/") else path


def split_options(text: str) -> tuple[str, ...]:
    """The options of a list with commas. One between quotes belongs to its value: `context="system_u:object_r:t:s0:c1,c2"`."""
    return tuple(part for part in re.findall(r'(?:[^,"]|"[^"]*"|")+', text) if part)


def source_name(source: str) -> str:
    """A source in the one form that can be compared: a tag without quotes and with its name in capitals, a UUID in small letters.

    mount(8) has the tags. It does not know `uuid=`, but whoever wrote that meant this device.
    """
    if (tag := _TAG.fullmatch(source)) is None:
        return plain_path(source)
    name, value = tag[1].upper(), tag[2]
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return f"{name}={value.lower() if name.endswith('UUID') else value}"


def find(content: bytes, *paths: str) -> FstabLine | None:
    """The line that mounts something at one of `paths`, which are spellings of one place.

    The last one when there are several, as mount -a would leave it.

    "none" and "swap" are no paths: entries without a mount point are never found.
    """
    found = find_all(content, *paths)
    return found[-1] if found else None


def find_all(content: bytes, *paths: str) -> tuple[FstabLine, ...]:
    """All lines that mount something at one of `paths`. Where there are several, systemd takes the first one, and mount -a all of them."""
    return tuple(line for _, line in parse(content) if line.path in paths and line.path.startswith("/"))


def shown(lines: tuple[FstabLine, ...]) -> str | None:
    """The lines as a report has them; None for none."""
    return " | ".join(line.render() for line in lines) or None


def with_source(content: bytes, names: frozenset[str]) -> tuple[FstabLine, ...]:
    """The lines whose source is one of `names`, each in the form of `source_name`."""
    return tuple(line for _, line in parse(content) if source_name(line.source) in names)


def put(content: bytes, line: FstabLine, *paths: str) -> bytes:
    """`content` with exactly one line for `line.path`; `paths` are other spellings of that place, which go.

    An existing line is replaced where it stands, and keeps the comments behind it and behind the other ones. A new one goes to the end, or
    before the first line for a path beneath it: a parent must be mounted before its child.
    """
    lines = content.split(b"\n")
    old = {number: found for number, found in parse(content) if found.path in {line.path, *paths}}
    ours = list(old)
    if ours and not line.comment:
        line = replace(line, comment=" ".join(dict.fromkeys(found.comment for found in old.values() if found.comment)))
    text = line.render().encode("utf-8", "surrogateescape")
    if ours:
        lines[ours[0]] = text
        return b"\n".join(raw for number, raw in enumerate(lines) if number not in ours[1:])
    beneath = [number for number, old in parse(content) if old.path.startswith(line.path.rstrip("/") + "/")]
    if beneath:
        lines.insert(beneath[0], text)
        return b"\n".join(lines)
    if content and not content.endswith(b"\n"):
        return content + b"\n" + text + b"\n"
    return content + text + b"\n"


def remove(content: bytes, *paths: str) -> bytes:
    """`content` without the lines that mount something at one of `paths`."""
    ours = {number for number, old in parse(content) if old.path in paths}
    return b"\n".join(raw for number, raw in enumerate(content.split(b"\n")) if number not in ours)


def unescape(text: str) -> str:
    r"""Text with the octal escapes of fstab and mountinfo replaced. Each stands for a byte: `\040` is a blank, `\303\274` is ü."""
    raw = text.encode("utf-8", "surrogateescape")
    plain = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), raw)
    return plain.decode("utf-8", "surrogateescape")
