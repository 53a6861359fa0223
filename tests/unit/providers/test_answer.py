"""What a body says of an error, in the forms that servers have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from novaops.providers.answer import read_error


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"loc": ["body", "model"], "msg": "field required"}, {"msg": "too long"}]}, "field required; too long"),
        ({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, "Authentication error"),
        ({"errors": ["one", {"message": 7}, None, 8, "two"]}, "one; two"),
        ({"detail": [{"loc": []}], "msg": "wrong"}, "wrong"),
        ({"error": {"detail": []}}, ""),
    ],
)
def test_what_is_said(body: Any, message: str) -> None:
    assert read_error(json.dumps(body)).message == message
