"""What `api check` shows of a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novaops.errors import HostFailed
from novaops.features.api import status
from novaops.features.api.facts import NO_CURL
from novaops.features.api.verdict import ApiRoute
from novaops.model.question import Facts, Missing
from tests.unit.facts.test_facts import framed, read
from tests.unit.features.api.support import ENOUGH, PROBE, api_route, found, line, route


def test_each_phase_has_its_own_time() -> None:
    said = route({**ENOUGH, "names": "192.0.2.1\n2001:db8::1\n"})
    assert [said[key] for key in ("dns_ms", "tcp_ms", "tls_ms", "ttfb_ms")] == [10, 10, 30, 200]
    assert (said["addresses"], said["address"]) == (["192.0.2.1", "2001:db8::1"], "192.0.2.1")


def test_an_address_needs_no_time_to_be_found() -> None:
    said = route({**ENOUGH, "times": [0, 0.02, 0, 0.2]})
    assert [said[key] for key in ("dns_ms", "tcp_ms", "tls_ms")] == [0, 20, None]


def test_the_table_and_the_fastest() -> None:
    """Of those that work; where only one does, it is not said."""
    slow, quick, broken = (replace(api_route({}), name=name, probe=replace(PROBE, name=name)) for name in ("slow", "quick", "broken"))
    never = ApiRoute("mine", "proxy a/b", "proxy", "", untried="*.b is a pattern")
    refused = {"exit_code": 6, "error": "curl: (6) Could not resolve host: api.example.com"}
    lines = [line({**ENOUGH, "times": [0.01, 0.0123, 0.05, first], "names": "192.0.2.1\n192.0.2.2\n"}) for first in (0.3, 0.1)]
    details = found([slow, quick, broken, never], *lines, line(refused))
    assert details["apis"][0]["fastest"] == "quick"
    rows = status.rows(details, several_apis=False)
    assert rows == [
        ("slow", "192.0.2.1 +1", "2.3", "38", "200", "300", "–", "✓ reachable"),
        ("quick", "192.0.2.1 +1", "2.3", "38", "200", "100", "–", "✓ reachable; the fastest"),
        ("broken", "no address", "–", "–", "–", "–", "–", f"✘ {_no_address()}"),
        ("proxy a/b", "–", "–", "–", "–", "–", "–", "  not tried: *.b is a pattern"),
    ]
    assert all(len(row) == len(status.headers(several_apis=False)) for row in rows)
    assert [row[0] for row in status.rows(details, several_apis=True)] == ["mine"] * 4
    assert len(status.headers(several_apis=True)) == len(rows[0]) + 1
    alone = found([quick, broken], lines[1], line(refused))
    assert [row[-1] for row in status.rows(alone, several_apis=False)] == ["✓ reachable", f"✘ {_no_address()}"]


def _no_address() -> str:
    return "DNS gives no address for api.example.com: there is no such name, or its name servers fail"


def test_each_api_needs_a_route_that_works() -> None:
    one, other = (replace(api_route({}), api=api, probe=replace(PROBE, name=api)) for api in ("one", "other"))
    assert status.all_work(found([one, other], line(ENOUGH), line(ENOUGH)))
    details = found([one, other], line(ENOUGH), line({"exit_code": 52}))
    assert not status.all_work(details)
    assert [(api["api"], api["works"], api["fastest"]) for api in details["apis"]] == [("one", True, "direct"), ("other", False, None)]


def test_why_no_stream_was_asked_for() -> None:
    this = replace(api_route({}), unstreamed="no key (--key env:NAME)")
    (said,) = found([this], line({"status": 401, "body": "{}"}))["apis"][0]["routes"]
    assert (said["stream"]["streams"], said["stream"]["why"]) == (None, "not tried: no key (--key env:NAME)")
    (said,) = found([this], line({"exit_code": 6}))["apis"][0]["routes"]
    assert said["stream"]["why"] == "", "that the route does not work says it already"


def test_a_host_without_curl() -> None:
    with pytest.raises(HostFailed, match="this host has no curl") as raised:
        status.details([api_route({})], read([PROBE], framed(PROBE, "", status=NO_CURL)))
    assert raised.value.fix == "apt-get install curl, or dnf install curl"


def test_what_could_not_be_said_shows_no_secret() -> None:
    with pytest.raises(HostFailed) as raised:
        status.details([api_route({})], Facts({PROBE: Missing.UNKNOWN}, {}))
    assert raised.value.what == "the host could not say: the route direct to mine"
    assert "sk-secret" not in repr(PROBE)
