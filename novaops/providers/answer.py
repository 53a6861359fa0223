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
_MESSAGES = ("message", "detail", "msg", "status_msg", "errors")
_FINE = frozenset({"", "0", "ok", "success", "succeeded"})
"""Codes of no error, beside those of HTTP."""


@dataclass(frozen=True)
class ApiError:
    """An error in the form that most APIs share: {"error": {"message": …, "type": …, "code": …}}."""

    is_json: bool
    kind: str = ""
    code: str = ""
    message: str = ""
    is_stated: bool = False
    """Whether the body says that it is an error, whatever its status says."""


def read_error(body: str, longest: int = _LONGEST) -> ApiError:
    """`longest`: the characters of the message that are kept."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ApiError(is_json=body.lstrip()[:1] in {"{", "["} and len(body) > _LONGER_THAN_ERRORS)
    if isinstance(document, list) and document and isinstance(document[0], dict) and "error" in document[0]:
        document = document[0]
    if not isinstance(document, dict):
        return ApiError(is_json=isinstance(document, list))
    error = document.get("error") or document.get("base_resp") or document
    is_stated = states_error(document)
    if not isinstance(error, dict):
        return ApiError(is_json=True, message=_printable(error, longest), is_stated=is_stated)
    message = next(filter(None, (_printable(_said(error.get(key)), longest) for key in _MESSAGES)), "")
    kind, code = _printable(error.get("type")), _printable(error.get("code"))
    return ApiError(is_json=True, kind=kind, code=code, message=message, is_stated=is_stated)


def _said(value: Any) -> Any:
    """What is said; of a list of what is wrong each text, as FastAPI's `detail` and Cloudflare's `errors` have them."""
    if not isinstance(value, list):
        return value
    each = (one if isinstance(one, str) else one.get("msg") or one.get("message") for one in value if isinstance(one, (str, dict)))
    return "; ".join(one for one in each if isinstance(one, str))


def states_error(document: dict[str, Any]) -> bool:
    """Whether an API that answers 200 to everything means an error. A code of its own that comes with data is none."""
    if document.get("error") or any(str(document.get(key)).lower() == "false" for key in ("success", "ok")):
        return True
    if document.get("type") == "error" or document.keys() == {"detail"}:  # as Anthropic and FastAPI say it
        return True
    below = document.get("base_resp")
    if isinstance(below, dict) and below.get("status_code"):
        return True
    if document.get("data"):
        return False
    codes = [_printable(document.get(key)).lower() for key in ("code", "error_code")]
    status = _printable(document.get("status")).lower()
    return (
        any(code not in _FINE and not re.fullmatch(r"2\d\d", code) for code in codes)
        or bool(document.get("errors"))
        or bool(re.fullmatch(r"error|fail(ed|ure)?|[45]\d\d", status))
    )


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
