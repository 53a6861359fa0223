"""Files and vector stores as OpenAI has them, and servers that speak its language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ApiFailed, Passage
from novaops.features.api.llm.reading import count, fields, objects, text
from novaops.features.api.remote.lists import listed, pages
from novaops.features.api.remote.protocol import RemoteBase, RemoteFile, Upload, segment, state

_READY = frozenset({"processed", "completed"})
_FAILED = frozenset({"error", "failed", "cancelled", "deleted", "expired"})
_BETA = {"OpenAI-Beta": "assistants=v2"}
_PAGE = 100
_NOT_THERE = frozenset({404, 405, 501})


class OpenAiFiles:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[RemoteFile]:
        with _offered(self._http, "keeps no files"):
            return [_file(each) for each in _all(self._http, "/files", "files")]

    def get(self, file: str) -> RemoteFile:
        return _file(self._http.document("GET", f"/files/{segment(file)}"))

    def upload(self, upload: Upload) -> RemoteFile:
        content = {"data": {"purpose": upload.purpose}, "files": {"file": (upload.name, upload.content, upload.type)}}
        with _offered(self._http, "keeps no files"):
            return _file(self._http.document("POST", "/files", **content))

    def remove(self, file: str) -> None:
        _deleted(self._http.document("DELETE", f"/files/{segment(file)}"), file)


class VectorStores:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[RemoteBase]:
        with _offered(self._http, "has no knowledge bases"):
            return [_base(each) for each in _all(self._http, "/vector_stores", "knowledge bases")]

    def get(self, base: str) -> RemoteBase:
        return _base(self._ask("GET", f"/{segment(base)}"))

    def create(self, name: str) -> RemoteBase:
        with _offered(self._http, "has no knowledge bases"):
            return _base(self._ask("POST", "", json={"name": name}))

    def remove(self, base: str) -> None:
        _deleted(self._ask("DELETE", f"/{segment(base)}"), base)

    def files(self, base: str) -> Sequence[RemoteFile]:
        return [_file(each) for each in _all(self._http, f"/vector_stores/{segment(base)}/files", "files")]

    def add(self, base: str, file: str) -> None:
        self._ask("POST", f"/{segment(base)}/files", json={"file_id": file})

    def take_out(self, base: str, file: str) -> None:
        _deleted(self._ask("DELETE", f"/{segment(base)}/files/{segment(file)}"), file)

    def search(self, base: str, text: str, count: int) -> Sequence[Passage]:
        document = self._ask("POST", f"/{segment(base)}/search", json={"query": text, "max_num_results": count})
        return [_passage(each) for each in listed(document, self._http.name, "passages", "data")]

    def _ask(self, method: str, below: str, **content: Any) -> Any:
        return self._http.document(method, f"/vector_stores{below}", headers=_BETA, **content)


@contextmanager
def _offered(http: Http, lacks: str) -> Iterator[None]:
    """Say it in a sentence where the server has no such thing at all."""
    try:
        yield
    except ApiFailed as error:
        if error.status not in _NOT_THERE:
            raise
        why = f"It answers with {error.status} where OpenAI has them."
        raise UsageError(f"{http.name} {lacks}", why=why, fix="one of your own needs none: novaops api knowledge create NAME") from None


def _all(http: Http, below: str, what: str) -> Iterator[dict[str, Any]]:
    def ask(after: Mapping[str, str]) -> Any:
        return http.document("GET", below, params={"limit": str(_PAGE), **after}, headers=_BETA)

    return pages(ask, http.name, what, "data")


def _deleted(document: Any, what: str) -> None:
    """Raises ApiFailed where the answer to a deletion does not say that it was one. An empty answer with success does."""
    deleted = fields(document).get("deleted")
    if document is not None and deleted is not True:
        says = "says that {} is not deleted" if deleted is False else "does not say that {} is deleted"
        raise ApiFailed(f"the API {says.format(what)}", fix="novaops api files ls, or knowledge ls, shows what is there")


def _file(document: Any) -> RemoteFile:
    found = fields(document)
    word = text(found.get("status"))
    why = text(found.get("status_details") or fields(found.get("last_error")).get("message"))
    return RemoteFile(
        _id(found, "file"),
        text(found.get("filename")),
        count(found.get("bytes") or found.get("usage_bytes")),
        text(found.get("purpose")),
        state(word, _READY, _FAILED),
        ": ".join(filter(None, (word, why))),
    )


def _base(document: Any) -> RemoteBase:
    found = fields(document)
    word = text(found.get("status"))
    files = count(fields(found.get("file_counts")).get("total"))
    return RemoteBase(_id(found, "knowledge base"), text(found.get("name")), files, state(word, _READY, _FAILED), word)


def _id(found: dict[str, Any], kind: str) -> str:
    """Raises ApiFailed where there is none: nothing can be done with what has no id."""
    number = text(found.get("id"))
    if not number:
        raise ApiFailed(f"the API answers without the id of a {kind}")
    return number


def _passage(document: dict[str, Any]) -> Passage:
    texts = (text(each.get("text")) for each in objects(document.get("content")))
    return Passage("\n".join(texts), text(document.get("filename") or document.get("file_id")))
