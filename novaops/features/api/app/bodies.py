"""What requests of the page have in them: JSON of a known form, or where a file is to go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from novaops.errors import UsageError
from novaops.features.api.app.backend import Choice, Place, Question

LARGEST_BODY = 4 << 20
"""Bytes of a request that is no file: a long conversation."""

Short = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Body = TypeVar("Body", bound="StrictBody")


class StrictBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ChoiceBody(StrictBody):
    provider: Short
    via: Short

    def choice(self) -> Choice:
        return Choice(self.provider, self.via)


class ProviderBaseBody(ChoiceBody):
    """A base at the provider; empty for all files there."""

    base: Short

    def place(self) -> Place:
        return Place(self.base, self.choice())


class PlaceBody(ProviderBaseBody):
    """Where a file is to go. It stands in the query, as the body is the file."""

    purpose: Short = ""

    def place(self) -> Place:
        return Place(self.base, self.choice(), self.purpose)

    @classmethod
    def of(cls, request: Request) -> PlaceBody:
        """Raises UsageError."""
        return checked(cls.model_validate, dict(request.query_params))


class RemovalBody(ProviderBaseBody):
    """A file there by its id, or without one an upload by its name."""

    id: Short = ""
    name: str = ""


class NewBaseBody(ChoiceBody):
    name: Name


class MessageBody(StrictBody):
    role: Literal["system", "user", "assistant"]
    text: str


class QuestionBody(ChoiceBody):
    model: Short = ""
    messages: list[MessageBody] = Field(min_length=1)
    parameters: dict[Short, float | int | str] = {}
    base: Short = ""
    context: str = ""
    web_search: bool = False

    def question(self) -> Question:
        messages = [(each.role, each.text) for each in self.messages]
        return Question(self.choice(), self.model, messages, self.parameters, self.base, self.context, self.web_search)


class SearchBody(ChoiceBody):
    base: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1)]


class BaseBody(StrictBody):
    name: Name
    embeddings: Short = ""


async def body(request: Request, form: type[Body]) -> Body:
    """The JSON of a request. Raises UsageError for what is none, or not of that form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UsageError("the request is not JSON")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise UsageError("the conversation is too long", fix="begin a new one")
    return checked(form.model_validate_json, data)


def checked(read: Callable[[Any], Body], given: Any) -> Body:
    try:
        return read(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UsageError(f"the request is wrong: {'/'.join(map(str, first['loc']))}: {first['msg']}") from None
