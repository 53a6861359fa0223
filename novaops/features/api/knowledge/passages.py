"""Texts split into passages: as much as fits, broken where it reads best. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LIMIT = 1000
"""Characters of a passage: a paragraph or two, so that several fit into a prompt."""

_BREAKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n\s*\n\s*",  # a paragraph ends
        r"\n",  # a line
        r"(?<=[.!?])\s+|(?<=[。！？；])",  # a sentence
        r"\s+|(?<=[，、])",  # a word
    )
)
"""Where a text may be broken, best first."""


@dataclass(frozen=True)
class Part:
    """A piece of a document as its reader found it: a page, a section, an entry."""

    text: str
    place: str
    """Where in the document: "page 3"."""
    keys: tuple[str, ...] = ()
    """What an entry is known by. A question that names one of them finds this entry first."""
    whole: bool = False
    """Whether it is an entry: it is told apart from its neighbours, and split only where it is far too long."""


def clean(text: str) -> str:
    """The text as SQLite and JSON take it: no halves of surrogate pairs, and no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def split(parts: Iterable[Part], limit: int = LIMIT) -> Iterator[Part]:
    """Passages of `limit` characters at most, in order. No passage has text of two parts, and no character but blanks is lost."""
    for part in parts:
        for text in split_text(clean(part.text), 4 * limit if part.whole else limit):
            yield Part(text, clean(part.place), part.keys, part.whole)


def split_text(text: str, limit: int = LIMIT) -> Iterator[str]:
    """The text in pieces of `limit` characters at most, broken at the best place that is in their second half, else at the best of all."""
    text, start = text.strip(), 0
    while len(text) - start > limit:
        end, begin = _break(text[start : start + limit + 1], limit)
        yield text[start : start + end].rstrip()
        start = _after_blanks(text, start + begin)
    if start < len(text):
        yield text[start:]


def _after_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _break(window: str, limit: int) -> tuple[int, int]:
    """Where the first piece ends, and where the rest begins."""
    for least in (limit // 2, 1):
        for pattern in _BREAKS:
            found = [match.span() for match in pattern.finditer(window) if least <= match.start() <= limit]
            if found:
                return found[-1]
    return limit, limit
