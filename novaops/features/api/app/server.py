"""The routes of the page, as an ASGI application. Files are served from a table: no path of a request reaches the file system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from importlib import resources
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app import answering
from novaops.features.api.app.backend import Backend, Choice, Place
from novaops.features.api.app.bodies import (
    BaseBody,
    ChoiceBody,
    NewBaseBody,
    PlaceBody,
    ProviderBaseBody,
    QuestionBody,
    RemovalBody,
    SearchBody,
    body,
)
from novaops.features.api.app.security import OnlyTheUser, SecurityHeaders
from novaops.features.api.app.sentences import document, refusal
from novaops.features.api.app.session import Session
from novaops.features.api.app.uploads import Upload, Uploads

SCRIPTS = ("app", "connection", "conversation", "files", "knowledge", "markdown", "server", "uploads", "words")
_ASKED_AT_A_TIME = 20
"""Requests to providers that are no chat."""
T = TypeVar("T")
FILES = {
    "/": ("index.html", "text/html"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in SCRIPTS},
    "/app.css": ("app.css", "text/css"),
    "/texts.json": ("texts.json", "application/json"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """One function for each route. What takes a while runs in a thread."""

    def __init__(self, backend: Backend, chosen: Choice) -> None:
        self.backend = backend
        self.chosen = chosen
        self.uploads = Uploads(backend)
        self._threads = CapacityLimiter(_ASKED_AT_A_TIME)

    def _json(self, value: Any, status: int = HTTPStatus.OK) -> JSONResponse:
        return JSONResponse(self._shown(value), status)

    def _shown(self, value: Any) -> Any:
        """Whatever goes to the page has no key in it, wherever it comes from."""
        return self.backend.redactor().document(value)

    async def sentence(self, request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, NovaopsError)
        return self._json({"error": document(error)}, HTTPStatus.BAD_REQUEST if isinstance(error, UsageError) else HTTPStatus.BAD_GATEWAY)

    async def state(self, request: Request) -> Response:
        """All that the page shows at its beginning."""
        del request

        def collect() -> dict[str, Any]:
            known = self.backend
            return {
                "providers": [asdict(each) for each in known.providers()],
                "chosen": asdict(self.chosen),
                "bases": list(known.bases()),
                "kinds": list(known.kinds()),
                "largest": known.largest(),
            }

        return self._json(await run_in_threadpool(collect))

    async def check(self, request: Request) -> Response:
        choice = (await body(request, ChoiceBody)).choice()
        return self._json({"ms": round(await self._there(self.backend.check, choice))})

    async def models(self, request: Request) -> Response:
        choice = (await body(request, ChoiceBody)).choice()
        return self._json({"models": list(await self._there(self.backend.models, choice))})

    async def answer(self, request: Request) -> Response:
        question = (await body(request, QuestionBody)).question()

        async def stream() -> AsyncIterator[str]:
            async with aclosing(answering.lines(partial(self.backend.answer, question), self._shown)) as found:
                async for line in found:
                    yield line

        return StreamingResponse(stream(), media_type="application/x-ndjson")

    async def search(self, request: Request) -> Response:
        asked = await body(request, SearchBody)
        found = await self._there(self.backend.search, asked.choice(), asked.base, asked.text)
        return self._json({"passages": [asdict(each) for each in found]})

    # -- bases of this machine

    async def bases(self, request: Request) -> Response:
        del request
        return self._json({"bases": list(await run_in_threadpool(self.backend.bases))})

    async def create(self, request: Request) -> Response:
        asked = await body(request, BaseBody)
        name = asked.name.strip()
        await run_in_threadpool(self.backend.create, name, asked.embeddings.strip())
        return self._json({"name": name}, HTTPStatus.CREATED)

    async def delete(self, request: Request) -> Response:
        base = request.path_params["base"]
        with self.uploads.closing(Place(base)):
            await run_in_threadpool(self.backend.delete, base)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def documents(self, request: Request) -> Response:
        """Those of a base, and those on their way into it."""
        base = request.path_params["base"]
        waiting = self._waiting(Place(base))  # first: one that arrives in between is then shown twice, not never
        ready = await run_in_threadpool(self.backend.documents, base)
        names = {each["name"] for each in waiting}
        found = [{"name": each.name, "state": "ready", "passages": each.passages} for each in ready if each.name not in names]
        return self._json({"documents": found + waiting})

    async def add(self, request: Request) -> Response:
        return await self._receive(Place(request.path_params["base"]), request)

    async def remove(self, request: Request) -> Response:
        base, name = request.path_params["base"], request.path_params["name"]
        if not self.uploads.forget(Place(base), name):
            await run_in_threadpool(self.backend.remove, base, name)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # -- bases and files at a provider

    async def provider_bases(self, request: Request) -> Response:
        choice = (await body(request, ChoiceBody)).choice()
        return self._json({"bases": [asdict(each) for each in await self._there(self.backend.provider_bases, choice)]})

    async def create_there(self, request: Request) -> Response:
        asked = await body(request, NewBaseBody)
        made = await self._there(self.backend.create_there, asked.choice(), asked.name.strip())
        return self._json(asdict(made), HTTPStatus.CREATED)

    async def delete_there(self, request: Request) -> Response:
        asked = await body(request, ProviderBaseBody)
        with self.uploads.closing(asked.place()):
            await self._there(self.backend.delete_there, asked.choice(), asked.base)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def provider_files(self, request: Request) -> Response:
        """Those of a base there, or all that it keeps; and those on their way."""
        asked = await body(request, ProviderBaseBody)
        uploads = self.uploads.of(asked.place())
        try:
            found = list(await self._there(self.backend.provider_files, asked.choice(), asked.base))
        except NovaopsError as error:
            return self._json({"documents": list(map(_upload, uploads)), "error": document(error)})
        under_way = {each.name for each in uploads if each.state != "failed"}
        shown = [asdict(each) for each in found if each.state == "ready" or each.name not in under_way]
        there = {each.name for each in found}
        waiting = [_upload(each) for each in uploads if not (each.not_ready and each.name in there)]
        return self._json({"documents": shown + waiting})

    async def add_there(self, request: Request) -> Response:
        return await self._receive(PlaceBody.of(request).place(), request)

    async def remove_there(self, request: Request) -> Response:
        asked = await body(request, RemovalBody)
        if asked.id:
            await self._there(self.backend.remove_there, asked.choice(), asked.base, asked.id)
        else:
            self.uploads.forget(asked.place(), asked.name)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # -- both

    def _waiting(self, place: Place) -> list[dict[str, Any]]:
        return [_upload(each) for each in self.uploads.of(place)]

    async def _there(self, ask: Callable[..., T], *given: Any) -> T:
        """What asks a provider has threads of its own: one that is slow must not keep all else waiting."""
        return await to_thread.run_sync(partial(ask, *given), limiter=self._threads)

    async def _receive(self, place: Place, request: Request) -> Response:
        name = request.path_params["name"]
        largest = await run_in_threadpool(self.backend.admit, place, name)
        await self.uploads.receive(place, name, request.stream(), largest)
        return self._json({"name": name}, HTTPStatus.ACCEPTED)


def application(backend: Backend, session: Session, chosen: Choice, tell: Callable[[Exception], None] = lambda _: None) -> Starlette:
    """`tell` is called with each exception that no code expected."""
    page = Page(backend, chosen)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        page.uploads.close()

    one = "/api/bases/{base}/documents/{name}"
    table: tuple[tuple[str, str, Callable[[Request], Any]], ...] = (
        ("GET", "/api/state", page.state),
        ("POST", "/api/check", page.check),
        ("POST", "/api/models", page.models),
        ("POST", "/api/answer", page.answer),
        ("POST", "/api/search", page.search),
        ("POST", "/api/provider-bases", page.provider_bases),
        ("POST", "/api/provider-bases/new", page.create_there),
        ("POST", "/api/provider-bases/delete", page.delete_there),
        ("POST", "/api/provider-files", page.provider_files),
        ("POST", "/api/provider-files/remove", page.remove_there),
        ("PUT", "/api/provider-files/{name}", page.add_there),
        ("GET", "/api/bases", page.bases),
        ("POST", "/api/bases", page.create),
        ("DELETE", "/api/bases/{base}", page.delete),
        ("GET", "/api/bases/{base}/documents", page.documents),
        ("PUT", one, page.add),
        ("DELETE", one, page.remove),
    )
    files = [Route(path, partial(_file, *found)) for path, found in FILES.items()]
    return Starlette(
        routes=[*files, *(Route(path, endpoint, methods=[method]) for method, path, endpoint in table)],
        middleware=[Middleware(SecurityHeaders, tell=tell), Middleware(OnlyTheUser, session=session)],
        exception_handlers={NovaopsError: page.sentence, HTTPException: _no_such_thing, ClientDisconnect: _gone},
        lifespan=lifespan,
    )


async def _file(name: str, kind: str, request: Request) -> Response:
    del request
    return Response((resources.files(__package__) / "page" / name).read_bytes(), media_type=kind)


def _upload(upload: Upload) -> dict[str, Any]:
    error = upload.error and document(upload.error)
    return {"id": "", "name": upload.name, "state": upload.state, "passages": 0, "part": upload.part, "error": error}


async def _no_such_thing(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return refusal(UsageError(str(error.detail)), error.status_code)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody is there to read it."""
    del request, error
    return Response(status_code=HTTPStatus.BAD_REQUEST)
