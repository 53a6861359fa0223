"""Two that want the same, anywhere in one inventory: exit 2 with both of them named, and no host is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.model.plan import ListensAt

SITE = {"domain": "a.example", "tls": "off", "upstreams": ["10.0.0.1:80"], "http_port": 8080}
TUNNEL = {"via": "gate", "to": "x.example:443", "check": "tcp"}
REVERSE = {**TUNNEL, "name": "back", "to": "127.0.0.1:22", "reverse": True, "listen": 9000}
SERVER = {"serve": True, "name": "office", "protocol": "tcp"}


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (
            {"box": {"proxy": [{**SITE, "name": "one"}, {**SITE, "name": "two", "domain": "b.example"}, {**SITE, "name": "one"}]}},
            "one is there twice: entries 1 and 3 have that name",
        ),
        (
            {"box": {"tunnel": [{**TUNNEL, "name": "one", "listen": 8443}, {**TUNNEL, "name": "one", "listen": 8444}]}},
            "one is there twice: entries 1 and 2 have that name",
        ),
        ({"box": {"vpn": [SERVER, {**SERVER, "port": 1195}]}}, "office is there twice: entries 1 and 2 have that name"),
        (
            {"box": {"tunnel": [{**TUNNEL, "name": "one", "listen": 8443}, {**TUNNEL, "name": "two", "listen": "0.0.0.0:8443"}]}},
            "box: the tunnel one and the tunnel two would both listen at port 8443/tcp",
        ),
        (
            {"box": {"proxy": [{**SITE, "name": "web"}], "tunnel": [{**TUNNEL, "name": "one", "listen": 8080}]}},
            "box: the site web and the tunnel one would both listen at port 8080/tcp",
        ),
        (
            {"box": {"proxy": [{**SITE, "name": "web"}], "vpn": [{**SERVER, "port": 8080}]}},
            "box: the site web and the VPN server office would both listen at port 8080/tcp",
        ),
        (
            {"box": {"tunnel": [REVERSE]}, "other": {"tunnel": [REVERSE]}},
            "gate: the reverse tunnel box/back and the reverse tunnel other/back would both listen at port 9000",
        ),
        (
            {"box": {"tunnel": [REVERSE]}, "gate": {"tunnel": [{**TUNNEL, "via": "box", "name": "one", "listen": 9000}]}},
            "gate: the tunnel one and the reverse tunnel box/back would both listen at port 9000",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "apply", "apply --check"])
def test_one_port_or_name_twice(
    hosts: dict[str, Any], said: str, verb: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def contacted(*_: object, **__: object) -> None:
        raise AssertionError("a host was contacted")

    monkeypatch.setattr("novaops.ssh.session.Session.open", contacted)
    file = tmp_path / "inventory.yaml"
    file.write_text(json.dumps({"defaults": {"address": "192.0.2.1"}, "hosts": {"gate": {}, **hosts}}))
    assert run(["-i", str(file), *verb.split()]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (ListensAt("a", 80), ListensAt("b", 80), True),
        (ListensAt("a", 80), ListensAt("a", 80), False),
        (ListensAt("a", 80), ListensAt("b", 81), False),
        (ListensAt("a", 80), ListensAt("b", 80, protocol="udp"), False),
        (ListensAt("a", 80, "127.0.0.1"), ListensAt("b", 80, "127.0.0.2"), False),
        (ListensAt("a", 80, "127.0.0.1"), ListensAt("b", 80, "0.0.0.0"), True),  # noqa: S104
        (ListensAt("a", 80, "::1"), ListensAt("b", 80, "0.0.0.0"), False),  # noqa: S104
        (ListensAt("a", 80, "::1"), ListensAt("b", 80, "::"), True),
        (ListensAt("a", 80, "::1"), ListensAt("b", 80), True),
        (ListensAt("a", 80, program="nginx"), ListensAt("b", 80, program="nginx"), False),
    ],
)
def test_what_conflicts(one: ListensAt, other: ListensAt, conflict: bool) -> None:  # noqa: FBT001 - a column of the table
    assert (one.conflicts(other), other.conflicts(one)) == (conflict, conflict)
