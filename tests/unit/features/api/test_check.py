"""The routes that a check collects from the inventory, and its secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import UsageError
from novaops.features.api.check import collect_routes, resolver
from novaops.features.api.routes import ApiChoice
from novaops.features.api.verdict import ApiRoute


def collect(folder: Path, hosts: dict[str, Any], key: str | None = None) -> dict[str, list[ApiRoute]]:
    file = folder / "inventory.yaml"
    file.write_text(json.dumps({"hosts": hosts}), "utf-8")
    playbooks = Playbooks(folder)
    known = inventory.load(file, list(playbooks.by_name))
    return collect_routes(known, playbooks, [known.hosts["box"]], ApiChoice(), key, streaming=True, timeout=30)


def site(name: str, provider: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "provider": provider, "domain": f"{name}.example.com", "tls": "off", "auth": {"token": "env:NONE"}, **more}


TUNNEL = {"name": "t", "via": "canada", "to": "api.openai.com:443", "listen": 8443}


def test_every_way_that_the_inventory_has(tmp_path: Path) -> None:
    """Sites and tunnels of every host, VPNs of this one; and of all those only what should be there."""
    web = {"name": "web", "domain": "www.example.com", "tls": "off", "upstreams": ["10.0.0.1:8000"]}
    canada = {"address": "192.0.2.1", "proxy": [site("gate", "openai"), site("old", "sensenova", state="absent"), web]}
    (tmp_path / "a.ovpn").touch()
    vpn = {"profile": "a.ovpn", "routes": ["api.openai.com"], "check": "https://a.example.com/"}
    own = {"tunnel": [TUNNEL, {"name": "u", "state": "absent"}], "vpn": [{"name": "v", **vpn}]}
    found = collect(tmp_path, {"box": {"address": "192.0.2.2", **own}, "canada": {**canada, "vpn": [{"name": "w", **vpn}]}})
    assert {host: [route.name for route in routes] for host, routes in found.items()} == {
        "box": ["direct", "proxy canada/gate", "tunnel t", "vpn v"]
    }
    assert [route.probe.seconds for route in found["box"] if route.probe] == [12] * 4


def test_a_key_is_for_one_api(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say whose key it is: --provider NAME") as raised:
        collect(tmp_path, {"box": {"address": "192.0.2.2", "proxy": [site("a", "openai"), site("b", "sensenova")]}}, "env:NONE")
    assert raised.value.why == "The inventory has openai, sensenova, and each would get to see it."


def test_a_secret_is_looked_up_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    resolve = resolver()
    assert {resolve(f"cmd:echo x >>{count}; echo s").reveal() for _ in range(2)} == {"s"}
    for _ in range(2):
        with pytest.raises(UsageError):
            resolve(f"cmd:echo x >>{count}; false")
    assert count.read_text() == "x\n" * 2
