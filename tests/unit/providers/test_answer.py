"""What a body says of an error, in the forms that servers have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from novaops.providers.answer import read_error, states_error


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


@pytest.mark.parametrize(
    "document",
    [
        {"errors": [{"message": "no"}]},
        {"error_code": 110, "error_msg": "Access token invalid"},
        {"status": "error", "message": "no"},
        {"status": "Failed"},
        {"status": 401, "message": "no"},
        {"ok": False},
        {"success": "false"},
        {"type": "error"},
        {"detail": "Not authenticated"},
        {"code": 7, "message": "no"},
        {"base_resp": {"status_code": 1004}},
    ],
)
def test_an_error_behind_the_status_of_success(document: dict[str, Any]) -> None:
    assert states_error(document)


@pytest.mark.parametrize(
    "document",
    [
        {"object": "list", "data": []},
        {"object": "list", "data": [{"id": "m"}], "errors": [], "error": None, "status": "error"},
        {"success": True, "errors": [], "code": 0, "error_code": "0"},
        {"id": "file-1", "status": "processed"},
        {"status": 200, "ok": True},
        {"models": [], "type": "list"},
        {"detail": "long", "models": []},
    ],
)
def test_a_document_that_states_none(document: dict[str, Any]) -> None:
    assert not states_error(document)
