"""Documents: a file, read into parts that know where they stood. A file that nobody should read is refused in a sentence."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from novaops.errors import UsageError
from novaops.features.api.knowledge.passages import Part
from novaops.formats.size import human


@dataclass(frozen=True)
class Limits:
    """What one document may be. A machine with little memory can read all that is within."""

    size: int = 64 << 20
    """Bytes of the file."""
    characters: int = 20_000_000
    """Of all its text, and of the XML of a docx."""
    pages: int = 2_000
    entries: int = 100_000


LIMITS = Limits()


@dataclass(frozen=True)
class Document:
    name: str
    digest: str
    size: int
    parts: Sequence[Part]
    notes: Sequence[str] = ()
    """What is worth knowing of how it was read."""


@dataclass(frozen=True)
class Read:
    """What the reader of a format gives."""

    parts: Sequence[Part]
    notes: Sequence[str] = ()


SPLIT = "split it into several files"


class Unreadable(ValueError):
    """Why a document cannot be used, and what to do. Its reader knows no path: `read_document` puts it before."""

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.fix = fix


Reader = Callable[[bytes, Limits], Read]


def _readers() -> dict[str, Reader]:
    """By the end of a file's name. Imported late: a PDF's reader is slow to load."""
    from novaops.features.api.knowledge import read_docx, read_entries, read_pdf, read_text

    return {
        ".json": read_entries.read_json,
        ".jsonl": read_entries.read_json_lines,
        ".txt": read_text.read_text,
        ".md": read_text.read_markdown,
        ".pdf": read_pdf.read_pdf,
        ".docx": read_docx.read_docx,
    }


KINDS = (".json", ".jsonl", ".txt", ".md", ".pdf", ".docx")


def kind_of(path: Path) -> str:
    """The end of its name in small letters: ".pdf". Raises UsageError for a kind that nobody here reads."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        fix = "save it as .docx" if kind == ".doc" else f"these can be read: {', '.join(end[1:] for end in KINDS)}"
        raise UsageError(f"cannot read {path}: its name ends with {kind or 'nothing'} that says what it is", fix=fix)
    return kind


def size_of(path: Path, most: int) -> int:
    """Bytes of a regular file. Raises UsageError where it is none, is empty, or is larger than `most`; nothing of it is read."""
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=f"{error.strerror}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"cannot read {path}", why="It is no regular file.", fix="name one file after the other")
    if found.st_size > most:
        raise UsageError(f"{path} is too large: {human(found.st_size)}", why=f"The most is {human(most)}.", fix=SPLIT)
    if not found.st_size:
        raise UsageError(f"{path} is empty")
    return found.st_size


def check_name(path: Path) -> None:
    """Raises UsageError where a file's name cannot be stored or sent."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"cannot use {path}", why="Its name is not in UTF-8.", fix="give it another name") from None


def read_document(path: Path, limits: Limits = LIMITS) -> Document:
    """The text of a file with its places. Raises UsageError, with why and what to do, where it cannot be used."""
    kind = kind_of(path)
    size_of(path, limits.size)
    check_name(path)
    try:
        with path.open("rb") as file:
            data = file.read(limits.size + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=f"{error.strerror}.") from None
    try:
        found = _readers()[kind](data, limits)
        parts = [part for part in found.parts if part.text.strip()]
        _check(parts, limits)
    except Unreadable as error:
        raise UsageError(f"cannot use {path}", why=str(error), fix=error.fix) from None
    return Document(path.name, hashlib.sha256(data).hexdigest(), len(data), parts, found.notes)


def _check(parts: Sequence[Part], limits: Limits) -> None:
    if not parts:
        raise Unreadable("There is no text in it.")
    if len(parts) > limits.entries:
        raise Unreadable(f"It has {len(parts):,} entries; the most is {limits.entries:,}.", SPLIT)
    characters = sum(len(part.text) for part in parts)
    if characters > limits.characters:
        raise Unreadable(f"It has {characters:,} characters; the most is {limits.characters:,}.", SPLIT)
