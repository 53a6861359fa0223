"""Ports that a rule of the table nat leads elsewhere: what the host asks itself does not pass there."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from novaops.facts.firewall import Firewall, FirewallFacts
from novaops.formats.iptables import Ruleset
from novaops.model.question import Section

NAT = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n{}\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"


@pytest.mark.parametrize(
    ("rules", "away"),
    [
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", True),
        ("-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", True),
        ("-A PREROUTING -i host0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", True),
        ("-A PREROUTING ! -i eth0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", False),
        ("-A PREROUTING -i ens18 -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.0.0.2", True),
        ("-A PREROUTING -j DOCKER\n-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to 10.0.0.2", True),
        ("-A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 8080", False),
        ("-A PREROUTING -p udp -m udp --dport 80 -j REDIRECT --to-ports 8080", False),
        ("-A PREROUTING -i docker0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", False),
        ("-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2", False),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 80", False),
        ("-A OUTPUT -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", False),
    ],
)
def test_rules_of_iptables(rules: str, away: bool) -> None:  # noqa: FBT001 - what is expected
    assert bool(list(Ruleset(NAT.format(rules), "nat").led_away(80))) is away


def matched(protocol: str, field: str, right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


def comes_by(device: str) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": device}}


@pytest.mark.parametrize(
    ("hook", "expressions", "tcp"),
    [
        ("prerouting", [comes_by("eth0"), matched("tcp", "dport", 80), {"redirect": {"port": 8080}}], ((80, 80),)),
        ("prerouting", [comes_by("docker0"), matched("tcp", "dport", 80), {"redirect": {"port": 8080}}], None),
        ("prerouting", [matched("tcp", "dport", 80), {"redirect": {"port": 8080}}], ((80, 80),)),
        ("prerouting", [matched("tcp", "dport", {"set": [80, 443]}), {"dnat": {"addr": "10.0.0.2"}}], ((80, 80), (443, 443))),
        ("prerouting", [matched("ip", "daddr", "10.0.0.1"), matched("tcp", "dport", 80), {"redirect": {"port": 8080}}], None),
        ("prerouting", [matched("tcp", "dport", 80), {"accept": None}], None),
        ("output", [matched("tcp", "dport", 80), {"redirect": {"port": 8080}}], None),
    ],
)
def test_rules_of_nftables(hook: str, expressions: list[Any], tcp: Any) -> None:
    chain = {"family": "ip", "table": "nat", "name": "pre", "type": "nat", "hook": hook, "prio": -100, "policy": "accept"}
    listed = {"nftables": [{"chain": chain}, {"rule": {"family": "ip", "table": "nat", "chain": "pre", "expr": expressions}}]}
    said = f"nft {base64.b64encode(json.dumps(listed).encode()).decode()}\nend\n"
    facts = Firewall.parse_one(Section(said, "", 0))
    assert isinstance(facts, FirewallFacts)
    assert [(one.place, one.tcp) for one in facts.away] == ([("ip nat pre", tcp)] if tcp else [])
