"""Search: entries whose key the question names come first, then what its words and its meaning find."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from novaops.features.api.knowledge import store, vectors
from novaops.features.api.knowledge.terms import match, names, normal
from novaops.features.api.knowledge.vectors import Embedder
from novaops.features.api.llm.protocol import Passage

COUNT = 5
"""Passages that a prompt gets."""
_CANDIDATES = 50
_FLAT = 60
"""Reciprocal rank fusion adds 1 / (60 + rank) over the lists: the usual constant (Cormack and others, 2009)."""


def search(name: str, text: str, count: int = COUNT, *, embedder: Embedder | None = None) -> list[Passage]:
    """The passages of a base that fit a text best, best first. Any text is a valid search. Raises UsageError, as `store.opened` does."""
    with store.opened(name) as connection:
        by_key = _by_key(connection, text)
        by_text = _by_text(connection, match(text)) or _by_text(connection, match(text, begins=True))
        by_vector = _by_vector(connection, text, embedder) if embedder else []
        order = dict.fromkeys(by_key, "key")
        for row in _fused([by_text, by_vector]):
            order.setdefault(row, "text" if row in by_text else "vector")
        return _passages(connection, list(order.items())[:count])


def _by_key(connection: sqlite3.Connection, text: str) -> list[int]:
    """Longest key first: it says most."""
    question = normal(text)
    found = connection.execute("SELECT key, passage FROM keys WHERE instr(?, key) ORDER BY length(key) DESC, passage", (question,))
    return [passage for key, passage in found if names(question, key)]


def _by_text(connection: sqlite3.Connection, wanted: str) -> list[int]:
    """By BM25. `ORDER BY rank` means the same, and sorts all that match where this keeps the first ones only."""
    query = f"SELECT rowid FROM terms WHERE terms MATCH ? ORDER BY bm25(terms) LIMIT {_CANDIDATES}"  # noqa: S608 - no word of anybody's
    return [row for (row,) in connection.execute(query, (wanted,))] if wanted else []


def _by_vector(connection: sqlite3.Connection, text: str, embedder: Embedder) -> list[int]:
    packed = connection.execute("SELECT id, vector FROM passages WHERE vector IS NOT NULL").fetchall()
    return vectors.nearest(packed, vectors.pack(embedder, [text])[0], _CANDIDATES) if packed else []


def _fused(lists: Iterable[Sequence[int]]) -> list[int]:
    """One list of several, best first. Where two are equal, the earlier list wins."""
    scores: dict[int, float] = {}
    for rows in lists:
        for rank, row in enumerate(rows):
            scores[row] = scores.get(row, 0) + 1 / (_FLAT + rank)
    return sorted(scores, key=lambda row: -scores[row])


def _passages(connection: sqlite3.Connection, wanted: Sequence[tuple[int, str]]) -> list[Passage]:
    query = "SELECT text, name, place FROM passages JOIN documents ON documents.id = document WHERE passages.id = ?"
    found = ((connection.execute(query, (row,)).fetchone(), found_by) for row, found_by in wanted)
    return [Passage(text, document, place, found_by) for (text, document, place), found_by in found]
