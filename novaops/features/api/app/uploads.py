"""Files on their way into a knowledge base: received into a folder that goes away with the app, then read one after the other."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app.backend import Backend
from novaops.features.api.app.sentences import bug
from novaops.formats.size import human

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""


@dataclass
class Upload:
    base: str
    name: str
    state: Literal["receiving", "reading", "failed"] = "receiving"
    error: NovaopsError | None = None


class Uploads:
    """What is not in a base yet, and what could not be read. A file that was read is in its base, and no longer here."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._uploads: dict[tuple[str, str], Upload] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="novaops-app-")
        self._waiting: queue.Queue[tuple[Upload, Path] | None] = queue.Queue()
        threading.Thread(target=self._read_all, name="documents", daemon=True).start()

    def of(self, base: str) -> list[Upload]:
        return [each for each in self._uploads.values() if each.base == base]

    async def receive(self, base: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Returns when all of it is here; it is read after that. Raises UsageError."""
        _check_name(name)
        before = self._uploads.get((base, name))
        if before and before.state != "failed":
            raise UsageError(f"{name} is being read already", fix="wait until it is ready")
        upload = self._uploads[base, name] = Upload(base, name)
        file = Path(tempfile.mkdtemp(dir=self._folder.name)) / name
        try:
            await _store(file, chunks, self._backend.largest())
        except BaseException:
            self._uploads.pop((base, name), None)
            _drop(file)
            raise
        upload.state = "reading"
        self._waiting.put((upload, file))

    def forget(self, base: str, name: str) -> bool:
        """Whether there was a failed one, which is no longer listed."""
        found = self._uploads.get((base, name))
        if found is None:
            return False
        if found.state != "failed":
            raise UsageError(f"{name} is being read", fix="wait until it is ready")
        del self._uploads[base, name]
        return True

    def forget_base(self, base: str) -> None:
        """Raises UsageError while a file of it is being read."""
        for each in self.of(base):
            self.forget(base, each.name)

    def close(self) -> None:
        self._waiting.put(None)
        self._folder.cleanup()

    def _read_all(self) -> None:
        while (found := self._waiting.get()) is not None:
            upload, file = found
            try:
                self._backend.add(upload.base, file)
                del self._uploads[upload.base, upload.name]
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
