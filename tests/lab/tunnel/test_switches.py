"""Every setting of a tunnel that can be switched on a host that has it: on, off, a second run that changes nothing, and undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.lab.tunnel.test_tunnel import Tunnels, entry, shut_off, statuses, write
from tests.support.links import inside
from tests.support.world.world import World

pytestmark = pytest.mark.long

REVERSE = {"reverse": True, "to": "127.0.0.1:22", "listen": "127.0.0.1:9000"}
SWITCHES: dict[str, dict[str, Any]] = {
    "supervisor": {"supervisor": "systemd"},
    "transparent": {"transparent": True},
    "check": {"check": "https://api.lab.test/v1/models", "every": 5},
    "listen": {"listen": "127.0.0.1:8555"},
    "listen to all": {"listen": "0.0.0.0:8443"},
    "reverse": REVERSE,
    "reverse, listening to all": {**REVERSE, "listen": "0.0.0.0:9000"},
    "two forwards": {
        "to": None,
        "listen": None,
        "forwards": [{"to": "api.lab.test:443", "listen": 8443}, {"to": "127.0.0.1:22", "listen": 2022}],
    },
    "address": {"via_address": "newer.lab.test:22"},
    "gateway": {"via": "third"},
}
MORE_RIGHTS = {"two forwards"}
"""The switches with which the gateway lets a key do more."""


def runs(host: LabHost) -> set[str]:
    """Only the newest ones are kept: their number says nothing."""
    return set(inside(host, "ls /var/lib/novaops/runs 2>/dev/null || true").split())


def test_each_switch_of_a_tunnel_on_and_off(
    container: LabHost, newer: LabHost, third: LabHost, world: World, novaops: Novaops, tmp_path: Path
) -> None:
    hosts = {"box": container, "newer": newer, "third": third}
    for host in hosts.values():
        world.prepare(host)
    world.names.names["newer.lab.test"] = [newer.address]
    shut_off(container, world)
    inventory = write(tmp_path, container, newer, [entry()])
    known = json.loads(inventory.read_text())
    known["hosts"]["third"] = {**known["hosts"]["newer"], "address": third.address}
    tunnel = Tunnels(novaops, inventory)

    def wanted(section: dict[str, Any]) -> None:
        known["hosts"]["box"]["tunnel"] = [{key: value for key, value in section.items() if value is not None}]
        inventory.write_text(json.dumps(known), "utf-8")

    def up(section: dict[str, Any]) -> set[str]:
        wanted(section)
        return set(statuses(tunnel("up")).values())

    def left(section: dict[str, Any]) -> set[str]:
        """The fields that would be changed."""
        wanted(section)
        hosts = novaops("tunnel", "up", "--check", "--json", inventory=inventory).json["hosts"]
        return {change["field"] for host in hosts for step in host["steps"] for change in step["changes"]}

    up(entry())
    for name, switch in SWITCHES.items():
        on = entry(**switch)
        assert "changed" in up(on), name
        assert up(on) == {"unchanged"}, name
        before = {label: runs(one) for label, one in hosts.items()}
        assert "changed" in up(entry()), name
        assert up(entry()) == {"unchanged"}, name
        for label, known_before in before.items():
            for _ in runs(hosts[label]) - known_before:
                done = novaops("undo", label, inventory=inventory)
                assert done.code == 0, f"{name}: {done.text}"
        # Each end is undone by itself: a connection that was made in between has the rights of before, and has to be made anew.
        assert left(on) <= ({"connection"} if name in MORE_RIGHTS else set()), f"{name}: undo"
        up(on)
        assert up(on) == {"unchanged"}, f"{name}: undo"
        up(entry())
