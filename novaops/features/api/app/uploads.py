"""Files on their way into a knowledge base or to a provider: received into a folder that goes away with the app, then handed on.

What a base of this machine gets is read one after the other. A provider is waited for, and for several files at a time.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app.backend import Backend, Place
from novaops.features.api.app.sentences import bug
from novaops.features.api.remote.uploads import NotReady
from novaops.formats.size import human

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""

_SENDERS = 4
"""Files that are sent to providers at a time. As many as there are can be waited for."""


@dataclass(eq=False)
class Upload:
    place: Place
    name: str
    state: Literal["receiving", "queued", "sending", "reading", "failed"] = "receiving"
    error: NovaopsError | None = None
    part: float = 0
    """Of what is sent to a provider: how much is there."""

    @property
    def not_ready(self) -> bool:
        """Whether the provider was at work on it still when it was no longer waited for."""
        return isinstance(self.error, NotReady)


class Uploads:
    """What is not in a base yet, and what could not be read. A file that was read is in its base, and no longer here."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._uploads: list[Upload] = []
        self._closing: list[Place] = []
        """Bases that are being deleted."""
        self._lock = threading.Lock()
        """One that is called off is not begun."""
        self._folder = _folder()
        self._ended = threading.Event()
        self._here = threading.Semaphore(1)
        self._there = threading.Semaphore(_SENDERS)

    def of(self, place: Place) -> list[Upload]:
        return [each for each in list(self._uploads) if each.place.lists_with(place)]

    async def receive(self, place: Place, name: str, chunks: AsyncIterator[bytes], largest: int) -> None:
        """Returns when all of it is here; it is handed on after that. Raises UsageError."""
        _check_name(name)
        if any(each.lists_with(place) for each in self._closing):
            raise UsageError(f"{place.base} is being deleted")
        before = self._found(place, name)
        if before and before.state != "failed":
            raise UsageError(f"{name} is being read already", fix="wait until it is ready")
        if before:
            self._uploads.remove(before)
        upload = Upload(place, name)
        self._uploads.append(upload)
        file = None
        try:
            file = self._new_folder() / name
            await _store(file, chunks, largest)
        except BaseException as error:
            self._uploads.remove(upload)
            _drop(file)
            if isinstance(error, OSError):
                fix = f"make room in {tempfile.gettempdir()}, or start novaops api app with TMPDIR in another folder"
                raise UsageError(f"cannot keep {name} on its way", why=f"{error.strerror}.", fix=fix) from None
            raise
        upload.state = "queued"
        threading.Thread(target=self._hand_on, args=(upload, file), name="document", daemon=True).start()

    def forget(self, place: Place, name: str) -> bool:
        """Whether there was one that failed or is not begun: it is no longer listed."""
        with self._lock:
            found = self._found(place, name)
            if found is None:
                return False
            if found.state not in {"failed", "queued"}:
                raise UsageError(f"{name} is being read", fix="wait until it is ready")
            self._uploads.remove(found)
            return True

    @contextmanager
    def closing(self, place: Place) -> Iterator[None]:
        """While its base is deleted nothing gets in. When that is done its failed ones are forgotten.

        Raises UsageError while a file of it is on its way.
        """
        if busy := [each.name for each in self.of(place) if each.state != "failed"]:
            raise UsageError(f"{busy[0]} is being read", fix="wait until it is ready")
        self._closing.append(place)
        try:
            yield
            for each in self.of(place):
                self._uploads.remove(each)
        finally:
            self._closing.remove(place)

    def close(self) -> None:
        self._ended.set()
        self._folder.cleanup()

    def _found(self, place: Place, name: str) -> Upload | None:
        return next((each for each in self.of(place) if each.name == name), None)

    def _new_folder(self) -> Path:
        """For one file. Programs that tidy up the temporary directory may have taken all of it away."""
        if not Path(self._folder.name).is_dir():
            self._folder.cleanup()
            self._folder = _folder()
        return Path(tempfile.mkdtemp(dir=self._folder.name))

    def _begun(self, upload: Upload) -> bool:
        with self._lock:
            wanted = upload in self._uploads and not self._ended.is_set()
            upload.state = "reading" if wanted else upload.state
            return wanted

    def _hand_on(self, upload: Upload, file: Path) -> None:
        """In a thread of its own. A provider's turn ends when all is sent: what it does then is only waited for."""
        with ExitStack() as turn:
            turn.enter_context(self._there if upload.place.choice else self._here)

            def sent(count: int, total: int) -> None:
                upload.part = count / total if total else 1
                upload.state = "sending" if count < total else "reading"
                if count >= total:
                    turn.close()

            try:
                if self._begun(upload):
                    self._backend.add(upload.place, file, sent)
                    self._uploads.remove(upload)
            except NovaopsError as error:
                upload.error, upload.state = _for_the_page(error, file), "failed"
            except Exception as error:  # noqa: BLE001 - the next file is to be read all the same
                upload.error, upload.state = bug(error), "failed"
        _drop(file)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="novaops-app-", ignore_cleanup_errors=True)


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


def _drop(file: Path | None) -> None:
    if file is None:
        return
    file.unlink(missing_ok=True)
    if file.parent.is_dir():
        file.parent.rmdir()


def _for_the_page(error: NovaopsError, file: Path) -> NovaopsError:
    """The error, with the file's name in the place of a path that the user has never seen, and without the terminal's next step."""
    what, why, fix = [text.replace(str(file), file.name) for text in (error.what, error.why, error.fix)]
    if isinstance(error, NotReady):
        return NotReady(what, why=why, fix="add it again: it is waited for, and not sent a second time")
    return NovaopsError(what, why=why, fix=fix)
