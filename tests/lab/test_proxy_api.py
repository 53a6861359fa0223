"""`novaops proxy deploy` in front of an API: the real SDK and curl stream through each mode, over TLS from a real ACME server."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from novaops.lab import Lab, LabHost
from tests.lab.conftest import Novaops
from tests.lab.things import write_inventory
from tests.lab.world.api import KEY
from tests.lab.world.fixtures import World, _world, world

__all__ = ["_world", "world"]

PASSWORD, TOKEN = "wired-Fjord$8 'kite\" é", "glass-Tundra-$1-{x};#"
ENV = {"PASSWORD": PASSWORD, "KEY": KEY, "TOKEN": TOKEN, "OTHER": "second-Glacier-77"}
MODES = ("inject", "token", "passthrough")


def sites(world: World, here: str, **more: Any) -> list[dict[str, Any]]:
    """One for each mode, named after it."""
    auth: dict[str, Any] = {
        "inject": {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY"},
        "token": {"token": {"laptop": "env:TOKEN", "phone": "env:OTHER"}},
        "passthrough": {"passthrough": True, "from": [f"{here}/32"]},
    }
    certified = {"tls": "letsencrypt", "acme": world.acme.directory, "email": "me@example.com"}
    return [{"name": mode, "provider": "openai", "domain": f"{mode}.lab.test", "auth": auth[mode], **certified, **more} for mode in MODES]


@dataclass(frozen=True)
class Gate:
    host: LabHost
    inventory: Path
    context: ssl.SSLContext
    before: str
    """What /etc was like."""

    def client(self, mode: str, **over: Any) -> openai.OpenAI:
        """The SDK, set up for a mode as docs/proxy.md says it."""
        headers = {
            "inject": {"Authorization": "Basic " + base64.b64encode(f"nova:{PASSWORD}".encode()).decode()},
            "token": {"X-Novaops-Token": TOKEN},
            "passthrough": {},
        }[mode]
        options: dict[str, Any] = {
            "base_url": f"https://{mode}.lab.test/v1",
            "api_key": "none-of-the-clients" if mode == "inject" else KEY,
            "default_headers": headers,
            "max_retries": 0,
            "timeout": 10,
            "http_client": openai.DefaultHttpxClient(verify=self.context),
        }
        return openai.OpenAI(**{**options, **over})


SNAPSHOT = "cd / && find etc/nginx etc/letsencrypt -type f 2>/dev/null | sort | xargs -r sha256sum; systemctl is-active nginx || true"


@pytest.fixture(scope="module", params=["container", pytest.param("newer")])
def gate(request: pytest.FixtureRequest, lab: Lab, _world: World, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """A host with a site for each mode, deployed by one run."""
    host = lab.reset(request.getfixturevalue({"container": "_container", "newer": "_newer"}[request.param]).name)
    _world.prepare(host)
    for mode in MODES:
        _world.names.names[f"{mode}.lab.test"] = [host.address]
    inventory = write_inventory(tmp_path_factory.mktemp("gate"), host, proxy=sites(_world, _world.address))
    before = host.run(SNAPSHOT)
    done = Novaops(lab)("proxy", "deploy", "--json", inventory=inventory, env=ENV)
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "changed", 3), done.text
    return Gate(host, inventory, _world.acme.context(), before)


@pytest.fixture(autouse=True)
def names(gate: Gate, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sites' names lead to the host, for it and for us."""
    world.prepare(gate.host)
    for mode in MODES:
        world.names.names[f"{mode}.lab.test"] = [gate.host.address]
    real = socket.getaddrinfo

    def found(name: Any, *rest: Any, **more: Any) -> Any:
        text = name.decode() if isinstance(name, bytes) else name
        return real(gate.host.address if str(text).endswith(".lab.test") else name, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


def asks(client: openai.OpenAI) -> tuple[str, list[float]]:
    """What was streamed, and when its parts came, in seconds after the question."""
    began, said, times = time.monotonic(), "", []
    stream = client.chat.completions.create(model="gpt-4o-mini", stream=True, messages=[{"role": "user", "content": "Count."}])
    for chunk in stream:
        times.append(time.monotonic() - began)
        said += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    return said, times


@pytest.mark.parametrize("mode", MODES)
def test_the_sdk_streams(gate: Gate, world: World, mode: str) -> None:
    with gate.client(mode) as client:
        said, times = asks(client)
    assert said, "nothing was streamed"
    assert times[0] < 1, times
    assert len({round(at, 1) for at in times}) >= 3, times
    (request,) = world.api.requests
    assert_is_nobodys(request, gate)


def assert_is_nobodys(request: Any, gate: Gate) -> None:
    """What the API sees: a request of its own kind, from nobody in particular."""
    assert (request.sni, request.header("Host"), request.version) == ("api.openai.com", "api.openai.com", "HTTP/1.1")
    assert request.header("Authorization") == f"Bearer {KEY}"
    told = {name.lower() for name, _ in request.headers}
    assert not told & {
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
        "via",
        "x-novaops-token",
        "cookie",
        "x-forwarded-host",
        "x-forwarded-proto",
    }
    whole = repr(request.headers)
    for secret in (PASSWORD, TOKEN, "nova:", gate.host.name, world_address(gate)):
        assert secret not in whole


def world_address(gate: Gate) -> str:
    """Ours, as the host sees it."""
    return gate.host.address.rpartition(".")[0] + ".1"
