"""Search: entries whose key the question names come first, then what its words and its meaning find."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from novaops.features.api.knowledge import store, vectors
from novaops.features.api.knowledge.terms import expressions, names, normal
from novaops.features.api.knowledge.vectors import Embedder
from novaops.features.api.llm.protocol import Passage

COUNT = 5
"""Passages that a prompt gets."""
_CANDIDATES = 50
_TERMS = 32
"""The rarest terms of a text that are ranked by. A question has fewer, a whole log thousands."""
_HITS = 200_000
"""Passages of all those terms together: each takes the ranking some 0.25 µs, and a word that is everywhere says little."""
_FLAT = 60
"""Reciprocal rank fusion adds 1 / (60 + rank) over the lists: the usual constant (Cormack and others, 2009)."""


def search(name: str, text: str, count: int = COUNT, *, embedder: Embedder | None = None) -> list[Passage]:
    """The passages of a base that fit a text best, best first. Any text is a valid search. Raises UsageError, as `store.opened` does."""
    with store.opened(name) as connection:
        by_key = _by_key(connection, text)
        by_text = _by_text(connection, expressions(text)) or _by_text(connection, expressions(text, begins=True))
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


def _by_text(connection: sqlite3.Connection, terms: Sequence[str]) -> list[int]:
    """By BM25. `ORDER BY rank` means the same, and sorts all that match where this keeps the first ones only."""
    wanted = " OR ".join(_rarest(connection, terms))
    query = f"SELECT rowid FROM terms WHERE terms MATCH ? ORDER BY bm25(terms) LIMIT {_CANDIDATES}"  # noqa: S608 - no word of anybody's
    return [row for (row,) in connection.execute(query, (wanted,))] if wanted else []


def _rarest(connection: sqlite3.Connection, terms: Sequence[str]) -> Iterator[str]:
    """Those that stand in the fewest passages, up to `_TERMS` and `_HITS`: one at least, where any stands in a passage."""
    query = "SELECT count(*) FROM terms WHERE terms MATCH ?"
    counted = [(connection.execute(query, (term,)).fetchone()[0], term) for term in terms]
    hits = 0
    for count, term in sorted((each for each in counted if each[0]), key=lambda each: each[0])[:_TERMS]:
        if hits and hits + count > _HITS:
            return
        hits += count
        yield term


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
