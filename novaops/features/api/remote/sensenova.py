"""Files and knowledge bases of SenseNova's native API. Files are on a host of their own, the third endpoint of its data file.

Its own library sends each file as `file` of type application/octet-stream, and then no PDF is understood. Here name and type are sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ApiFailed, Passage
from novaops.features.api.llm.reading import count, fields, text
from novaops.features.api.remote.lists import pages
from novaops.features.api.remote.protocol import RemoteBase, RemoteFile, Upload, segment, state

_BASES = "/llm/knowledge-bases"
_READY = frozenset({"valid", "available"})
_FAILED = frozenset({"invalid", "unvalid", "failed", "unavailable"})
_DESCRIPTION = 256
"""Characters."""
_changing: dict[str, threading.Lock] = {}
"""By the URL of a base."""


class SenseNovaFiles:
    def __init__(self, http: Http) -> None:
        self._http = http
        self._endpoint = http.provider.files.endpoint if http.provider.files else 0

    def list(self) -> list[RemoteFile]:
        return [_file(each) for each in pages(lambda after: self._ask("GET", "", params=after), self._http.name, "files", "files", "data")]

    def get(self, file: str) -> RemoteFile:
        return _file(self._ask("GET", f"/{segment(file)}"))

    def upload(self, upload: Upload) -> RemoteFile:
        fields = {"scheme": upload.purpose, "description": upload.name[:_DESCRIPTION], "user_provided_filename": upload.name}
        return _file(self._ask("POST", "", data=fields, files={"file": (upload.name, upload.content, upload.type)}))

    def remove(self, file: str) -> None:
        self._ask("DELETE", f"/{segment(file)}")

    def _ask(self, method: str, below: str, **content: Any) -> dict[str, Any]:
        return fields(self._http.document(method, f"/files{below}", endpoint=self._endpoint, **content))


class SenseNovaBases:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[RemoteBase]:
        asked = pages(lambda after: self._ask("GET", "", params=after), self._http.name, "knowledge bases", "knowledge_bases", "data")
        return [_base(each) for each in asked]

    def get(self, base: str) -> RemoteBase:
        return _base(self._ask("GET", f"/{segment(base)}"))

    def create(self, name: str) -> RemoteBase:
        return _base(self._ask("POST", "", json={"description": name[:_DESCRIPTION], "files": []}))

    def remove(self, base: str) -> None:
        self._ask("DELETE", f"/{segment(base)}")

    def files(self, base: str) -> Sequence[RemoteFile]:
        """The base as a whole has a state; while it takes in one file, all of it is at work."""
        document = self._ask("GET", f"/{segment(base)}")
        whole = _base(document)
        return [RemoteFile(each, state=whole.state, said=whole.said) for each in _files_of(document)]

    def add(self, base: str, file: str) -> None:
        self._put(base, lambda files: [*files, file] if file not in files else files)

    def take_out(self, base: str, file: str) -> None:
        self._put(base, lambda files: [each for each in files if each != file])

    def search(self, base: str, text: str, count: int) -> Sequence[Passage]:
        del base, text, count
        raise UsageError(f"{self._http.name} searches a knowledge base only to answer", fix="novaops api ask PROVIDER/ID TEXT")

    def _put(self, base: str, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Its files are given as a whole: of two changes at once, one would be lost."""
        with _changing.setdefault(self._http.route.url(f"{_BASES}/{segment(base)}"), threading.Lock()):
            document = self._ask("GET", f"/{segment(base)}")
            files = _files_of(document)
            wanted = change(files)
            if tuple(wanted) != tuple(files):
                self._ask("PUT", f"/{segment(base)}", json={"description": _base(document).name, "files": [*wanted]})

    def _ask(self, method: str, below: str, **content: Any) -> dict[str, Any]:
        return fields(self._http.document(method, f"{_BASES}{below}", **content))


def _inner(document: Any, key: str) -> dict[str, Any]:
    """What an answer is about: in a field of its own, or the answer itself."""
    found = document.get(key, document) if isinstance(document, dict) else None
    if not isinstance(found, dict) or not text(found.get("id")):
        raise ApiFailed(f"the API answers without the id of a {key.replace('_', ' ')}")
    return found


def _file(document: Any) -> RemoteFile:
    found = _inner(document, "file")
    word = text(found.get("status"))
    name = text(found.get("user_provided_filename") or found.get("description"))
    size = count(found.get("size") or found.get("bytes"))
    # An answer to an upload has the id only: the file is not looked at yet.
    now = state(word, _READY, _FAILED) if word else "pending"
    return RemoteFile(text(found["id"]), name, size, text(found.get("scheme")), now, _said(word, found))


def _base(document: Any) -> RemoteBase:
    found = _inner(document, "knowledge_base")
    word = text(found.get("status"))
    # A new base without files is UNAVAILABLE, and nothing is wrong with it.
    now = state(word, _READY, _FAILED) if _files_of(document) else "ready"
    return RemoteBase(text(found["id"]), text(found.get("description")), len(_files_of(document)), now, _said(word, found))


def _files_of(document: Any) -> Sequence[str]:
    files = _inner(document, "knowledge_base").get("files")
    listed = files if isinstance(files, list) else []
    ids = (text(each.get("id") or each.get("file_id")) if isinstance(each, dict) else text(each) for each in listed)
    return [number for number in ids if number]


def _said(word: str, found: dict[str, Any]) -> str:
    why = found.get("message") or found.get("reason") or found.get("error") or ""
    return ": ".join(filter(None, (word, text(why) or str(why))))
