"""A file on its way to a provider: checked, sent in pieces, waited for. What was sent is remembered, so that nothing is sent twice."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from novaops.errors import UsageError
from novaops.features.api.knowledge.documents import size_of
from novaops.features.api.llm.protocol import ApiFailed
from novaops.features.api.remote.protocol import FileStore, RemoteFile, Upload

TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
PATIENCE = 600.0
"""Seconds that are waited for a file. The same command waits on."""
_POLLS = (0.5, 1.0, 2.0, 5.0)
"""Seconds between two looks; the last one goes on."""
_GONE = 404
_PASSING = frozenset({408, 429, *range(500, 600)})
"""Statuses of trouble that may be over at the next look."""
_STEPS = 200
"""A file is sent in so many pieces at least, unless they are smaller than what httpx asks for: a progress bar moves by them."""
_MOST_PIECE = 1 << 20

_sending: dict[Path, threading.Lock] = {}
"""By the record of what is sent: the same file for two places at once is sent once."""

Sent = Callable[[int, int], None]
"""Called with how many bytes are sent, of how many."""


class NotReady(ApiFailed):
    """The provider is at work on a file still."""


@dataclass(frozen=True)
class Sending:
    """Where a file goes."""

    store: FileStore
    provider: str
    """What tells it from other providers: where it is, and through what."""
    purpose: str
    """In the provider's words."""
    most: int
    """Bytes that the provider takes."""


def send(sending: Sending, path: Path, sent: Sent = lambda *_: None) -> tuple[RemoteFile, bool]:
    """The file at the provider, and whether it was sent now. One that is there already is not sent again.

    Raises UsageError for a file that cannot be sent, before anything is; ApiFailed, Unreachable.
    """
    size = size_of(path, sending.most)
    record = _record(sending, path)
    with _sending.setdefault(record, threading.Lock()):
        return _send(sending, path, size, record, sent)


def _send(sending: Sending, path: Path, size: int, record: Path, sent: Sent) -> tuple[RemoteFile, bool]:
    if known := _known(sending.store, record, RemoteFile("", path.name, size)):
        sent(size, size)
        return known, False
    try:
        with Counted(path, size, sent) as content:
            upload = Upload(path.name, content, TYPES.get(path.suffix.lower(), "application/octet-stream"), sending.purpose)
            found = sending.store.upload(upload)
    except OSError as error:
        fix = "run it again when nothing writes to it" if error.errno == errno.EBUSY else ""
        raise UsageError(f"cannot read {path}", why=f"{error.strerror}.", fix=fix) from None
    _remember(record, found)
    return found, True


def wait(get: Callable[[], RemoteFile], tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> RemoteFile:
    """The file once the provider is done with it. Raises ApiFailed where it is refused there, or is not ready after `PATIENCE`."""
    waited, looks, told = 0.0, 0, set[str]()
    while True:
        try:
            found = get()
        except ApiFailed as error:
            if error.status not in _PASSING or waited >= PATIENCE:
                raise
            said = f"{error.what}: looking again."
        else:
            if found.state == "ready":
                return found
            refuse_failed(found)
            if waited >= PATIENCE:
                raise NotReady(f"{found.name or found.id} is not ready after {PATIENCE:g} s", fix="the same command waits on")
            said = f"{found.id} is {found.said.lower() or 'at work'}: waiting until it is ready. After Ctrl-C the same command waits on."
        if said not in told:
            tell(said)
            told.add(said)
        pause = _POLLS[min(looks, len(_POLLS) - 1)]
        sleep(pause)
        waited, looks = waited + pause, looks + 1


def refuse_failed(found: RemoteFile) -> None:
    """Raises ApiFailed for a file that the provider does not accept."""
    if found.state == "failed":
        why = f"It says: {found.said.rstrip('.')}." if found.said else ""
        raise ApiFailed(f"the provider does not accept {found.name or found.id}", why=why, fix="put it right and add it again")


class Counted(io.RawIOBase, BinaryIO):
    """The file, and how much of it was read. httpx reads it piece by piece, so all of it is never in memory."""

    def __init__(self, path: Path, size: int, sent: Sent) -> None:
        self._file = path.open("rb", buffering=0)
        self._size, self._sent = size, sent
        self._piece = min(size // _STEPS, _MOST_PIECE)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1, /) -> bytes:
        """More than `size` where the file is large: httpx asks for 64 kB, and each piece is much work for it, whatever its size.

        Raises OSError where the file is no longer as long as the server was told.
        """
        data = self._file.read(size if size < 0 else max(size, self._piece)) or b""
        place = self._file.tell()
        if place > self._size or (not data and place < self._size):
            raise OSError(errno.EBUSY, "It changed while it was sent")
        self._sent(place, self._size)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def folder() -> Path:
    """Where is remembered what was sent: `${XDG_STATE_HOME:-~/.local/state}/novaops/uploads`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "novaops" / "uploads"


def _record(sending: Sending, path: Path) -> Path:
    """Named by what was sent, where, and for what. Only the provider's id is in it."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=f"{error.strerror}.") from None
    digest.update(json.dumps([sending.provider, sending.purpose, path.name]).encode())
    return folder() / f"{digest.hexdigest()}.json"


def _known(store: FileStore, record: Path, ours: RemoteFile) -> RemoteFile | None:
    """The file that was sent before, unless the provider has it no more, refused it, or has another one by its id now.

    It may call the file otherwise than we do: what it said of name and size when the file was sent is what it has to say now.
    """
    try:
        kept = json.loads(record.read_text("utf-8"))
        number, name, size = kept["id"], kept.get("name") or ours.name, kept.get("size") or ours.size
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    try:
        found = store.get(number)
    except ApiFailed as error:
        if error.status == _GONE:
            return None
        raise
    is_it = found.name in {"", name} and found.size in {0, size}
    return found if is_it and found.state != "failed" else None


def _remember(record: Path, found: RemoteFile) -> None:
    """Where that cannot be written, the file is sent once more another time: no reason to fail now."""
    with suppress(OSError):
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = record.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps({"id": found.id, "name": found.name, "size": found.size}), "utf-8")
        half.replace(record)
