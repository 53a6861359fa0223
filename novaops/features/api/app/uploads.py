"""Files on their way into a knowledge base or to a provider: received into a folder that goes away with the app, then handed on.

What a base of this machine gets is read one after the other. A provider is waited for, and for several files at a time.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app.backend import Backend, Place
from novaops.features.api.app.sentences import bug
from novaops.formats.size import human

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""

_SENDERS = 4
"""Files that are sent to providers, and waited for there, at a time."""


@dataclass(eq=False)
class Upload:
    place: Place
    name: str
    state: Literal["receiving", "sending", "reading", "failed"] = "receiving"
    error: NovaopsError | None = None
    part: float = 0
    """Of what is sent to a provider: how much is there."""

    def sent(self, count: int, total: int) -> None:
        self.part = count / total if total else 1
        self.state = "sending" if count < total else "reading"


_Queue = queue.Queue[tuple[Upload, Path] | None]


class Uploads:
    """What is not in a base yet, and what could not be read. A file that was read is in its base, and no longer here."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._uploads: list[Upload] = []
        self._folder = tempfile.TemporaryDirectory(prefix="novaops-app-")
        self._here: _Queue = queue.Queue()
        self._there: _Queue = queue.Queue()
        for waiting in (self._here, *[self._there] * _SENDERS):
            threading.Thread(target=self._hand_on, args=(waiting,), name="documents", daemon=True).start()

    def of(self, place: Place) -> list[Upload]:
        return [each for each in list(self._uploads) if each.place.lists_with(place)]

    async def receive(self, place: Place, name: str, chunks: AsyncIterator[bytes], largest: int) -> None:
        """Returns when all of it is here; it is handed on after that. Raises UsageError."""
        _check_name(name)
        before = self._found(place, name)
        if before and before.state != "failed":
            raise UsageError(f"{name} is being read already", fix="wait until it is ready")
        if before:
            self._uploads.remove(before)
        upload = Upload(place, name)
        self._uploads.append(upload)
        file = Path(tempfile.mkdtemp(dir=self._folder.name)) / name
        try:
            await _store(file, chunks, largest)
        except BaseException:
            self._uploads.remove(upload)
            _drop(file)
            raise
        upload.state = "reading"
        (self._there if place.choice else self._here).put((upload, file))

    def forget(self, place: Place, name: str) -> bool:
        """Whether there was a failed one, which is no longer listed."""
        found = self._found(place, name)
        if found is None:
            return False
        if found.state != "failed":
            raise UsageError(f"{name} is being read", fix="wait until it is ready")
        self._uploads.remove(found)
        return True

    def _found(self, place: Place, name: str) -> Upload | None:
        return next((each for each in self.of(place) if each.name == name), None)

    def forget_base(self, place: Place) -> None:
        """Raises UsageError while a file of it is being read."""
        for each in self.of(place):
            self.forget(place, each.name)

    def close(self) -> None:
        self._here.put(None)
        for _ in range(_SENDERS):
            self._there.put(None)
        self._folder.cleanup()

    def _hand_on(self, waiting: _Queue) -> None:
        while (found := waiting.get()) is not None:
            upload, file = found
            try:
                self._backend.add(upload.place, file, upload.sent)
                self._uploads.remove(upload)
            except NovaopsError as error:
                upload.error, upload.state = _without_folder(error, file), "failed"
            except Exception as error:  # noqa: BLE001 - the next file is to be read all the same
                upload.error, upload.state = bug(error), "failed"
            _drop(file)


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name in {"", ".", ".."} or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise UsageError("the file's name cannot be used", fix="give it a short name without slashes and control characters")


async def _store(file: Path, chunks: AsyncIterator[bytes], largest: int) -> None:
    size = 0
    with file.open("xb") as into:
        async for chunk in chunks:
            size += len(chunk)
            if size > largest:
                raise UsageError(f"{file.name} is larger than {human(largest)}", fix="split it into several files")
            into.write(chunk)


def _drop(file: Path) -> None:
    file.unlink(missing_ok=True)
    if file.parent.is_dir():
        file.parent.rmdir()


def _without_folder(error: NovaopsError, file: Path) -> NovaopsError:
    """The error, with the file's name in the place of a path that the user has never seen."""
    said = [text.replace(str(file), file.name) for text in (error.what, error.why, error.fix)]
    return NovaopsError(said[0], why=said[1], fix=said[2])
