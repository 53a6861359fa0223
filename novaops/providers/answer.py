"""The body of an answer: the error that an API states in it, or the web page that it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_LONGEST = 160
"""Characters of a message that are shown."""
_LONGER_THAN_ERRORS = 1000
"""Bytes: JSON of more than that may be cut, and is no error."""


@dataclass(frozen=True)
class ApiError:
    """An error in the form that most APIs share: {"error": {"message": …, "type": …, "code": …}}."""

    is_json: bool
    kind: str = ""
    code: str = ""
    message: str = ""


def read_error(body: str, longest: int = _LONGEST) -> ApiError:
    """`longest`: the characters of the message that are kept."""
    try:
        document = json.loads(body)
    except ValueError:
        return ApiError(is_json=body.lstrip()[:1] in {"{", "["} and len(body) > _LONGER_THAN_ERRORS)
    if not isinstance(document, dict):
        return ApiError(is_json=isinstance(document, list))
    error = document.get("error", document)
    if not isinstance(error, dict):
        return ApiError(is_json=True, message=_printable(error, longest))
    message = next(filter(None, (_printable(error.get(key), longest) for key in ("message", "detail", "msg"))), "")
    return ApiError(is_json=True, kind=_printable(error.get("type")), code=_printable(error.get("code")), message=message)


def is_html(content_type: str, body: str) -> bool:
    begin = body.lstrip()[:200].lower()
    return content_type.lower().startswith("text/html") or begin.startswith(("<!doctype html", "<html", "<head", "<body"))


def html_title(body: str) -> str:
    """The title of a page, in parentheses; "" where it has none."""
    found = re.search(r"<title[^>]*>(.*?)</title", body, re.IGNORECASE | re.DOTALL)
    title = _printable(found[1]) if found else ""
    return f" (“{title}”)" if title else ""


def _printable(value: Any, longest: int = _LONGEST) -> str:
    """The value in one line, without anything that a terminal would obey."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return ""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
