"""What is said of a route: tests/cases/api is what curl, APIs and proxies say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from novaops.features.api import status
from novaops.features.api.verdict import UNANSWERED, ApiRoute, _observations, _words
from novaops.providers.proof import Rule
from tests.unit.facts.test_facts import framed, outcome, read
from tests.unit.features.api.support import ENOUGH, PROBE, URL, api_route, cases, found, line, route, stream


@pytest.mark.parametrize("case", cases("answers"))
def test_answer(case: Mapping[str, Any]) -> None:
    said = route(case)
    assert (said["works"], said["verdict"], said["fix"]) == (case["works"], case["verdict"], case.get("fix", ""))
    assert said["http_status"] == case["status"]


@pytest.mark.parametrize("case", cases("faults"))
def test_fault(case: Mapping[str, Any]) -> None:
    said = route(case)
    assert (said["verdict"], said["fix"]) == (case["verdict"], case.get("fix", ""))
    assert (said["works"], said["http_status"], said["ttfb_ms"]) == (False, None, None)


@pytest.mark.parametrize("case", cases("streams"))
def test_stream(case: Mapping[str, Any]) -> None:
    said = route({**ENOUGH, "route": {"has_key": True, **case.get("route", {})}}, stream(case))
    measured = said["stream"]
    expected = {key: case[key] for key in ("streams", "why", "events", "arrivals", "first_ms", "last_ms") if key in case}
    assert {key: measured[key] for key in expected} == expected
    assert said["works"] == (case["streams"] is not False), "what should stream and does not is of no use"
    assert said["verdict"] == case.get("verdict", said["verdict"])
    assert said["fix"] == case.get("fix", "")
    if "cell" in case:
        assert status.stream_cell(measured) == case["cell"]


BY_VPN_X = "by vpn-x, where this host's routes lead"


@pytest.mark.parametrize(
    ("way", "verdict"),
    [
        ("", "reachable"),
        ("device eth0\n", "reachable"),
        (
            "hosts-file 127.86.1.2 2\ndevice eth0\n",
            "reachable (past the transparent tunnel, which leads api.example.com to 127.86.1.2)",
        ),
        (
            "hosts-file 127.86.1.2 0\ndevice lo\n",
            "reachable (by the transparent tunnel: this host leads api.example.com to 127.86.1.2, and DNS tells no other address)",
        ),
        ("device vpn-oracle\n", "reachable (by vpn-oracle, where this host's routes lead)"),
        (
            "hosts-file 127.86.1.2 2\ndevice vpn-x\n",
            f"reachable (past the transparent tunnel, which leads api.example.com to 127.86.1.2, and {BY_VPN_X})",
        ),
    ],
)
def test_what_direct_really_is(way: str, verdict: str) -> None:
    assert route({**ENOUGH, "way": way})["verdict"] == verdict


@pytest.mark.parametrize(
    ("more", "answer", "verdict"),
    [
        (
            {"connect_to": "127.0.0.1:8443"},
            {"exit_code": 7, "refusals": "Connection refused"},
            "the listener 127.0.0.1:8443 refuses the connection: nothing listens there, or a firewall says so",
        ),
        (
            {"connect_to": "127.0.0.1:8443"},
            {"exit_code": 35, "error": "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to api.example.com:443"},
            "the tunnel takes the connection and cuts it: canada does not reach api.example.com:443, or does not let the tunnel",
        ),
        (
            {},
            {"exit_code": 52, "error": "curl: (52) Empty reply from server"},
            "the tunnel takes the connection and cuts it: canada does not reach the site, or does not let the tunnel",
        ),
        ({"interface": "vpn-oracle"}, {"exit_code": 45, "error": "curl: (45) Failed"}, "there is no device vpn-oracle: canada is not up"),
    ],
)
def test_what_only_a_way_of_our_own_suffers_from(more: Mapping[str, Any], answer: Mapping[str, Any], verdict: str) -> None:
    probe = replace(PROBE, **more)
    this = ApiRoute("mine", "tunnel openai", "vpn" if "interface" in more else "tunnel", URL, probe, by="canada")
    (said,) = found([this], line(answer))["apis"][0]["routes"]
    assert (said["works"], said["verdict"]) == (False, verdict)


@pytest.mark.parametrize("rule", UNANSWERED, ids=lambda rule: rule.text)
def test_what_a_rule_names_is_known(rule: Rule) -> None:
    result = outcome(read([PROBE], framed(PROBE, line(ENOUGH))), PROBE)
    evidence = (api_route({}), PROBE, result)
    assert set(rule.seen.split()) <= _observations(*evidence).keys()
    assert rule.text.format_map(_words(*evidence))
