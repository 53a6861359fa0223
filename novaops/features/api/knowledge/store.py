"""The file of a knowledge base: SQLite, with a full-text index beside the passages."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from novaops.errors import UsageError
from novaops.features.api.knowledge.terms import TOKENIZER
from novaops.formats import names

VERSION = 1
"""Of the tables below. A file with another one is not touched."""
_APPLICATION = 0x4E4F5642
"""Which SQLite files are ours: "NOVB"."""
_ENDING = ".sqlite"

_TABLES = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, added TEXT NOT NULL);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, place TEXT NOT NULL, text TEXT NOT NULL,
    vector BLOB);
CREATE INDEX passages_of ON passages (document);
CREATE TABLE keys (
    key TEXT NOT NULL, passage INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE, PRIMARY KEY (key, passage)) WITHOUT ROWID;
CREATE INDEX keys_of ON keys (passage);
CREATE VIRTUAL TABLE terms USING fts5 (text, content='', tokenize='{TOKENIZER}');
"""

_ANEW = "delete that file, where nothing in it is needed, and create the base anew"


def folder() -> Path:
    """Where the bases are kept: `${XDG_DATA_HOME:-~/.local/share}/novaops/knowledge`."""
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".local/share") / "novaops" / "knowledge"  # as its specification has it


def file_of(name: str) -> Path:
    """Raises UsageError where the name is none."""
    try:
        return folder() / f"{names.name(name)}{_ENDING}"
    except ValueError as error:
        raise UsageError(f"there is no knowledge base {name}, nor can there be one", why=str(error)) from None


def listed() -> list[str]:
    return sorted(file.name.removesuffix(_ENDING) for file in folder().glob(f"*{_ENDING}") if file.is_file())


def create(name: str, settings: dict[str, str]) -> Path:
    """A new file that only its owner reads. Raises UsageError where there is one, or it cannot be made."""
    file = file_of(name)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise UsageError(f"there is a knowledge base {name} already", fix=f"novaops api knowledge add {name} FILE") from None
    except OSError as error:
        raise UsageError(f"cannot make {file}", why=f"{error.strerror}.") from None
    try:
        with _connected(file) as connection:
            connection.executescript(
                f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; BEGIN IMMEDIATE; {_TABLES} COMMIT;"
            )
            with connection:
                connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file


def remove(name: str) -> None:
    """Raises UsageError where there is none."""
    with opened(name):
        pass
    file_of(name).unlink()


@contextmanager
def opened(name: str) -> Iterator[sqlite3.Connection]:
    """The base of that name. Raises UsageError where there is none, or it is not one that this version knows."""
    file = file_of(name)
    if not file.is_file():
        known = listed()
        why = f"There are: {', '.join(known)}." if known else "There is none yet."
        raise UsageError(
            f"there is no knowledge base {name}",
            why=why,
            fix=f"novaops api knowledge create {name} makes one; PROVIDER/{name} is one at a provider",
        )
    with _connected(file) as connection:
        _check(connection, file)
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def _check(connection: sqlite3.Connection, file: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise UsageError(f"{file} is no knowledge base of novaops's", fix=_ANEW)
    if version != VERSION:
        why = f"It has version {version} of the tables; this novaops knows {VERSION}."
        raise UsageError(f"cannot use {file}", why=why, fix="update novaops, or create the base anew and add its documents")


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    """Raises UsageError for what SQLite says of a file: it is damaged, locked, or the disk is full."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=30)) as connection:
            yield connection
    except sqlite3.Error as error:
        is_damaged = type(error) is sqlite3.DatabaseError  # its own kinds are of a file that may be good: it is locked, or the disk is full
        raise UsageError(f"cannot use {file}", why=f"SQLite says: {error}.", fix=_ANEW if is_damaged else "") from None
