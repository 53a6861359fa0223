"""`novaops api check` on a host with a tunnel: every way side by side, and what `direct` is where the name has been taken over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.lab.tunnel.test_tunnel import ends, entry, write
from tests.support.world.world import World

__all__ = ["ends"]


@pytest.mark.long
def test_direct_past_a_transparent_tunnel(novaops: Novaops, ends: tuple[LabHost, LabHost], world: World, tmp_path: Path) -> None:
    client, gateway = ends
    inventory = write(tmp_path, client, gateway, [entry(to="api.openai.com:443", transparent=True)])
    done = novaops("apply", "--json", inventory=inventory)
    assert done.code == 0, done.text

    def routes(code: int = 0) -> dict[str, Any]:
        done = novaops("api", "check", "box", "--json", inventory=inventory)
        assert done.code == code, done.text
        return {route["route"]: route for route in done.host["apis"][0]["routes"]}

    front = client.run("getent hosts api.openai.com").split()[0]
    found = routes()
    assert list(found) == ["direct", "tunnel api"]
    past = f"(past the transparent tunnel, which leads api.openai.com to {front})"
    assert found["direct"]["verdict"] == f"reachable: the API asks for a key {past}"
    assert (found["direct"]["address"], found["tunnel api"]["address"]) == (world.address, "127.0.0.1")
    assert found["tunnel api"]["verdict"] == "reachable through newer: the API asks for a key"
    assert {request.client for request in world.api.requests[-2:]} == {client.address, gateway.address}

    world.names.names.pop("api.openai.com")
    world.names.forward = False
    found = routes(code=1)
    assert f"by the transparent tunnel: this host leads api.openai.com to {front}, and DNS tells no other" in found["direct"]["verdict"]
    assert "newer does not reach api.openai.com:443" in found["tunnel api"]["verdict"], "it asks the same DNS server"
    world.names.names["api.openai.com"] = [world.address]

    client.run("systemctl stop novaops-tunnel-api.service novaops-tunnel-api-check.timer")
    found = routes()
    assert found["direct"]["works"]
    assert found["tunnel api"]["verdict"].startswith("the listener 127.0.0.1:8443 refuses the connection")
