"""Two that want the same, anywhere in one inventory: exit 2 with both of them named, and no host is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError
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
        (
            {"box": {"vpn": [SERVER]}, "other": {"vpn": [{**SERVER, "port": 1195}]}},
            "are one host by their address, 192.0.2.1, and contradict",
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


DISK = {"path": "/data", "device": "/dev/vdb"}
SECTIONS = ("disk", "login", "proxy", "tunnel", "vpn")


@pytest.mark.parametrize(
    ("section", "one", "other", "said"),
    [
        ("disk", [DISK], [DISK], ""),
        ("disk", [DISK], [{"state": "mounted", **DISK, "path": "/data/"}], ""),
        ("disk", [DISK], [{"path": "/srv", "device": "/dev/vdc"}], ""),
        ("disk", [DISK], [{**DISK, "state": "absent"}], "/data: state differs"),
        ("disk", [DISK], [{**DISK, "device": "/dev/vdc", "label": "x"}], "/data: device and label differ"),
        ("disk", [DISK], [{"path": "/srv", "device": "/dev/vdb"}], "/data and /srv both have the device /dev/vdb"),
        ("proxy", [{**SITE, "name": "one"}], [{**SITE, "name": "two", "domain": "b.example"}], ""),
        ("proxy", [{**SITE, "name": "one"}], [{**SITE, "name": "two"}], "one and two both have a.example at port 8080"),
        ("proxy", [{**SITE, "name": "one"}], [{**SITE, "name": "one", "state": "absent"}], "one: state differs"),
        ("tunnel", [{**TUNNEL, "name": "one", "listen": 8443}], [{**TUNNEL, "name": "one", "listen": 8444}], "one: listen differs"),
        ("vpn", [SERVER], [{**SERVER, "port": 1195}], "office: port differs"),
        ("login", {"users": ["anna"]}, {"users": [{"name": "anna"}], "everyone": "no"}, ""),
        ("login", {"users": ["anna"]}, {"users": ["anna"], "from": "192.0.2.0/24"}, "from differs"),
    ],
)
def test_two_names_of_one_host(section: str, one: Any, other: Any, said: str) -> None:
    """What is under both names is wanted of one host; under another port or address it is another one."""
    here = {"address": "Box.test"}
    for there, same in (
        ({"address": "box.test.", "port": 22}, True),
        ({"address": "box.test:2222"}, False),
        ({"address": "b.test"}, False),
    ):
        hosts = {"gate": {}, "box": {**here, section: one}, "also": {**there, section: other}}
        known = inventory.parse(json.dumps({"hosts": hosts}), "inventory.yaml", SECTIONS)
        for name, another in (("box", "also"), ("also", "box")):
            if not said or not same:
                Playbooks(None).desired(known, known.hosts[name])
                continue
            with pytest.raises(InventoryError) as refused:
                Playbooks(None).desired(known, known.hosts[name])
            assert f"hosts/{name}/{section}: {name} and {another} are one host by their address" in refused.value.what
            assert refused.value.what.endswith(said) or "both have" in said


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
