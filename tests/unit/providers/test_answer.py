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
        ({"error": True, "message": "no such model"}, "no such model"),
        ({"error": 17}, "17"),
        ({"error": "Not Found", "message": "no such model"}, "Not Found: no such model"),
        ({"error": "no such model", "message": "no such model"}, "no such model"),
        ({"error": "invalid_request", "error_description": "The token expired"}, "invalid_request: The token expired"),
        ({"error": {"code": 7}, "message": "no such model"}, "no such model"),
        ({"error": {"error": {"message": "no such model"}}}, "no such model"),
        ({"error_code": 17, "error_msg": "no such model"}, "no such model"),
        ({"Message": "no such model"}, "no such model"),
        ({"fault": {"faultstring": "no such model", "detail": {"errorcode": "x"}}}, "no such model"),
        ({"errorMessage": "no such model"}, "no such model"),
        ({"errcode": 1, "errmsg": "no such model"}, "no such model"),
        ({"reason": "no such model"}, "no such model"),
        ({"title": "Bad Request", "detail": "no such model"}, "no such model"),
        ({"title": "Bad Request"}, "Bad Request"),
        ({"detail": {"message": "no such model"}}, "no such model"),
        ({"errors": {"model": ["must be set", "is wrong"], "n": []}}, "model: must be set; is wrong"),
        ({"model": ["must be set"]}, "model: must be set"),
        ({"status": {"code": 18, "message": "risk control"}, "data": None}, "risk control"),
        ({"status": "error"}, ""),
        ("just words", "just words"),
        ({"error": {"message": "It failed", "metadata": {"raw": '{"error":{"message":"too busy"}}'}}}, "It failed: too busy"),
        ({"error": {"message": "It failed", "metadata": {"raw": "too busy"}}}, "It failed: too busy"),
        ({"error": {"message": "It failed", "metadata": {"raw": None}}}, "It failed"),
        ({"object": "list", "data": [{"id": "m", "message": 1}]}, ""),
    ],
)
def test_what_is_said(body: Any, message: str) -> None:
    assert read_error(json.dumps(body)).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Invalid model name xyz\n", "Invalid model name xyz"),
        ("no healthy upstream", "no healthy upstream"),
        ("one\ntwo", "one"),
        ("a" * 301, ""),
        ("\ufffd\ufffd\x00", ""),
        ("<html><body>no</body></html>", ""),
        ("<center>no</center>", ""),
        ('{"error": {"message": "cut', ""),
        ('<?xml version="1.0"?><Error><Code>Denied</Code><Message>The key is wrong</Message></Error>', "The key is wrong"),
        ("<s:Fault><faultcode>x</faultcode><faultstring xml:lang='en'>too busy</faultstring></s:Fault>", "too busy"),
        ("", ""),
    ],
)
def test_what_is_said_without_json(body: str, message: str) -> None:
    """It is shown, and it is no JSON for that: it proves nothing."""
    error = read_error(body)
    assert (error.message, error.is_json, error.is_stated, error.kind, error.code) == (message, False, False, "", "")


def test_an_error_nested_without_end() -> None:
    assert read_error('{"error":' * 200 + '"x"' + "}" * 200).message == ""


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
        {"data": None, "status": {"code": 18, "message": "risk control"}},
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
        {"status": {"code": 0, "message": "ok"}},
        {"status": {"code": 200}},
        {"status": {"phase": "ready"}},
        {"models": [], "type": "list"},
        {"detail": "long", "models": []},
    ],
)
def test_a_document_that_states_none(document: dict[str, Any]) -> None:
    assert not states_error(document)
