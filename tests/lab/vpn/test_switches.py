"""Every setting of a VPN that can be switched on a host that has it: on, off, a second run that changes nothing, and undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.lab.vpn.test_vpn import Country, country
from tests.support.links import inside
from tests.support.things import write_inventory

__all__ = ["country"]

pytestmark = pytest.mark.long

SERVERS: dict[str, dict[str, Any]] = {
    "port": {"port": 1195},
    "protocol": {"protocol": "tcp"},
    "reaches": {"reaches": ["192.0.2.0/24"]},
    "network": {"network": "10.87.0.0/24"},
    "address": {"address": "vpn.example.com"},
}
LINKS: dict[str, dict[str, Any]] = {
    "when_down": {"when_down": "direct"},
    "keep": {"keep": 1},
    "routes": {"routes": ["api.openai.com", "203.0.113.0/28"]},
    "check": {"check": "https://api.openai.com/v1/models"},
}


def runs(host: LabHost) -> int:
    return int(inside(host, "ls /var/lib/novaops/runs 2>/dev/null | wc -l"))


class Switched:
    """A host, and the entry of its section that is applied again and again."""

    def __init__(self, host: LabHost, novaops: Novaops, folder: Path, entry: dict[str, Any]) -> None:
        self.host, self.novaops, self.folder, self.entry = host, novaops, folder, entry

    def apply(self, verb: str = "apply", **more: Any) -> Done:
        inventory = write_inventory(self.folder, self.host, vpn=[{**self.entry, **more}])
        return self.novaops("--json", verb, inventory=inventory)

    def goes(self, status: str, **more: Any) -> None:
        done = self.apply(**more)
        assert (done.code, done.host["status"]) == (0, status), f"{more}: {done.text}"

    def on_and_off(self, switch: dict[str, Any]) -> None:
        self.goes("changed", **switch)
        self.goes("unchanged", **switch)
        before = runs(self.host)
        self.goes("changed")
        self.goes("unchanged")
        for _ in range(runs(self.host) - before):
            done = self.novaops("undo", self.host.name, inventory=self.folder / "inventory.yaml")
            assert done.code == 0, f"{switch}: {done.text}"
        done = self.apply("plan", **switch)
        assert done.code == 0, f"undo of {switch}: {done.text}"
        self.goes("changed")


def test_each_switch_of_a_server_on_and_off(newer: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    server = Switched(newer, novaops, tmp_path, {"name": "vpn", "serve": True})
    server.goes("changed")
    rules = "nft list ruleset; iptables-save 2>/dev/null | grep -v '^[#:]'; true"
    before = newer.run(rules)
    for switch in SERVERS.values():
        server.on_and_off(switch)
        assert newer.run(rules).count("masquerade") == before.count("masquerade"), switch


def test_each_switch_of_a_link_on_and_off(country: Country) -> None:
    country.server.start()
    assert country.up().code == 0
    entry = {"name": "canada", "profile": "client.ovpn", "routes": ["api.openai.com"]}
    link = Switched(country.client, country.novaops, country.folder, entry)
    link.goes("unchanged")
    for switch in LINKS.values():
        link.on_and_off(switch)
        assert country.link()["works"]
