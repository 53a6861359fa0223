"""A real model, asked the same question by every route that hosts offer: the answer is the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from tests.lab.api.test_api import routes
from tests.lab.conftest import Done, Novaops
from tests.lab.tunnel.test_tunnel import ends, write
from tests.lab.vpn.test_vpn import installed
from tests.support.local_model import Local
from tests.support.relay import Relay
from tests.support.vpn_world import outside
from tests.support.world.world import World

__all__ = ["ends"]

NAME = "llm.lab.test"
CERTIFICATE = "/etc/ssl/gate"
QUESTION = ("--model", "smollm2-135m", "--temperature", "0", "--seed", "7", "--max-tokens", "10", "What is the capital of France?")


@dataclass
class Model:
    """The model behind TLS, at an address that is no neighbour of the hosts; newer has a site before it."""

    local: Local
    relay: Relay
    world: World
    client: LabHost
    gateway: LabHost
    novaops: Novaops
    folder: Path

    @property
    def upstream(self) -> str:
        return f"https://{NAME}:{self.relay.port}/v1"

    def inventory(self, **sections: object) -> None:
        """With these sections of the client."""
        auth = {"keys": {"laptop": "env:CLIENT_KEY"}, "inject": "env:MODEL_KEY"}
        files = {"tls": "files", "certificate": f"{CERTIFICATE}.pem", "key": f"{CERTIFICATE}.key"}
        site = {"name": "llm", "provider": "local", "upstream": self.upstream, "domain": self.gateway.address, "auth": auth, **files}
        file = write(self.folder, self.client, self.gateway, (), proxy=[site])
        known = json.loads(file.read_text())
        known["hosts"][self.client.name] |= sections
        file.write_text(json.dumps(known))

    def run(self, *words: str) -> Done:
        trusted = {"SSL_CERT_FILE": str(self.world.authority.root), "HOME": str(self.local.home)}
        secrets = {"CLIENT_KEY": "sk-laptop-Birch-7", "MODEL_KEY": self.local.key}
        return self.novaops(*words, inventory=self.folder / "inventory.yaml", env={**trusted, **secrets})

    def does(self, *words: str) -> None:
        done = self.run(*words)
        assert done.code == 0, done.text

    def checked(self, host: str, code: int = 0) -> dict[str, Any]:
        """What `api check` says of each route; the fastest one is a key of its own."""
        done = self.run("api", "check", host, "--json", "--no-stream")
        assert done.code == code, done.text
        sys.stderr.write(done.out)  # why a route does not work, where that is not meant
        return {name: route["works"] for name, route in routes(done.host).items()} | {"fastest": done.host["apis"][0]["fastest"]}

    def answer(self, via: str, upstream: str = "") -> str:
        done = self.run("api", "chat", "--json", "--provider", "local", "--upstream", upstream or self.upstream, "--via", via, *QUESTION)
        assert done.code == 0, done.text
        assert (done.json["route"], done.json["usage"]["answer_tokens"] > 0) == (via, True)
        return str(done.json["answers"][0]["text"])


@pytest.fixture
def model(local_model: Local, lab: Lab, ends: tuple[LabHost, LabHost], world: World, novaops: Novaops, tmp_path: Path) -> Iterator[Model]:
    client, gateway = ends
    with outside(network_up(lab.directory).bridge, 1) as [address]:
        target = ("127.0.0.1", urlsplit(local_model.url).port or 0)
        with Relay(target, address=address, tls=world.authority.leaf(NAME, address).context()) as relay:
            world.names.names[NAME] = [address]
            leaf = world.authority.leaf(gateway.address)
            gateway.run(f"cat >{CERTIFICATE}.pem", stdin=leaf.certificate.read_text())
            gateway.run(f"umask 077; cat >{CERTIFICATE}.key", stdin=leaf.key.read_text())
            made = Model(local_model, relay, world, client, gateway, novaops, tmp_path)
            made.inventory()
            made.does("proxy", "deploy", "newer")
            yield made


@pytest.mark.long
def test_the_answer_is_the_same_by_every_route(model: Model) -> None:
    here = model.answer("direct", model.local.url)
    assert here
    for via in ("newer", "proxy:newer/llm"):
        before = model.relay.passed["up"]  # and not its connections: nginx keeps one for a while
        assert model.answer(via) == here, via
        assert model.relay.passed["up"] > before, via
    found = model.checked("newer")
    assert found.pop("fastest") in found
    assert found == {"direct": True, "proxy newer/llm": True}


@pytest.mark.long
def test_a_client_that_is_cut_off_gets_it_by_a_tunnel_and_by_a_vpn(model: Model) -> None:
    here = model.answer("direct", model.local.url)
    for host in (model.client, model.gateway):
        installed(host, "openvpn nftables")
    model.client.run(f"ip route replace unreachable {model.relay.address} metric 4000")
    assert model.run("api", "chat", "--provider", "local", "--upstream", model.upstream, "--via", "box", *QUESTION).code in {1, 5}

    model.inventory(
        tunnel=[{"name": "llm", "via": "newer", "to": f"{NAME}:{model.relay.port}", "listen": "127.0.0.1:8443", "transparent": True}]
    )
    model.does("tunnel", "up", "box")
    assert model.answer("box") == here
    found = model.checked("box")
    assert (found["direct"], found["tunnel llm"], found["proxy newer/llm"]) == (False, True, True)
    assert found["fastest"] in {"tunnel llm", "proxy newer/llm"}
    model.does("tunnel", "down", "box")

    model.does("vpn", "serve", "newer")
    model.does("vpn", "client", "add", "newer", "box", "--out", str(model.folder / "box.ovpn"))
    model.inventory(vpn=[{"name": "llm", "profile": "box.ovpn", "routes": [NAME], "check": f"{model.upstream}/models"}])
    model.does("vpn", "up", "box")
    assert model.answer("box") == here
    assert model.checked("box")["vpn llm"] is True
