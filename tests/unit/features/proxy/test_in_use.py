"""Whether nginx works with files as they are: what a host says of it, and what is done."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.engine.planner import make_plan
from novaops.facts.file import FileAt
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.in_use import InUse, Use
from novaops.features.proxy.resources.nginx_in_use import NginxInUse
from novaops.features.proxy.resources.nginx_reload import STALE, TAKE_UP, NginxReload
from novaops.model.action import Command
from novaops.model.question import Facts, Missing, Section
from tests.support.proxy_sites import API, APP, ENV, resources

SHOWN, KEY = InUse("/c d.pem", "127.0.0.2:443", "a.test"), InUse("/key.pem")


@pytest.mark.parametrize(
    ("said", "uses"),
    [
        ("asked\n", [Use(current=True), Use(current=True)]),
        ("changed\t/c d.pem\nasked\n", [Use(current=False), Use(current=True)]),
        (
            "changed\t/key.pem\nother\t0\tthen\tlater\nasked\n",
            [Use(current=False, served_until="then", there_until="later"), Use(current=False)],
        ),
        ("other\t0\t\t\nasked\n", [Use(current=False), Use(current=True)]),
    ],
)
def test_what_a_host_says(said: str, uses: list[Use]) -> None:
    assert InUse.parse([SHOWN, KEY], Section(said, "", 0)) == dict(zip((SHOWN, KEY), uses, strict=True))


def test_half_an_answer_is_none() -> None:
    assert InUse.parse([SHOWN, KEY], Section("changed\t/key.pem\n", "", 1)) == {}


def planned(note: Any, *uses: Use) -> Any:
    active = UnitFacts(load="loaded", active="active", enabled="enabled")
    facts = Facts({**dict(zip((SHOWN, KEY), uses, strict=True)), FileAt(STALE): note, UnitNamed("nginx.service"): active}, {})
    return make_plan([NginxInUse("gate", (SHOWN, KEY)), NginxReload()], facts)


def test_what_is_not_in_use_is_taken_up_and_reported() -> None:
    assert planned(Missing.ABSENT, Use(current=True), Use(current=True)).steps == ()
    found, reload = planned(Missing.ABSENT, Use(current=False, served_until="Dec  1", there_until="Mar  1"), Use(current=False)).steps
    assert [(change.field, change.before, change.after) for change in found.changes] == [
        ("/c d.pem", "nginx shows the one that lasts until Dec  1", "the one that lasts until Mar  1"),
        ("/key.pem", "as nginx read it before it was changed", "as it is"),
    ]
    assert Command(TAKE_UP) in reload.actions


def test_the_files_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    given = {**APP, "tls": "files", "certificate": "/c.pem", "key": "/k.pem"}
    ca = {**API, "domain": ["192.0.2.7", "*.b.test"], "upstream_ca": "/ca.pem", "listen": "127.0.0.9", "https_port": "8443"}
    by_name = {each.id: each.files for each in resources(given, ca) if isinstance(each, NginxInUse)}
    assert by_name["nginx:shop (in use)"][:2] == (InUse("/c.pem", "127.0.0.2:443", "shop.example.com"), InUse("/k.pem"))
    gate = by_name["nginx:gate (in use)"]
    assert gate[0] == InUse("/etc/nginx/novaops/gate.crt", "127.0.0.9:8443", "novaops.b.test")
    assert InUse("/ca.pem") in gate
    assert InUse("/etc/nginx/novaops/gate.inject") in gate
    assert not any(each.path.endswith((".htpasswd", ".addresses")) for each in gate), "nginx reads these for each request, or not at all"
