"""A stand-in for the files and knowledge bases of SenseNova and OpenAI: slow, strict, and wrong on demand.

Paths, fields and answers are those that the providers' own clients send and read: tests run these clients against it unchanged.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.responses_api import responded

KEY = "sk-right"
PAIR = ("AK", "SK")
FEW = 2
"""Entries of a page of a list."""


@dataclass
class Kept:
    """A file, or a knowledge base."""

    id: str
    name: str
    purpose: str = ""
    content: bytes = b""
    type: str = ""
    looks: int = 0
    """How often somebody asked for it."""
    files: dict[str, int] = field(default_factory=dict)
    """Of a knowledge base: its files, and how often somebody asked for each."""


@dataclass
class Stand:
    """What a test sets, and what it can look at."""

    url: str = ""
    slow: int = 1
    """How often a file is asked for before it is ready."""
    rejects: str = ""
    """Why files are refused after they were looked at."""
    unreadable: str = ""
    """Why a knowledge base refuses files."""
    ahead: float = 0
    """Seconds by which the server's clock is ahead of ours."""
    missing: bool = False
    """Whether it has none of all this, as a plain server in OpenAI's language."""
    files: dict[str, Kept] = field(default_factory=dict)
    bases: dict[str, Kept] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    """Of requests with JSON."""

    def count(self, method: str, path: str) -> int:
        return self.requests.count((method, path))


@contextmanager
def stand() -> Iterator[Stand]:
    made = Stand()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand": made}))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refuse(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    stand: Stand
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise AssertionError("a provider has to know the length of a file")
        parts = urlsplit(self.path)
        self.stand.requests.append((method, parts.path))
        try:
            self._admit()
            answer = self._answer(method, [part for part in parts.path.split("/") if part], parse_qs(parts.query), body)
            self._send(200, answer)
        except _Refuse as error:
            self._send(error.status, {"error": {"code": error.status, "message": str(error)}})
        except KeyError as error:
            self._send(404, {"error": {"code": 5, "message": f"no such object: {error}"}})

    def _send(self, status: int, answer: Any) -> None:
        stream = isinstance(answer, str)
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.stand.ahead if timestamp is None else timestamp)

    def _admit(self) -> None:
        if self.stand.missing:
            raise _Refuse(404, "File Not Found")
        shown = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if shown == KEY:
            return
        if shown.count(".") != 2:
            raise _Refuse(401, "Incorrect API key provided")
        head, claims, signature = shown.split(".")
        wanted = hmac.digest(PAIR[1].encode(), f"{head}.{claims}".encode(), "sha256")
        if not hmac.compare_digest(wanted, _decoded(signature)):
            raise _Refuse(401, "invalid signature")
        said, now = json.loads(_decoded(claims)), time.time() + self.stand.ahead
        if said["iss"] != PAIR[0] or said["nbf"] > now:
            raise _Refuse(401, "token is not valid yet")
        if said["exp"] < now:
            raise _Refuse(401, "token is expired")

    def _answer(self, method: str, path: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        match (method, path):
            case ("POST", ["v1", "embeddings"]):
                texts = json.loads(body)["input"]
                return {"data": [{"index": number, "embedding": _letters(text)} for number, text in reversed([*enumerate(texts)])]}
            case ("POST", ["v1", "chat", "completions"]):
                return self._chat(json.loads(body))
            case ("POST", ["v1", "responses"]):
                return self._respond(json.loads(body))
            case ("POST", ["v1", "llm", "chat-completions"]):
                return self._native_chat(json.loads(body))
            case (_, ["v1", "files", *rest]):
                return self._openai_file(method, rest, query, body)
            case (_, ["v1", "vector_stores", *rest]):
                return self._vector_store(method, rest, query, body)
            case (_, ["files", "v1", "files", *rest]):
                return self._native_file(method, rest, body)
            case (_, ["v1", "llm", "knowledge-bases", *rest]):
                return self._native_base(method, rest, body)
        raise _Refuse(404, f"nothing at {self.path}")

    # -- OpenAI

    def _openai_file(self, method: str, rest: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        files = self.stand.files
        if not rest and method == "POST":
            return self._openai_shown(self._keep(body, "purpose", "file-"))
        if not rest:
            return self._page([self._openai_shown(each) for each in files.values()], query)
        if method == "DELETE":
            del files[rest[0]]
            return {"id": rest[0], "object": "file", "deleted": True}
        files[rest[0]].looks += 1
        return self._openai_shown(files[rest[0]])

    def _openai_shown(self, kept: Kept) -> dict[str, Any]:
        word, why = self._state(kept.looks, ("uploaded", "processed", "error"), self.stand.rejects)
        shown = {"id": kept.id, "object": "file", "bytes": len(kept.content), "created_at": 1, "filename": kept.name}
        return {**shown, "purpose": kept.purpose, "status": word, "status_details": why or None}

    def _vector_store(self, method: str, rest: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        if self.headers.get("OpenAI-Beta") != "assistants=v2":
            raise _Refuse(400, "You must provide the 'OpenAI-Beta' header")
        bases = self.stand.bases
        match (method, rest):
            case ("GET", []):
                return self._page([_store_shown(each) for each in bases.values()], query)
            case ("POST", []):
                made = Kept(f"vs_{len(bases) + 1}", json.loads(body).get("name") or "")
                bases[made.id] = made
                return _store_shown(made)
            case ("GET", [base]):
                return _store_shown(bases[base])
            case ("DELETE", [base]):
                del bases[base]
                return {"id": base, "object": "vector_store.deleted", "deleted": True}
            case ("POST", [base, "search"]):
                self.stand.bodies.append(json.loads(body))
                return {"object": "vector_store.search_results.page", "data": [self._found(each) for each in bases[base].files]}
            case ("GET", [base, "files"]):
                for file in bases[base].files:
                    bases[base].files[file] += 1
                return self._page([self._in_store(bases[base], file) for file in bases[base].files], query)
            case ("GET", [base, "files", file]):
                bases[base].files[file] += 1
                return self._in_store(bases[base], file)
            case ("POST", [base, "files"]):
                file = self.stand.files[json.loads(body)["file_id"]].id
                bases[base].files[file] = 0
                return self._in_store(bases[base], file)
            case ("DELETE", [base, "files", file]):
                del bases[base].files[file]
                return {"id": file, "deleted": True}
        raise _Refuse(405, "Not allowed method")

    def _in_store(self, base: Kept, file: str) -> dict[str, Any]:
        word, why = self._state(base.files[file], ("in_progress", "completed", "failed"), self.stand.unreadable)
        error = {"code": "invalid_file", "message": why} if why else None
        shown = {"id": file, "object": "vector_store.file", "created_at": 1, "vector_store_id": base.id, "usage_bytes": 1}
        return {**shown, "status": word, "last_error": error}

    def _found(self, file: str) -> dict[str, Any]:
        kept = self.stand.files[file]
        content = [{"type": "text", "text": kept.content.decode("utf-8", "replace")}]
        return {"file_id": file, "filename": kept.name, "score": 0.9, "content": content}

    def _page(self, entries: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        after = query.get("after", [""])[0]
        numbers = [entry["id"] for entry in entries]
        rest = entries[numbers.index(after) + 1 :] if after else entries
        return {"object": "list", "data": rest[:FEW], "has_more": len(rest) > FEW}

    def _chat(self, body: dict[str, Any]) -> str:
        """A model that repeats the line of the first passage with “class” in it: as wrong or as right as what it is given."""
        self.stand.bodies.append(body)
        given = "\n".join(message["content"] for message in body["messages"])
        said = next((line for line in given.split("\n") if "class" in line), "I do not know.")
        chunk = {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": "stop"}]}
        return f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"

    def _respond(self, body: dict[str, Any]) -> Any:
        """The responses API: the same model, which searches the vector stores that its tool names."""
        self.stand.bodies.append(body)
        stores = [self.stand.bases[base] for tool in body["tools"] for base in tool["vector_store_ids"]]
        found = [self._found(file) for store in stores for file in store.files]
        lines = [line for each in found for part in each["content"] for line in part["text"].split("\n")]
        said = next((line for line in lines if "class" in line), "I do not know.")
        wanted = "file_search_call.results" in body.get("include", ())
        results = [{**each, "text": "\n".join(part["text"] for part in each["content"])} for each in found]
        search: dict[str, Any] = {
            "id": "fs_1",
            "type": "file_search_call",
            "status": "completed",
            "queries": ["q"],
            "results": results if wanted else None,
        }
        return responded(body, search, said, failing=self.stand.rejects)

    # -- SenseNova

    def _native_file(self, method: str, rest: list[str], body: bytes) -> Any:
        files = self.stand.files
        if not rest and method == "POST":
            kept = self._keep(body, "scheme", "f")
            return {"id": kept.id}
        if not rest:
            return {"files": [self._native_shown(each) for each in files.values()]}
        if method == "DELETE":
            del files[rest[0]]
            return {}
        files[rest[0]].looks += 1
        return {"file": self._native_shown(files[rest[0]])}

    def _native_shown(self, kept: Kept) -> dict[str, Any]:
        understood = kept.purpose != "KNOWLEDGE_BASE_2" or kept.name.endswith((".pdf", ".docx", ".txt", ".md"))
        words = ("UPLOADED", "VALID" if understood else "INVALID", "INVALID")
        word, why = self._state(kept.looks, words, self.stand.rejects)
        shown = {"id": kept.id, "scheme": kept.purpose, "description": "", "size": len(kept.content), "status": word}
        return {**shown, "user_provided_filename": kept.name, "message": why or ("" if understood else f"unknown file type of {kept.name}")}

    def _native_base(self, method: str, rest: list[str], body: bytes) -> Any:
        bases = self.stand.bases
        match (method, rest):
            case ("GET", []):
                return {"knowledge_bases": [self._base_shown(each) for each in bases.values()]}
            case ("POST", []):
                asked = json.loads(body)
                made = Kept(f"s{len(bases) + 1}", asked.get("description", ""), files=dict.fromkeys(asked.get("files", ()), 0))
                bases[made.id] = made
                return {"knowledge_base": self._base_shown(made)}
            case ("GET", [base]):
                bases[base].looks += 1
                return {"knowledge_base": self._base_shown(bases[base])}
            case ("PUT", [base]):
                bases[base].files = {self.stand.files[file].id: 0 for file in json.loads(body)["files"]}
                bases[base].looks = 0
                return {"knowledge_base": self._base_shown(bases[base])}
            case ("DELETE", [base]):
                del bases[base]
                return {}
        raise _Refuse(405, "method not allowed")

    def _base_shown(self, base: Kept) -> dict[str, Any]:
        word, _ = self._state(base.looks, ("LOADING", "AVAILABLE", "UNAVAILABLE"), self.stand.unreadable)
        return {"id": base.id, "description": base.name, "status": word if base.files else "UNAVAILABLE", "files": [*base.files]}

    def _native_chat(self, body: dict[str, Any]) -> str:
        self.stand.bodies.append(body)
        texts = [self.stand.files[file].content.decode() for base in body.get("know_ids", ()) for file in self.stand.bases[base].files]
        result = [{"know_id": base, "answer": text} for base in body.get("know_ids", ()) for text in texts]
        found = [{"know_id": each["know_id"], "knowledge_base_result": [each]} for each in result]
        choice = {"index": 0, "delta": "from the base", "finish_reason": "stop", "knowledge_base_results": found}
        return f"data:{json.dumps({'data': {'choices': [choice]}})}\n\ndata:[DONE]\n\n"

    # -- both

    def _state(self, looks: int, words: tuple[str, str, str], refused: str) -> tuple[str, str]:
        if looks <= self.stand.slow:
            return words[0], ""
        return (words[2], refused) if refused else (words[1], "")

    def _keep(self, body: bytes, field_name: str, prefix: str) -> Kept:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head + body)
        fields: dict[str, Any] = {}
        kept = Kept(f"{prefix}{len(self.stand.files) + 1}", "")
        for part in message.get_payload():
            name = part.get_param("name", header="Content-Disposition")  # type: ignore[union-attr] # a multipart has parts
            content = part.get_payload(decode=True)  # type: ignore[union-attr] # see above
            if name == "file":
                kept.name, kept.type, kept.content = part.get_filename() or "", part.get_content_type(), content  # type: ignore[union-attr, assignment]
            else:
                fields[str(name)] = content.decode()  # type: ignore[union-attr] # see above
        kept.purpose = fields[field_name]
        self.stand.files[kept.id] = kept
        return kept


def _store_shown(base: Kept) -> dict[str, Any]:
    counts = {"in_progress": 0, "completed": len(base.files), "failed": 0, "cancelled": 0, "total": len(base.files)}
    shown = {"id": base.id, "object": "vector_store", "created_at": 1, "name": base.name, "usage_bytes": 0}
    return {**shown, "status": "completed", "file_counts": counts}


def _letters(text: str) -> list[float]:
    return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
