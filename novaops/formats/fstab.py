"""The text of /etc/fstab: find, put or remove one line, and keep every other byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIELD = re.compile(rb"[ \t]+")
_FIELDS = 6


@dataclass(frozen=True)
class FstabLine:
    """One line of fstab. Fields that are left out have their defaults (fstab(5))."""

    source: str
    path: str
    filesystem: str
    options: tuple[str, ...] = ("defaults",)
    dump: str = "0"
    check: str = "0"

    def render(self) -> str:
        fields = (self.source, self.path, self.filesystem, ",".join(self.options), self.dump, self.check)
        return " ".join(escape(part) for part in fields)

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
    """Each line that has an entry, with its number from 0. Comments and lines with too few fields are ignored."""
    for number, raw in enumerate(content.split(b"\n")):
        if raw.lstrip(b" \t").startswith(b"#"):
            continue
        fields = [unescape(part.decode("utf-8", "surrogateescape")) for part in _FIELD.split(raw.strip(b" \t\r")) if part]
        if len(fields) < 3:  # noqa: PLR2004 - source, path and type are the least
            continue
        source, path, filesystem, *rest = fields[:_FIELDS]
        options, dump, check = (*rest, *("defaults", "0", "0")[len(rest) :])
        yield number, FstabLine(source, path.rstrip("/") or "/", filesystem, tuple(options.split(",")), dump, check)


def find(content: bytes, path: str) -> FstabLine | None:
    """The line that mounts something at `path`; the last one when there are several, as mount -a would leave it.

    "none" and "swap" are no paths: entries without a mount point are never found.
    """
    found = [line for _, line in parse(content) if line.path == path and path.startswith("/")]
    return found[-1] if found else None


def with_source(content: bytes, names: frozenset[str]) -> tuple[FstabLine, ...]:
    """The lines whose source is one of `names` (a device's paths, `UUID=…`, `LABEL=…`)."""
    return tuple(line for _, line in parse(content) if line.source in names)


def put(content: bytes, line: FstabLine) -> bytes:
    """`content` with exactly one line for `line.path`.

    An existing line is replaced where it stands. A new one goes to the end, or before the first line for a path
    beneath it: a parent must be mounted before its child.
    """
    lines = content.split(b"\n")
    ours = [number for number, old in parse(content) if old.path == line.path]
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


def remove(content: bytes, path: str) -> bytes:
    """`content` without the lines that mount something at `path`."""
    ours = {number for number, old in parse(content) if old.path == path}
    return b"\n".join(raw for number, raw in enumerate(content.split(b"\n")) if number not in ours)


def unescape(text: str) -> str:
    r"""Text with the octal escapes of fstab and mountinfo replaced: `\040` is a blank."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
