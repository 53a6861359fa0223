"""Errors as the page gets them. Pure."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from novaops.errors import NovaopsError
from novaops.formats import visible


def document(error: NovaopsError) -> dict[str, Any]:
    return visible.document({"code": error.code, "what": error.what, "why": error.why, "fix": error.fix})  # type: ignore[no-any-return]


def refusal(error: NovaopsError, status: int) -> JSONResponse:
    return JSONResponse({"error": document(error)}, status)


def bug(error: Exception) -> NovaopsError:
    """An unexpected exception. Its text is not for the page: it may have anything in it."""
    return NovaopsError(f"novaops itself went wrong: {type(error).__name__}", fix="run novaops api app -vv and report what it prints")
