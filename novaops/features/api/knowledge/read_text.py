"""Plain text and Markdown. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from novaops.features.api.knowledge.documents import Limits, Read, Unreadable
from novaops.features.api.knowledge.passages import Part

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLOCK = 40
"""Lines that are given as one place where a text has no headings."""
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>.*?)[ \t#]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")


def decode(data: bytes) -> tuple[str, list[str]]:
    """The text, and what is to be said of its encoding. UTF-8, UTF-16 with its mark, or GB18030. Raises Unreadable."""
    mark = next((encoding for start, encoding in _MARKS if data.startswith(start)), "utf-8")
    try:
        return _plain(data.decode(mark)), []
    except UnicodeDecodeError as error:
        where = data[: error.start].count(b"\n") + 1
    if b"\0" not in data:
        try:
            return _plain(data.decode("gb18030")), ["read as GB18030, for it is not UTF-8"]
        except UnicodeDecodeError:
            pass
    raise Unreadable(f"It is not text in UTF-8: line {where} has other bytes.", "save it as UTF-8")


def _plain(text: str) -> str:
    """Raises Unreadable for UTF-16 without its mark, and other bytes, that are UTF-8 by chance: nothing in it would be found."""
    if "\0" in text:
        raise Unreadable("It is no text: it has null bytes.", "save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(data: bytes, limits: Limits) -> Read:
    del limits
    text, notes = decode(data)
    return Read(list(_blocks(text.split("\n"), 1, "")), notes)


def read_markdown(data: bytes, limits: Limits) -> Read:
    del limits
    text, notes = decode(data)
    return Read(list(_sections(text.split("\n"))), notes)


def _sections(lines: list[str]) -> Iterator[Part]:
    """A part for each heading and what is below it; the heading is part of its text."""
    begin, title, fence = 0, "", ""
    for number, line in enumerate(lines):
        if found := _FENCE.match(line):
            fence = "" if fence == found[1] else fence or found[1]
        heading = None if fence else _HEADING.match(line)
        if heading:
            yield from _blocks(lines[begin:number], begin + 1, title)
            begin, title = number, heading["title"].strip()
    yield from _blocks(lines[begin:], begin + 1, title)


def _blocks(lines: list[str], first: int, title: str) -> Iterator[Part]:
    """Parts of some forty lines, that end with a paragraph where there is one."""
    start = 0
    while start < len(lines):
        end = min(start + _BLOCK, len(lines))
        while start + _BLOCK <= end < min(len(lines), start + 2 * _BLOCK) and lines[end - 1].strip():
            end += 1
        place = f"lines {first + start}–{first + end - 1}" if end - start > 1 else f"line {first + start}"
        yield Part("\n".join(lines[start:end]), f"“{title}”, {place}" if title else place)
        start = end
