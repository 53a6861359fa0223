"""`novaops api check` from a real host: by every route, against an API that answers, and against all that goes wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.support.things import ending, write_inventory
from tests.support.world import Authority, FakeApi
from tests.support.world.api import KEY
from tests.support.world.world import World

PASSWORD, TOKEN = "wired-Fjord$8 'kite\" é", "glass-Tundra-1x"
ENV = {"PASSWORD": PASSWORD, "KEY": KEY, "TOKEN": TOKEN}
WITH_KEY = ("--key", "env:KEY")
CERTIFICATE = "/etc/ssl/gate"
MODES = ("inject", "token", "passthrough")


@dataclass(frozen=True)
class Gate:
    """A host with a site of each mode, which is also the one that uses them."""

    host: LabHost
    inventory: Path


@pytest.fixture(scope="module")
def gate(lab: Lab, _container: LabHost, _world: World, novaops: Novaops, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    host = lab.reset(_container.name)
    _world.prepare(host)
    _world.names.names.update({f"{mode}.lab.test": [host.address] for mode in MODES})
    leaf = _world.authority.leaf(*(f"{mode}.lab.test" for mode in MODES))
    host.run(f"cat >{CERTIFICATE}.pem", stdin=leaf.certificate.read_text())
    host.run(f"umask 077; cat >{CERTIFICATE}.key", stdin=leaf.key.read_text())
    auth: Mapping[str, Any] = {
        "inject": {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY"},
        "token": {"token": "env:TOKEN"},
        "passthrough": {"passthrough": True, "from": [f"{host.address}/32"]},
    }
    files = {"tls": "files", "certificate": f"{CERTIFICATE}.pem", "key": f"{CERTIFICATE}.key"}
    sites = [{"name": mode, "provider": "openai", "domain": f"{mode}.lab.test", "auth": auth[mode], **files} for mode in MODES]
    inventory = write_inventory(tmp_path_factory.mktemp("gate"), host, proxy=sites)
    done = novaops("proxy", "deploy", inventory=inventory, env=ENV)
    assert done.code == 0, done.text
    return Gate(host, inventory)


@pytest.fixture
def here(gate: Gate, world: World) -> Iterator[Gate]:
    """The same, in a world as it is at first."""
    world.names.names.update({f"{mode}.lab.test": [gate.host.address] for mode in MODES})
    yield gate
    assert gate.host.run("ls -d /tmp/tmp.* 2>/dev/null; pgrep -a curl || true") == "", "nothing is left behind"


@contextmanager
def _says(address: str, text: bytes) -> Iterator[int]:
    """The port of what says this to everybody, whatever comes in, and hangs up."""
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(10)
                        connection.sendall(text)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def routes(found: Any) -> dict[str, Any]:
    """Those to the only API of a host."""
    (api,) = found["apis"]
    return {route["route"]: route for route in api["routes"]}


def test_every_route_works_and_streams(here: Gate, world: World, novaops: Novaops) -> None:
    done = novaops("api", "check", "box", "--json", *WITH_KEY, inventory=here.inventory, env=ENV)
    assert done.code == 0, done.text
    found = routes(done.host)
    assert list(found) == ["direct", *(f"proxy box/{mode}" for mode in MODES)]
    assert (done.host["execs"], done.host["status"], done.json["exit_code"]) == (1, "unchanged", 0)
    for name, route in found.items():
        assert (route["works"], route["http_status"], route["stream"]["streams"]) == (True, 200, True), route
        assert (route["stream"]["events"], route["stream"]["arrivals"]) == (5, 5)
        assert route["stream"]["first_ms"] + 900 < route["stream"]["last_ms"] < 4000, "five events, 0.3 s apart"
        assert route["addresses"] == [world.address if name == "direct" else here.host.address]
        assert 0 <= route["tcp_ms"] < route["ttfb_ms"]
        assert 0 < route["tls_ms"] < route["ttfb_ms"]
    fastest = min(found.values(), key=lambda route: float(route["ttfb_ms"]))
    assert done.host["apis"][0]["fastest"] == fastest["route"]
    asked = {(request.method, request.path) for request in world.api.requests}
    assert asked == {("GET", "/v1/models"), ("POST", "/v1/chat/completions")}
    assert all(secret not in done.text for secret in ENV.values())


def test_no_secret_is_in_the_words_of_a_process(here: Gate, world: World, novaops: Novaops) -> None:
    """Looked at while every curl waits for its answer."""
    world.api.behaviour.delay_s = 3600
    with ending(novaops.start("api", "check", "box", "--timeout", "10", *WITH_KEY, inventory=here.inventory, env=ENV)) as process:
        assert wait_until(lambda: len(world.api.requests) == len(MODES) + 1, 20)
        words = here.host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        out, _ = process.communicate(timeout=180)
    assert words.count("curl -q") >= len(MODES) + 1
    assert all(secret not in words for secret in ENV.values())
    assert process.returncode == 1
    assert "takes the request, and does not answer within 4 s → --timeout waits longer" in out


def test_without_a_key_and_without_secrets(here: Gate, novaops: Novaops) -> None:
    """What can be seen all the same: a missing secret is no error of the command."""
    done = novaops("api", "check", "box", "--json", inventory=here.inventory)
    assert done.code == 0, done.text
    wrong = novaops("api", "check", "box", "--key", "env:NONE", inventory=here.inventory)
    assert (wrong.code, "the environment variable NONE is not set" in wrong.err) == (2, True)
    found = routes(done.host)
    said = {name: (route["works"], route["http_status"], route["verdict"], route["stream"]["why"]) for name, route in found.items()}
    lacks = "answers and asks for its user or token, and none was sent: the environment variable"
    untried = "not tried: no key (--key env:NAME)"
    assert said == {
        "direct": (True, 401, "reachable: the API asks for a key", untried),
        "proxy box/inject": (False, 401, f"box {lacks} PASSWORD is not set", ""),
        "proxy box/token": (False, 401, f"box {lacks} TOKEN is not set", ""),
        "proxy box/passthrough": (True, 401, "reachable through box: the API asks for a key", untried),
    }


def test_what_a_person_reads(here: Gate, world: World, novaops: Novaops) -> None:
    """The host's own region is refused, one proxy buffers, one does not know the password; what works is named."""
    site = "/etc/nginx/conf.d/novaops-token.conf"
    buffer = f"sed -i.before 's/proxy_buffering off/proxy_buffering on/' {site} && systemctl restart nginx"
    here.host.run(f"grep -q 'proxy_buffering off' {site} && mv {site} {site}.before && cp -p {site}.before {site} && {buffer}")
    world.names.names["api.openai.com"] = [world.address]
    try:
        env = {**ENV, "PASSWORD": "another-Fjord-9"}
        done = novaops("api", "check", "box", *WITH_KEY, inventory=here.inventory, env=env)
    finally:
        here.host.run(f"mv {site}.before {site} && systemctl restart nginx")
    assert done.code == 0, done.text
    head, direct, inject, token, passthrough = done.out.splitlines()[:5]
    assert head.split() == ["ROUTE", "DNS", "TCP", "TLS", "HTTP", "TTFB", "STREAMS", "VERDICT"]
    assert "✓ reachable" in direct
    assert "yes: 5 events from " in direct
    assert f"✘ box does not take the user or token of the inventory → novaops -i {here.inventory} proxy deploy puts them there" in inject
    assert "✘ reachable through box, but answers do not stream: 5 events came in 1 lump" in token
    assert "✓ reachable through box" in passthrough
    assert sum("; the fastest" in line for line in done.out.splitlines()) == 1


def test_one_working_route_is_enough_and_none_is_not(here: Gate, world: World, novaops: Novaops) -> None:
    """A region that is refused, seen from here and from the proxy; then an API that is gone behind a proxy that is not."""
    world.api.behaviour.region_refused = True
    done = novaops("api", "check", "box", "--json", *WITH_KEY, inventory=here.inventory, env=ENV)
    assert (done.code, done.host["status"], done.json["exit_code"], done.host["error"]) == (1, "failed", 1, None)
    found = routes(done.host)
    refused = ": Country, region, or territory not supported"
    assert found["direct"]["verdict"] == f"reachable, but refuses this host's region{refused}"
    assert found["proxy box/token"]["verdict"] == f"reachable through box, but refuses the region of box{refused}"
    assert done.host["apis"][0]["fastest"] is None
    world.api.stop()
    done = novaops("api", "check", "box", inventory=here.inventory, env=ENV)
    assert done.code == 1
    assert f"api.openai.com:443 ({world.address}) refuses the connection" in done.out
    said = f"✘ box cannot reach the API, or does not trust its certificate → novaops -i {here.inventory} proxy status"
    assert done.out.count(said) == len(MODES)


def _verdicts(ports: Mapping[str, int], address: str) -> dict[str, str]:
    """What is said of each API whose own fault it is named after."""
    a = f"({address})"
    nothing = "there is no such name, or its name servers fail"
    untrusted = "comes from an authority that this host does not trust"
    return {
        "wrong-name": "the certificate of wrong-name.lab.test is not for this name",
        "expired": "the certificate of expired.lab.test has expired",
        "not-yet": "the certificate of not-yet.lab.test is not valid yet: look at the host's clock",
        "stranger": f"the certificate of stranger.lab.test {untrusted}, or lacks its intermediate ones",
        "leaf-only": f"the certificate of leaf-only.lab.test {untrusted}, or lacks its intermediate ones",
        "slow": f"slow.lab.test:{ports['slow']} {a} takes the request, and does not answer within 12 s",
        "late": "reachable: the API asks for a key",
        "cut": f"cut.lab.test:{ports['cut']} {a} cuts the connection instead of an answer",
        "page": "something else answers: 200 and a web page (“Log in to the hotel”), where the API answers with JSON",
        "elsewhere": "something else answers: 302, which leads to https://login.example.com/",
        "forbidden": "reachable, but the API forbids it (403): not you",
        "broken": "reachable, but the API is in trouble (503): later",
        "working": "reachable: the API asks for a key",
        "mute": f"mute.lab.test:{ports['mute']} {a} takes the connection, and then is silent in the TLS handshake (8 s)",
        "plain": "no TLS there: plain.lab.test answers something else",
        "filtered": "the connection is cut in the TLS handshake: so does a filter that looks for the name filtered.lab.test",
        "refused": f"refused.lab.test:1 {a} refuses the connection: nothing listens there, or a firewall says so",
        "silent": "silent.lab.test:443 (198.51.100.77) does not answer within 8 s: packets are lost, which is what a blocked address "
        "and a firewall that drops look like",
        "no-such": f"DNS gives no address for no-such.lab.test: {nothing}",
        "servfail": f"DNS gives no address for servfail.lab.test: {nothing}",
    }


def test_all_that_goes_wrong_on_the_way(here: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """Each fault is an API of its own, and all are looked at in one exec. Nothing waits for anything else."""
    with ExitStack() as ends:
        ports: dict[str, int] = {}

        def serve(name: str, leaf: Any = None, **behaviour: Any) -> None:
            api = ends.enter_context(FakeApi(world.address, 0, leaf or world.authority.leaf(f"{name}.lab.test"), strict=False))
            ports[name] = api.port
            for key, value in behaviour.items():
                setattr(api.behaviour, key, value)

        serve("wrong-name", world.authority.leaf("other.lab.test"))
        serve("expired", world.authority.leaf("expired.lab.test", expired=True))
        serve("not-yet", world.authority.leaf("not-yet.lab.test", not_yet=True))
        serve("stranger", Authority(tmp_path / "stranger").leaf("stranger.lab.test"))
        serve("leaf-only", world.authority.leaf("leaf-only.lab.test", leaf_only=True))
        serve("slow", delay_s=3600)
        serve("late", delay_s=0.5)
        serve("cut", cut="answer")
        page = b"<html><head><title>Log in to\n the hotel</title></head></html>"
        serve("page", status=200, body=page, content_type="text/html; charset=utf-8")
        serve("elsewhere", status=302, headers=[("Location", "https://login.example.com/")])
        serve("forbidden", status=403, body=b'{"error": {"message": "not you"}}', content_type="application/json")
        serve("broken", status=503, body=b'{"error": {"message": "later"}}', content_type="application/json")
        serve("working")
        mute = ends.enter_context(socket.create_server((world.address, 0)))
        plain = ends.enter_context(_says(world.address, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        filtered = ends.enter_context(_says(world.address, b""))
        ports |= {"mute": mute.getsockname()[1], "plain": plain, "filtered": filtered, "refused": 1}
        ports |= dict.fromkeys(("silent", "no-such", "servfail"), 443)
        world.names.names.update({f"{name}.lab.test": [world.address] for name in ports if name not in {"no-such", "servfail"}})
        world.names.names["silent.lab.test"] = ["198.51.100.77"]
        world.names.failing.add("servfail.lab.test")
        world.names.forward = False
        here.host.run("ip route add 198.51.100.77 dev lo")  # what goes there comes to nobody
        open_ = {"tls": "off", "auth": {"passthrough": True, "from": "192.0.2.0/24"}}
        sites = [
            {"name": name, "upstream": f"https://{name}.lab.test:{port}/v1", "domain": f"*.{name}.test", **open_}
            for name, port in ports.items()
        ]
        inventory = write_inventory(tmp_path, here.host, proxy=sites)
        done = novaops("api", "check", "box", "--json", "--timeout", "30", inventory=inventory)
        here.host.run("ip route del 198.51.100.77 dev lo")
    assert (done.code, done.host["execs"]) == (1, 1), done.text
    apis = {api["api"].partition(".")[0]: api for api in done.host["apis"]}
    said = {name: api["routes"][0]["verdict"] for name, api in apis.items()}
    assert said == _verdicts(ports, world.address)
    assert {name for name, api in apis.items() if api["works"]} == {"late", "working"}
    first = {name: api["routes"][0] for name, api in apis.items()}
    late = first["late"]
    assert late["ttfb_ms"] - late["dns_ms"] - late["tcp_ms"] - late["tls_ms"] > 490, "each phase has its own time"
    assert [first["silent"][key] for key in ("tcp_ms", "tls_ms", "ttfb_ms", "http_status")] == [None] * 4
    assert first["wrong-name"]["tls_ms"] is None
    untried = {api["routes"][1]["verdict"] for api in apis.values()}
    assert "not tried: *.mute.test is a pattern, and no name to ask for" in untried


def test_a_provider_of_ones_own_and_a_dead_name_server(here: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """Its key stands in another header, its answers come in one lump, and one lump is no stream. Nobody need be root to see that."""
    inventory = write_inventory(tmp_path, here.host, user="plain")
    (tmp_path / "providers").mkdir()
    stream = {"path": "/v2/chat/completions", "body": {"stream": True, "say": "“\"'\\ \n"}}
    lumpy = {"probe": "/v2/models", "key": {"header": "x-api-key", "scheme": ""}, "stream": stream}
    with FakeApi(world.address, 0, world.leaf) as api:
        api.header, api.scheme = "x-api-key", ""
        api.behaviour.interval_s = 0
        endpoints = [{"host": "api.lab.test", "port": api.port, "path": "/v2"}]
        (tmp_path / "providers" / "lumpy.yaml").write_text(json.dumps({**lumpy, "endpoints": endpoints}))
        words = ("api", "check", "box", "--json", "--provider", "lumpy", *WITH_KEY)
        lumped = novaops(*words, inventory=inventory, env=ENV)
        unasked = novaops(*words, "--no-stream", inventory=inventory, env=ENV)
        assert json.loads(api.requests[1].body) == stream["body"]
    assert (lumped.code, unasked.code) == (1, 0), lumped.text + unasked.text
    assert routes(lumped.host)["direct"]["stream"]["streams"] is False
    assert "reachable, but answers do not stream: 5 events came in 1 lump" in routes(lumped.host)["direct"]["verdict"]
    assert routes(unasked.host)["direct"]["stream"]["why"] == "not tried: --no-stream"
    world.names.stop()
    done = novaops("api", "check", "box", "--timeout", "5", inventory=inventory)
    assert done.code == 1
    assert "✘ DNS does not answer within 1 s" in done.out or "✘ DNS gives no address" in done.out, done.out


def test_a_host_without_curl(here: Gate, novaops: Novaops) -> None:
    here.host.run("mv /usr/bin/curl /usr/bin/curl-away")
    try:
        done = novaops("api", "check", "box", inventory=here.inventory, env=ENV)
    finally:
        here.host.run("mv /usr/bin/curl-away /usr/bin/curl")
    assert done.code == 1
    assert "this host has no curl, and novaops looks with it" in done.out
    assert "→ apt-get install curl" in done.out
