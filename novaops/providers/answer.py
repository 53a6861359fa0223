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
_LONGEST_LINE = 300
"""Characters of a plain text's first line that may be the words of an error."""
_MESSAGES = (
    "message", "detail", "msg", "status_msg", "error_msg", "error_message", "errorMessage", "errmsg", "Message", "faultstring", "fault",
    "error_description", "errors", "error", "reason", "title",
)  # fmt: skip
"""Names under which the words of an error stand, the likeliest first."""
_DEEPEST = 4
"""Objects and lists inside of each other that are looked into."""
_XML = re.compile(r"<(?:\w+:)?(?:message|faultstring|error)\b[^>]*>([^<]*[^<\s][^<]*)</", re.IGNORECASE)
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
        may_be_cut = body.lstrip()[:1] in {"{", "["} and len(body) > _LONGER_THAN_ERRORS
        return ApiError(is_json=may_be_cut, message=_printable(_plain(body), longest))
    if isinstance(document, list) and document and isinstance(document[0], dict) and "error" in document[0]:
        document = document[0]
    if not isinstance(document, dict):
        return ApiError(is_json=isinstance(document, list), message=_printable(_said(document), longest))
    error = document.get("error") or document.get("base_resp") or document
    kind, code = (_printable(error.get(name)) for name in ("type", "code")) if isinstance(error, dict) else ("", "")
    message = _printable(_message(document), longest)
    return ApiError(is_json=True, kind=kind, code=code, message=message, is_stated=states_error(document))


def _message(document: dict[str, Any]) -> str:
    """The words of the error, and where they are no object also those beside them: OAuth has a name and then a sentence."""
    error, status = document.get("error"), document.get("status")
    said = _said(error)
    if not (said and isinstance(error, dict)):
        rest = {name: value for name, value in document.items() if name != "error"}
        beside = _said(document.get("base_resp")) or _said(rest) or (_said(status) if isinstance(status, dict) else "")
        said = ": ".join(dict.fromkeys(filter(None, (said, beside))))
    if not isinstance(error, dict):
        return said or _printable(error)
    metadata = error.get("metadata")  # OpenRouter: what the provider behind it said
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return ": ".join(filter(None, (said, read_error(raw, _LONGER_THAN_ERRORS).message if isinstance(raw, str) else "")))


def _said(value: Any, depth: int = _DEEPEST) -> str:
    """A text; of an object the one that has a name of a message; of a list, or of an object that has only lists, each."""
    if isinstance(value, str) or not depth:
        return value if isinstance(value, str) else ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_said(one, depth - 1) for one in value)))
    if not isinstance(value, dict):
        return ""
    if said := next(filter(None, (_said(value.get(name), depth - 1) for name in _MESSAGES)), ""):
        return said
    of_fields = value.items() if all(isinstance(one, list) for one in value.values()) else ()
    return "; ".join(f"{name}: {said}" for name, one in of_fields if (said := _said(one, depth - 1)))


def _plain(body: str) -> str:
    """The words of a body that is no JSON and no web page: those of XML, or the first line of a text, if it is a short one."""
    text = body.strip()
    if is_html("", text) or text[:1] in {"{", "["}:
        return ""
    if text.startswith("<"):
        found = _XML.search(text)
        return found[1] if found else ""
    line = text.partition("\n")[0]
    return line if len(line) <= _LONGEST_LINE and "\ufffd" not in line else ""


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
    inner = document.get("status")  # an object in SenseNova's answers
    of_status = inner.get("code") if isinstance(inner, dict) else None
    codes = [_printable(code).lower() for code in (document.get("code"), document.get("error_code"), of_status)]
    status = _printable(inner).lower()
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
