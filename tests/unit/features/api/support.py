"""What route.sh prints of a route, and what is made of it. tests/cases/api is what curl, APIs and proxies say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.features.api import status
from novaops.features.api.facts import RouteProbe
from novaops.features.api.verdict import ApiRoute
from novaops.secret import Secret
from tests.unit.facts.test_facts import framed, read

CASES = Path(__file__).parents[3] / "cases" / "api"
URL = "https://api.example.com/v1/models"
KEY = ("Authorization", Secret("Bearer sk-secret-1"))
PROBE = RouteProbe("direct to mine", URL, (KEY,), None, "https://api.example.com/v1/chat", "{}")
ENOUGH = {"status": 200, "body": "[]", "times": [0.01, 0.02, 0.05, 0.2], "address": "192.0.2.1"}


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=title) for title, case in yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8")).items()]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def line(case: Mapping[str, Any], streamed: str = "") -> str:
    """What the shell prints of a route."""
    times = [f"{float(time):.6f}" for time in case.get("times", [0.001, 0, 0, 0] if "status" not in case else ENOUGH["times"])]
    kind = case.get("content_type", "application/json" if case.get("status") else "")
    measured = "\t".join([f"{case.get('status', 0):03}", *times, case.get("address", ""), kind, case.get("redirect", "")])
    body = case.get("body", "") * case.get("repeat", 1)
    texts = [measured, case.get("error", ""), body, case.get("refusals", ""), case.get("names", "")]
    return "\t".join([str(case.get("exit_code", 0)), *map(encoded, texts), streamed, encoded(case.get("way", "")), "."])


def stream(case: Mapping[str, Any]) -> str:
    """What the shell prints of a stream."""
    begun, status = 1000.0, case.get("status", 200)
    head = (
        f"HTTP/1.1 100 Continue\nHTTP/1.1 {status} X\nContent-Type: {case.get('content_type', 'text/event-stream')}\r\n" if status else ""
    )
    times = " ".join(f"{begun + hundredths / 100:.2f}" for hundredths, _ in case["parts"])
    sizes = " ".join(str(len(text)) for _, text in case["parts"])
    fields = [str(case.get("exit_code", 0)), encoded(case.get("error", "")), encoded(head), f"{begun:.2f}", times, sizes or "0"]
    return ",".join([*fields, encoded("".join(text for _, text in case["parts"]))])


def api_route(case: Mapping[str, Any], probe: RouteProbe = PROBE) -> ApiRoute:
    probe = replace(probe, url=case.get("url", URL))
    return ApiRoute("mine", "direct", "direct", probe.url, probe, **case.get("route", {}))


def found(these: list[ApiRoute], *lines: str) -> dict[str, Any]:
    asked = list(status.questions(these))
    return status.details(these, read(asked, framed(asked[0], "".join(f"{each}\n" for each in lines))))


def route(case: Mapping[str, Any], streamed: str = "") -> dict[str, Any]:
    details = found([api_route(case)], line(case, streamed))
    (only,) = details["apis"][0]["routes"]
    assert details["apis"][0]["works"] == only["works"] == status.all_work(details)
    return dict(only)
