"""The routes of the page, as an ASGI application. Files are served from a table: no path of a request reaches the file system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from novaops.errors import NovaopsError, UsageError
from novaops.features.api.app import answering
from novaops.features.api.app.backend import Backend, Choice, Question
from novaops.features.api.app.security import OnlyTheUser, SecurityHeaders
from novaops.features.api.app.sentences import document, refusal
from novaops.features.api.app.session import Session
from novaops.features.api.app.uploads import Upload, Uploads

FILES = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/app.css": ("app.css", "text/css"),
    "/texts.json": ("texts.json", "application/json"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
LARGEST_BODY = 4 << 20
"""Bytes of a request that is no file: a long conversation."""

Short = Annotated[str, Field(max_length=200)]
Body = TypeVar("Body", bound="StrictBody")


class StrictBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ChoiceBody(StrictBody):
    provider: Short
    via: Short

    def choice(self) -> Choice:
        return Choice(self.provider, self.via)


class ProviderBaseBody(ChoiceBody):
    base: Short


class MessageBody(StrictBody):
    role: Literal["system", "user", "assistant"]
    text: str


class QuestionBody(ChoiceBody):
    model: Short = ""
    messages: list[MessageBody] = Field(min_length=1)
    parameters: dict[Short, float | int] = {}
    base: Short = ""
    context: str = ""
    web_search: bool = False

    def question(self) -> Question:
        messages = [(each.role, each.text) for each in self.messages]
        return Question(self.choice(), self.model, messages, self.parameters, self.base, self.context, self.web_search)


class BaseBody(StrictBody):
    name: Annotated[str, Field(min_length=1, max_length=64)]


class Page:
    """One function for each route. What takes a while runs in a thread."""

    def __init__(self, backend: Backend, chosen: Choice) -> None:
        self.backend = backend
        self.chosen = chosen
        self.uploads = Uploads(backend)

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
        choice = (await _body(request, ChoiceBody)).choice()
        return self._json({"ms": round(await run_in_threadpool(self.backend.check, choice))})

    async def models(self, request: Request) -> Response:
        choice = (await _body(request, ChoiceBody)).choice()
        return self._json({"models": list(await run_in_threadpool(self.backend.models, choice))})

    async def answer(self, request: Request) -> Response:
        question = (await _body(request, QuestionBody)).question()

        async def stream() -> AsyncIterator[str]:
            async with aclosing(answering.lines(partial(self.backend.answer, question), self._shown)) as found:
                async for line in found:
                    yield line

        return StreamingResponse(stream(), media_type="application/x-ndjson")

    async def bases(self, request: Request) -> Response:
        del request
        return self._json({"bases": list(await run_in_threadpool(self.backend.bases))})

    async def provider_bases(self, request: Request) -> Response:
        choice = (await _body(request, ChoiceBody)).choice()
        return self._json({"bases": [asdict(each) for each in await run_in_threadpool(self.backend.provider_bases, choice)]})

    async def provider_files(self, request: Request) -> Response:
        asked = await _body(request, ProviderBaseBody)
        found = await run_in_threadpool(self.backend.provider_files, asked.choice(), asked.base)
        return self._json({"documents": [asdict(each) for each in found]})

    async def create(self, request: Request) -> Response:
        name = (await _body(request, BaseBody)).name.strip()
        await run_in_threadpool(self.backend.create, name)
        return self._json({"name": name}, HTTPStatus.CREATED)

    async def delete(self, request: Request) -> Response:
        base = request.path_params["base"]
        self.uploads.forget_base(base)
        await run_in_threadpool(self.backend.delete, base)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def documents(self, request: Request) -> Response:
        """Those of a base, and those on their way into it."""
        base = request.path_params["base"]
        waiting = [_upload(each) for each in self.uploads.of(base)]  # first: one that arrives in between is then shown twice, not never
        names = {each["name"] for each in waiting}
        ready = await run_in_threadpool(self.backend.documents, base)
        found = [{"name": each.name, "state": "ready", "passages": each.passages} for each in ready if each.name not in names]
        return self._json({"documents": found + waiting})

    async def add(self, request: Request) -> Response:
        base, name = request.path_params["base"], request.path_params["name"]
        if base not in await run_in_threadpool(self.backend.bases):
            raise UsageError(f"there is no knowledge base {base}", fix="make it first")
        await self.uploads.receive(base, name, request.stream())
        return self._json({"name": name}, HTTPStatus.ACCEPTED)

    async def remove(self, request: Request) -> Response:
        base, name = request.path_params["base"], request.path_params["name"]
        if not self.uploads.forget(base, name):
            await run_in_threadpool(self.backend.remove, base, name)
        return Response(status_code=HTTPStatus.NO_CONTENT)


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
        ("POST", "/api/provider-bases", page.provider_bases),
        ("POST", "/api/provider-files", page.provider_files),
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


async def _body(request: Request, form: type[Body]) -> Body:
    """The JSON of a request. Raises UsageError for what is none, or not of that form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UsageError("the request is not JSON")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise UsageError("the conversation is too long", fix="begin a new one")
    try:
        return form.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UsageError(f"the request is wrong: {'/'.join(map(str, first['loc']))}: {first['msg']}") from None


def _upload(upload: Upload) -> dict[str, Any]:
    return {"name": upload.name, "state": upload.state, "passages": 0, "error": upload.error and document(upload.error)}


async def _no_such_thing(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return refusal(UsageError(str(error.detail)), error.status_code)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody is there to read it."""
    del request, error
    return Response(status_code=HTTPStatus.BAD_REQUEST)
