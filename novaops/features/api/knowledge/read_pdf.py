"""The text of a PDF, page by page, by pypdf."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from novaops.features.api.knowledge.documents import SPLIT, Limits, Read, Unreadable
from novaops.features.api.knowledge.passages import Part

if TYPE_CHECKING:
    from pypdf import PdfReader

_OCR = "make its text readable first: ocrmypdf IN.pdf OUT.pdf"
_SHOWN = 8
"""Pages that a note counts up."""


def read_pdf(data: bytes, limits: Limits) -> Read:
    with _quiet():
        reader = _opened(data)
        pages = _texts(reader, limits)
    empty = [number for number, text in pages if not text.strip()]
    if len(empty) == len(pages):
        count = "Its page has" if len(pages) == 1 else f"Its {len(pages)} pages have"
        raise Unreadable(f"{count} no text: it is scanned, and holds pictures only.", _OCR)
    listed = ", ".join(map(str, empty[:_SHOWN])) + (", …" if len(empty) > _SHOWN else "")
    notes = [f"no text on {len(empty)} of {len(pages)} pages ({listed}): scanned? {_OCR}"] if empty else []
    return Read([Part(text, f"page {number}") for number, text in pages], notes)


@contextmanager
def _broken() -> Iterator[None]:
    """Raises Unreadable for whatever pypdf raises: a broken PDF fails anywhere in its reader."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        why = str(error) or type(error).__name__
        raise Unreadable(f"It is no PDF, or a broken one: {why}.", "open it in a viewer, and save or print it as a new PDF") from None


def _opened(data: bytes) -> PdfReader:
    from pypdf import PdfReader

    with _broken():
        reader = PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
    if locked:
        raise Unreadable("It is encrypted, and asks for a password.", "save it without one: qpdf --decrypt --password=… IN.pdf OUT.pdf")
    return reader


def _texts(reader: PdfReader, limits: Limits) -> list[tuple[int, str]]:
    with _broken():
        pages = len(reader.pages)
    if pages > limits.pages:
        raise Unreadable(f"It has {pages:,} pages; the most is {limits.pages:,}.", SPLIT)
    found: list[tuple[int, str]] = []
    characters = 0
    for number in range(pages):
        with _broken():
            text = reader.pages[number].extract_text()
        characters += len(text)
        if characters > limits.characters:
            raise Unreadable(f"It has more than {limits.characters:,} characters.", SPLIT)
        found.append((number + 1, text))
    if not found:
        raise Unreadable("It has no pages.")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Pypdf tells its log, and so the terminal, of everything that it puts right in a file."""
    logger = logging.getLogger("pypdf")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(before)
