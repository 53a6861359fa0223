"""Secrets that a site cannot be set up with, and what is asked to prove that it works. No host is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from novaops.errors import Refused, UsageError
from novaops.features.proxy.resources.site_answers import SiteAnswers
from novaops.features.proxy.resources.site_preconditions import SitePreconditions
from novaops.secret import Secret
from tests.support.proxy_sites import (
    API,
    APP,
    ENV,
    TOKEN,
    resources,
    without,
)

pytestmark = pytest.mark.usefixtures("secrets")


# -- secrets that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "variable", "value", "kind"),
    [
        (API, "KEY", "", UsageError),
        (API, "KEY", "a b", UsageError),
        (API, "KEY", "a\nb", UsageError),
        (API, "KEY", "é", UsageError),
        (API, "PW", "short", Refused),
        (API, "PW", "x" * 12 + "-nova-1", Refused),
        (API, "PW", "wired-Fjord-" * 6 + "x", Refused),
        (API, "PW", "wired-Fjord-88\x85", Refused),
        (TOKEN, "TOKEN", "short", Refused),
        (TOKEN, "TOKEN", "glass Tundra 88", UsageError),
        (TOKEN, "TOKEN", ENV["OTHER"], Refused),
        ({**API, "auth": {"keys": TOKEN["auth"]["token"], "inject": "env:KEY"}}, "TOKEN", ENV["OTHER"], Refused),
    ],
)
def test_a_secret_that_will_not_do(site: Any, variable: str, value: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(kind) as error:
        resources(site)
    assert not value or value not in str(error.value)


# -- the proof --------------------------------------------------------------------------------------------------------


def proof(site: Mapping[str, Any]) -> SiteAnswers:
    [found] = [resource for resource in resources(site) if isinstance(resource, SiteAnswers)]
    return found


@pytest.mark.parametrize(
    ("site", "urls", "to", "mode"),
    [
        (API, ["https://gate.example.com/v1/models"], "outside:443", "inject"),
        ({**API, "path": "/"}, ["https://gate.example.com/models"], "outside:443", "inject"),
        (TOKEN, ["https://token.example.com/v1/models"], "outside:443", "token"),
        ({**API, "tls": "off", "http_port": "81"}, ["http://gate.example.com:81/v1/models"], "outside:81", "inject"),
        (APP, ["http://shop.example.com/"], "outside:80", "open"),
        ({**APP, "listen": "192.0.2.7,::1"}, ["http://shop.example.com/"], "192.0.2.7:80", "open"),
        ({**APP, "listen": "2001:db8::7"}, ["http://shop.example.com/"], "[2001:db8::7]:80", "open"),
        ({**APP, "domain": "*.a.com,b.com,c.com"}, ["http://b.com/"], "outside:80", "open"),
        ({**APP, "domain": "*.a.com"}, ["http://novaops.a.com/"], "outside:80", "open"),
        ({**APP, "domain": ".a.com", "tls": "self-signed"}, ["https://novaops.a.com/"], "outside:443", "open"),
        ({**APP, "domain": [r"~^(www\.)?a\.com$", "www.*", "*.a.com"]}, ["http://novaops.a.com/"], "outside:80", "open"),
        ({**APP, "domain": [r"~^a\.com$", "www.*"]}, [], "outside:80", "open"),
        ({**API, "domain": "*.a.com"}, ["https://novaops.a.com/v1/models"], "outside:443", "inject"),
        ({**APP, "auth": {"basic": {"nova": "env:PW"}}}, ["http://shop.example.com/"], "outside:80", "basic"),
        ({**APP, "auth": {"from": "192.0.2.0/24"}}, ["http://shop.example.com/"], "127.0.0.2:80", "from"),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "open",
        ),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/"}, {"path": "/", "exact": "yes", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "open",
        ),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/x", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "basic",
        ),
        (
            without(APP, "upstreams", locations=[{"path": "/a/", "upstreams": "127.0.0.1:1"}]),
            ["http://shop.example.com/a/"],
            "outside:80",
            "open",
        ),
    ],
)
def test_what_the_proof_asks(site: Any, urls: list[str], to: str, mode: str) -> None:
    found = proof(site)
    assert (list(found.urls), found.to, found.mode) == (urls, to, mode)


NARROW = {"auth": {"passthrough": True, "from": "192.0.2.0/24"}}


@pytest.mark.parametrize(
    ("site", "asked"),
    [
        ({**API, **NARROW}, [("https://api.openai.com/v1/models", "", {})]),
        (
            {**API, "auth": {**API["auth"], "from": "192.0.2.0/24"}},
            [("https://api.openai.com/v1/models", "", {"Authorization": "Bearer K"})],
        ),
        ({**API, **NARROW, "test_key": "env:KEY"}, [("https://api.openai.com/v1/models", "", {"Authorization": "Bearer K"})]),
        (
            {**without(API, "provider"), **NARROW, "upstream": "https://a.com:8443/v1", "upstream_ca": "/ca.pem", "path": "/x"},
            [("https://a.com:8443/v1/models", "/ca.pem", {})],
        ),
        (
            APP,
            [
                ("http://127.0.0.1:8080/", "", {"Host": "shop.example.com"}),
                ("http://127.0.0.1:8081/", "", {"Host": "shop.example.com"}),
            ],
        ),
        (
            {
                **without(APP, "upstreams"),
                "http_port": "81",
                "locations": [{"path": "/a/", "upstreams": "https://b.com:1", "strip_prefix": "yes", "request_headers": {"X-A": "b"}}],
            },
            [("https://b.com:1/", "", {"Host": "shop.example.com:81", "X-A": "b"})],
        ),
        ({**APP, "upstreams": "https://b.com:1", "verify": "/ca.pem"}, [("https://b.com:1/", "/ca.pem", {"Host": "shop.example.com"})]),
        ({**APP, "upstreams": "https://b.com:1", "verify": "off"}, []),
        ({**APP, "upstreams": "b.com:1", "domain": ".a.com"}, [("http://b.com:1/", "", {"Host": "novaops.a.com"})]),
        ({**APP, "upstreams": [{"address": "a.com:1", "backup": True}, "unix:/run/x"]}, []),
    ],
)
def test_what_is_asked_past_the_site(site: Any, asked: list[tuple[str, str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "K")
    found = proof(site).behind
    told = [{name: value.reveal() if isinstance(value, Secret) else value for name, value in question.headers} for question in found]
    assert [(question.url, question.certificate, headers) for question, headers in zip(found, told, strict=True)] == asked
    assert all(question.to == "" and question.login is None for question in found)


def test_the_claims_of_a_site() -> None:
    [claims] = [
        found
        for found in resources({**APP, "listen": "127.0.0.1", "upstreams": ["a.com:1", "127.0.0.1:2"]})
        if isinstance(found, SitePreconditions)
    ]
    assert (claims.domains, claims.ports, claims.listen) == (("shop.example.com",), (80,), ("127.0.0.1",))
    assert (claims.needs_resolver, claims.pooled_name) == (True, "a.com:1")


@pytest.mark.parametrize(("site", "secured"), [(API, True), (APP, False), ({**APP, "upstreams": "https://a.com:1"}, True)])
def test_what_is_asked_over_tls(site: Any, secured: bool) -> None:  # noqa: FBT001 - what is expected
    [claims] = [found for found in resources(site) if isinstance(found, SitePreconditions)]
    assert claims.secured is secured
