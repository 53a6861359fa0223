"""Parameters of a request by the names that a provider has for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from novaops.errors import UsageError
from novaops.features.api.llm.protocol import ChatRequest
from novaops.providers.loader import Chat


def parameters(request: ChatRequest, chat: Chat, name: str) -> dict[str, Any]:
    """The fields of the body by the API's own names. Raises UsageError for one that its file does not name."""
    fields: dict[str, Any] = {}
    known = {str(name): field for name, field in chat.parameters.items()}
    for ours, value in asdict(request.parameters).items():
        if value is None:
            continue
        theirs = known.get(ours)
        if theirs is None:
            raise _no_parameter(ours, name, list(known))
        fields = merged(fields, _nested(theirs, value))
    if request.web_search:
        if chat.web_search is None:
            raise UsageError(f"novaops knows no way to let {name} search the web", fix="leave --web-search out, or take another --provider")
        fields = merged(fields, chat.web_search)
    if request.stream:
        fields = merged(fields, chat.usage)
    return fields


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both; what is a mapping in both is put together."""
    found = dict(body)
    for key, value in more.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def _nested(name: str, value: Any) -> dict[str, Any]:
    """A field, or one inside another: `metadata.user_id`."""
    outer, dot, inner = name.partition(".")
    return {outer: _nested(inner, value) if dot else value}


def _no_parameter(ours: str, name: str, known: list[str]) -> UsageError:
    flag = flag_of(ours)
    has = ", ".join(map(flag_of, known)) or "none"
    return UsageError(
        f"novaops knows no parameter of {name} for {flag}",
        why=f"Most servers ignore what they do not know without a word. The parameters in its file are {has}.",
        fix=f"leave {flag} out; a server that has it gets a file in providers/ (docs/api.md)",
    )


def flag_of(parameter: str) -> str:
    return "-n" if parameter == "n" else f"--{parameter.replace('_', '-')}"
