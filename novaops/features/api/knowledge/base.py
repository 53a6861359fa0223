"""What can be done with a knowledge base of one's own. No printing: the command line and the page for browsers both call this."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.knowledge import store, vectors
from novaops.features.api.knowledge.documents import LIMITS, Document, Limits, read_document
from novaops.features.api.knowledge.passages import Part, split
from novaops.features.api.knowledge.terms import indexed, normal
from novaops.features.api.knowledge.vectors import Embedder

_SHOWN = 20
"""Documents that an error counts up."""

EMBEDDINGS = "embeddings"
"""The setting of a base that names the model of its vectors, as PROVIDER/MODEL."""


@dataclass(frozen=True)
class BaseInfo:
    name: str
    documents: int
    passages: int
    size: int
    """Bytes of its file."""
    embeddings: str = ""
    trouble: str = ""
    """Why it cannot be used."""


@dataclass(frozen=True)
class StoredDocument:
    name: str
    size: int
    added: str
    passages: int
    digest: str


@dataclass(frozen=True)
class Added:
    """How an `add_document` ended."""

    document: str
    status: str
    """"changed", or "unchanged" where the very same file is there and no other of its name was."""
    passages: int
    notes: Sequence[str] = ()
    other: str = ""
    """The name under which the very same file is there."""


def create(name: str, embeddings: str = "") -> None:
    """An empty base. Raises UsageError where there is one of that name."""
    store.create(name, {EMBEDDINGS: embeddings} if embeddings else {})


def remove(name: str) -> None:
    store.remove(name)


def list_bases() -> list[BaseInfo]:
    """All of them. One that cannot be used does not hide the others."""
    return list(map(_described, store.listed()))


def _described(name: str) -> BaseInfo:
    try:
        return describe(name)
    except UsageError as error:
        return BaseInfo(name, 0, 0, 0, trouble=": ".join(filter(None, (error.what, error.why))))


def describe(name: str) -> BaseInfo:
    with store.opened(name) as connection:
        documents, passages = (_one(connection, f"SELECT count(*) FROM {table}") for table in ("documents", "passages"))  # noqa: S608 - ours
        model = _one(connection, "SELECT max(value) FROM settings WHERE name = ?", EMBEDDINGS)
    return BaseInfo(name, documents, passages, store.file_of(name).stat().st_size, model or "")


def list_documents(name: str) -> list[StoredDocument]:
    with store.opened(name) as connection:
        rows = connection.execute(
            "SELECT name, size, added, (SELECT count(*) FROM passages WHERE document = documents.id), digest FROM documents ORDER BY name"
        )
        return [StoredDocument(*row) for row in rows]


def add_document(
    name: str, path: Path, *, embedder: Embedder | None = None, limits: Limits = LIMITS, tell: Callable[[str], None] = lambda _: None
) -> Added:
    """Read a file and put its passages in, all or nothing. The same file again changes nothing; another one of that name replaces it.

    Raises UsageError where the file cannot be used, and NovaopsError where its vectors cannot be had.
    """
    with store.opened(name) as connection:
        if embedder is None and _one(connection, "SELECT max(value) FROM settings WHERE name = ?", EMBEDDINGS):
            raise UsageError(f"the knowledge base {name} has vectors, and its model was not given")
        tell("reading")
        document = read_document(path, limits)
        with connection:
            if there := _same(connection, document):
                return there
        passages = list(split(document.parts))
        packed = _vectors(embedder, passages, tell)
        tell("storing")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if there := _same(connection, document):  # another process was faster
                return there
            _delete(connection, document.name)
            _insert(connection, document, passages, packed)
    return Added(document.name, "changed", len(passages), document.notes)


def remove_documents(name: str, documents: Sequence[str]) -> None:
    """All of them or none. Raises UsageError where there is none of that name."""
    with store.opened(name) as connection:
        known = [row[0] for row in connection.execute("SELECT name FROM documents ORDER BY name")]
        if missing := [each for each in documents if each not in known]:
            why = f"There are: {', '.join(known[:_SHOWN])}." if known else "It is empty."
            raise UsageError(f"{name} has no document {missing[0]}", why=why, fix="nothing was deleted")
        with connection:
            for document in documents:
                _delete(connection, document)


def _same(connection: sqlite3.Connection, document: Document) -> Added | None:
    """How it ended, where the very same file is there. Under another name, too: an older one of this name is then taken out."""
    found = connection.execute("SELECT name FROM documents WHERE digest = ?", (document.digest,)).fetchone()
    if found is None:
        return None
    if found[0] == document.name:
        return Added(document.name, "unchanged", 0)
    note = f"the same file is there as {found[0]}"
    if _delete(connection, document.name):
        return Added(document.name, "changed", 0, [f"{note}; what {document.name} was before is taken out"], found[0])
    return Added(document.name, "unchanged", 0, [note], found[0])


def _vectors(embedder: Embedder | None, passages: Sequence[Part], tell: Callable[[str], None]) -> Sequence[bytes | None]:
    if embedder is None:
        return [None] * len(passages)
    tell(f"asking {embedder.model} for {len(passages)} vectors")
    return vectors.pack(embedder, [part.text for part in passages])


def _insert(connection: sqlite3.Connection, document: Document, passages: Sequence[Part], packed: Sequence[bytes | None]) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    values = (document.name, document.digest, document.size, now)
    owner = connection.execute("INSERT INTO documents (name, digest, size, added) VALUES (?, ?, ?, ?)", values).lastrowid
    for part, vector in zip(passages, packed, strict=True):
        row = connection.execute(
            "INSERT INTO passages (document, place, text, vector) VALUES (?, ?, ?, ?)", (owner, part.place, part.text, vector)
        ).lastrowid
        connection.execute("INSERT INTO terms (rowid, text) VALUES (?, ?)", (row, indexed(part.text)))
        keys = {normal(key) for key in part.keys} - {""}
        connection.executemany("INSERT INTO keys VALUES (?, ?)", ((key, row) for key in keys))


def _delete(connection: sqlite3.Connection, document: str) -> bool:
    """Take a document and all that was made of it out. The index keeps no text, so it has to be told the old one."""
    for row, text in connection.execute(
        "SELECT passages.id, text FROM passages JOIN documents ON documents.id = document WHERE name = ?", (document,)
    ).fetchall():
        connection.execute("INSERT INTO terms (terms, rowid, text) VALUES ('delete', ?, ?)", (row, indexed(text)))
    return bool(connection.execute("DELETE FROM documents WHERE name = ?", (document,)).rowcount)


def _one(connection: sqlite3.Connection, query: str, *values: str) -> Any:
    return connection.execute(query, values).fetchone()[0]
