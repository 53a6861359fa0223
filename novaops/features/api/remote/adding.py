"""Files put where they are wanted: at the provider, and from there into one of its knowledge bases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from novaops.features.api.knowledge.documents import check_name, size_of
from novaops.features.api.llm.http import Http
from novaops.features.api.remote import formats, stores, uploads
from novaops.features.api.remote.protocol import RemoteFile
from novaops.features.api.remote.uploads import Sending, Sent

KNOWLEDGE = "knowledge"
_CHECKING = threading.Lock()
"""One file at a time: a JSON document is in memory as a whole while it is checked."""


@dataclass(frozen=True)
class AddedFile:
    file: RemoteFile
    status: str
    """"changed", or "unchanged" where it was there."""


def check_files(http: Http, paths: list[Path], purpose: str) -> None:
    """Raises UsageError where the provider would not take one of them. Nothing is sent."""
    _, form = stores.files(http)
    for path in paths:
        size_of(path, form.most)
        check_name(path)
        stores.scheme(form, http.name, purpose, path.suffix.lower())
        with _CHECKING:
            formats.check(form.form, purpose, path)


def add_file(http: Http, path: Path, purpose: str, *, tell: Callable[[str], None], sent: Sent, wait: bool = True) -> AddedFile:
    """Send a file, unless it is there, and wait until the provider is done with it.

    Raises UsageError, before anything is sent, for one that it would not take; ApiFailed; Unreachable.
    """
    check_files(http, [path], purpose)
    store, form = stores.files(http)
    word = stores.scheme(form, http.name, purpose, path.suffix.lower())
    sending = Sending(store, http.route.url("/files", form.endpoint), word, form.most)
    found, new = uploads.send(sending, path, sent)
    if wait and (new or found.state != "ready"):
        found = uploads.wait(lambda: store.get(found.id), tell)
    uploads.refuse_failed(found)
    return AddedFile(found, "changed" if new else "unchanged")


def add_to_base(http: Http, base: str, path: Path, *, tell: Callable[[str], None], sent: Sent) -> AddedFile:
    """The same, and then put it into the knowledge base and wait until it can be found there. What failed there is tried anew."""
    there = stores.bases(http)
    before = {file.id: file.state for file in there.files(base)}
    added = add_file(http, path, KNOWLEDGE, tell=tell, sent=sent)
    new = before.get(added.file.id, "failed") == "failed"
    if new and added.file.id in before:
        there.take_out(base, added.file.id)
    if new:
        there.add(base, added.file.id)

    def look() -> RemoteFile:
        return next((file for file in there.files(base) if file.id == added.file.id), RemoteFile(added.file.id, path.name, state="pending"))

    found = uploads.wait(look, tell)
    return AddedFile(
        RemoteFile(found.id, path.name, added.file.size, added.file.purpose, found.state, found.said), "changed" if new else "unchanged"
    )
