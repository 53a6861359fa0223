"""`novaops proxy deploy` in front of an API: the real SDK and curl stream through each mode, over TLS from a real ACME server."""

from __future__ import annotations

import base64
import json
import random
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.support.things import write_inventory
from tests.support.world.api import KEY, FakeApi
from tests.support.world.authority import Authority
from tests.support.world.world import World

PASSWORD, TOKEN = "wired-Fjord$8 'kite\" é", "glass-Tundra-$1-{x};#"
OWN = "sk-own-Harbor-7741"
ENV = {"PASSWORD": PASSWORD, "KEY": KEY, "TOKEN": TOKEN, "OTHER": "second-Glacier-77", "OWN": OWN, "PHONE": "sk-phone-Meadow-3305"}
MODES = ("keys", "inject", "token", "passthrough")
PAGE = "https://app.example.com"

on_one = pytest.mark.parametrize("gate", ["container", pytest.param("newer", marks=pytest.mark.long)], indirect=True)
"""Debian 12, and Debian 13."""


def sites(world: World, here: str, **more: Any) -> list[dict[str, Any]]:
    """One for each mode, named after it."""
    auth: dict[str, Any] = {
        "inject": {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY"},
        "token": {"token": {"laptop": "env:TOKEN", "phone": "env:OTHER"}},
        "passthrough": {"passthrough": True, "from": [f"{here}/32"]},
        "keys": {"keys": {"laptop": "env:OWN", "phone": "env:PHONE"}, "inject": "env:KEY", "limit": "600/min"},
    }
    more = {"cors": [PAGE], **more}
    certified = {"tls": "letsencrypt", "acme": world.acme.directory, "email": "me@example.com"}
    return [{"name": mode, "provider": "openai", "domain": f"{mode}.lab.test", "auth": auth[mode], **certified, **more} for mode in MODES]


@dataclass(frozen=True)
class Gate:
    host: LabHost
    inventory: Path
    root: Path
    """The authority of the sites' certificates."""
    here: str
    """Our address, as the host sees it."""

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root))

    def client(self, mode: str, **over: Any) -> openai.OpenAI:
        """The SDK, set up for a mode as docs/proxy.md says it."""
        headers = {
            "inject": {"Authorization": "Basic " + base64.b64encode(f"nova:{PASSWORD}".encode()).decode()},
            "token": {"X-Novaops-Token": TOKEN},
            "passthrough": {},
            "keys": {},
        }[mode]
        options: dict[str, Any] = {
            "base_url": f"https://{mode}.lab.test/v1",
            "api_key": {"inject": "none-of-the-clients", "keys": OWN}.get(mode, KEY),
            "default_headers": headers,
            "max_retries": 0,
            "timeout": 10,
            "http_client": openai.DefaultHttpxClient(verify=self.context),
        }
        return openai.OpenAI(**{**options, **over})


@pytest.fixture(scope="module")
def gate(request: pytest.FixtureRequest, lab: Lab, _world: World, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """A host with a site for each mode, deployed by one run."""
    host = lab.reset(request.getfixturevalue({"container": "_container", "newer": "_newer"}[request.param]).name)
    _world.prepare(host)
    for mode in MODES:
        _world.names.names[f"{mode}.lab.test"] = [host.address]
    inventory = write_inventory(tmp_path_factory.mktemp("gate"), host, proxy=sites(_world, _world.address))
    done = Novaops(lab)("proxy", "deploy", "--json", inventory=inventory, env=ENV)
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "changed", 3), done.text
    return Gate(host, inventory, _world.acme.root, _world.address)


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


def curl(gate: Gate, mode: str, path: str, *words: str, let_in: bool = True, scheme: str = "https") -> subprocess.Popen[str]:
    """A request of curl, asking the site, with what lets it in."""
    known = {
        "inject": ["-u", f"nova:{PASSWORD}"],
        "token": ["-H", f"X-Novaops-Token: {TOKEN}", "-H", f"Authorization: Bearer {KEY}"],
        "passthrough": ["-H", f"Authorization: Bearer {KEY}"],
        "keys": ["-H", f"Authorization: Bearer {OWN}"],
    }[mode]
    name = f"{mode}.lab.test"
    to = [option for port in (80, 443) for option in ("--resolve", f"{name}:{port}:{gate.host.address}")]
    command = ["curl", "-sS", "-N", "--cacert", str(gate.root), *to, *(known if let_in else []), *words, f"{scheme}://{name}{path}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


CURL_HTTP2 = 16
"""After a reload of nginx, a worker that ends turns a connection away on which no request has begun. Clients ask again, curl does not."""


def answer(gate: Gate, mode: str, path: str, *words: str, **more: Any) -> tuple[int, str]:
    """Status and body."""
    for _ in range(2):
        asked = curl(gate, mode, path, "-w", "\n%{http_code}", *words, **more)
        out, _ = asked.communicate(timeout=180)
        if asked.returncode != CURL_HTTP2:
            break
    body, _, status = out.rpartition("\n")
    return int(status), body


def assert_streams(times: list[float]) -> None:
    assert times, "nothing was streamed"
    assert times[0] < 1, times
    assert len({round(at, 1) for at in times}) >= 3, times


@on_one
@pytest.mark.parametrize("mode", MODES)
def test_the_sdk_streams(gate: Gate, world: World, mode: str) -> None:
    with gate.client(mode) as client:
        said, times = asks(client)
    assert said
    assert_streams(times)
    (request,) = world.api.requests
    assert_is_nobodys(request, gate)


@on_one
def test_curl_streams(gate: Gate, world: World) -> None:
    """Over HTTP/2, as it likes to, and while it claims to be somebody."""
    claims = ["X-Forwarded-For: 203.0.113.9", "X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9", "Cookie: a=b", "CF-IPCountry: CN"]
    words = [word for claim in claims for word in ("-H", claim)]
    for mode in MODES:
        world.api.requests.clear()
        began = time.monotonic()
        with curl(gate, mode, "/v1/chat/completions", "-d", '{"model": "m", "stream": true}', *words) as process:
            assert process.stdout is not None
            times = [time.monotonic() - began for line in process.stdout if line.startswith("data:")]
        assert_streams(times)
        (request,) = world.api.requests
        assert_is_nobodys(request, gate)


def assert_is_nobodys(request: Any, gate: Gate) -> None:
    """What the API sees: a request of its own kind, from nobody in particular."""
    assert (request.sni, request.header("Host"), request.version) == ("api.openai.com", "api.openai.com", "HTTP/1.1")
    assert request.header("Authorization") == f"Bearer {KEY}"
    told = {name.lower() for name, _ in request.headers}
    assert not told & {
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "forwarded",
        "via",
        "x-novaops-token",
        "cookie",
    }
    whole = repr(request.headers)
    for secret in (PASSWORD, TOKEN, OWN, "nova:", gate.host.name, gate.here, "203.0.113.9", "CN"):
        assert secret not in whole


STRANGERS: Mapping[str, tuple[str, tuple[str, ...], int, str]] = {
    "nobody": ("inject", (), 401, "unauthorized"),
    "a wrong password": ("inject", ("-u", "nova:wrong"), 401, "unauthorized"),
    "a key of the API": ("inject", ("-H", f"Authorization: Bearer {KEY}"), 401, "unauthorized"),
    "no key": ("keys", (), 401, "unauthorized"),
    "the API's key": ("keys", ("-H", f"Authorization: Bearer {KEY}"), 401, "unauthorized"),
    "a key in capitals": ("keys", ("-H", f"Authorization: Bearer {OWN.upper()}"), 401, "unauthorized"),
    "a key and more": ("keys", ("-H", f"Authorization: Bearer {OWN}x"), 401, "unauthorized"),
    "a key as a password": ("keys", ("-u", f"laptop:{OWN}"), 401, "unauthorized"),
    "no token": ("token", ("-H", f"Authorization: Bearer {KEY}"), 401, "unauthorized"),
    "a token in capitals": ("token", ("-H", f"X-Novaops-Token: {TOKEN.upper()}"), 401, "unauthorized"),
    "a token and more": ("token", ("-H", f"X-Novaops-Token: {TOKEN}x"), 401, "unauthorized"),
    "the name of a token": ("token", ("-H", "X-Novaops-Token: laptop"), 401, "unauthorized"),
    "the default": ("token", ("-H", "X-Novaops-Token: default"), 401, "unauthorized"),
    "another path": ("inject", ("-u", f"nova:{PASSWORD}", "--path-as-is"), 404, "not_found"),
}


@on_one
def test_strangers_stay_outside(gate: Gate, world: World) -> None:
    for who, (mode, words, status, code) in STRANGERS.items():
        path = "/v1/../dashboard" if who == "another path" else "/v1/models"
        found, body = answer(gate, mode, path, *words, let_in=False)
        assert (found, json.loads(body)["error"]["code"]) == (status, code), who
    assert not world.api.requests
    with gate.client("inject", default_headers={}) as client, pytest.raises(openai.AuthenticationError, match="does not know you"):
        client.models.list()
    with gate.client("token", api_key="sk-wrong") as client, pytest.raises(openai.AuthenticationError) as refused:
        client.models.list()
    assert "novaops" not in str(refused.value), "the API's own answer has to come through"
    status, _ = answer(
        gate, "token", "/v1/models", "-H", "X-Novaops-Token: second-Glacier-77", "-H", f"Authorization: Bearer {KEY}", let_in=False
    )
    assert status == 200, "each token lets in"
    assert gate.host.run(f"curl -sk -o /dev/null -w '%{{http_code}}' --resolve passthrough.lab.test:443:{gate.host.address} {AT}") == "403"


AT = "https://passthrough.lab.test/v1/models"


@on_one
def test_a_key_of_the_proxys_own_is_all_that_a_client_needs(gate: Gate, novaops: Novaops, tmp_path: Path) -> None:
    """The log names the client, each has a limit of its own, and one is revoked without the others."""
    auth = {"keys": {"laptop": "env:OWN", "phone": "env:PHONE"}, "inject": "env:KEY", "limit": "3/min"}
    site = {"name": "few", "provider": "openai", "domain": "keys.lab.test", "tls": "off", "http_port": 8012, "auth": auth}
    inventory = write_inventory(tmp_path, gate.host, proxy=[site])
    assert novaops("proxy", "deploy", inventory=inventory, env=ENV).code == 0

    def asked(key: str, times: int = 1) -> list[str]:
        to = f"--resolve keys.lab.test:8012:{gate.host.address} -H 'Authorization: Bearer {key}' http://keys.lab.test:8012/v1/models"
        return gate.host.run("; ".join([f"curl -s -o /dev/null -w '%{{http_code}} ' {to}"] * times)).split()

    first = asked(OWN, 6)
    assert (first[0], first[-1]) == ("200", "429"), "deploy itself asks as the first client"
    assert asked(ENV["PHONE"]) == ["200"], "the other client has its own"
    log = gate.host.run("cat /var/log/nginx/novaops-few.access.log")
    assert " - laptop [" in log
    assert " - phone [" in log
    assert OWN not in log + gate.host.run("cat /var/log/nginx/novaops-few.error.log; nginx -T 2>/dev/null")
    site["auth"] = {"keys": {"phone": "env:PHONE"}, "inject": "env:KEY"}
    write_inventory(tmp_path, gate.host, proxy=[site])
    assert novaops("proxy", "deploy", inventory=inventory, env=ENV).code == 0
    assert (asked(OWN), asked(ENV["PHONE"])) == (["401"], ["200"])
    assert novaops("proxy", "remove", "--name", "few", inventory=inventory, env=ENV).code == 0
    assert gate.host.run("ls /etc/nginx/novaops | grep -c ^few || true") == "0\n"


@on_one
def test_who_guesses_is_stopped(gate: Gate) -> None:
    """By address, and whoever knows a key or a password is let in all the time.

    The attempts come back at one in two seconds, so all are made on one connection.
    """
    for mode in ("inject", "keys", "token"):
        began = time.monotonic()
        attempts = curl(gate, mode, "/v1/models?[1-80]", "-o", "/dev/null", "-w", "%{http_code} ", let_in=False)
        found = attempts.communicate(timeout=180)[0].split()
        heard = 31 + (time.monotonic() - began) / 2 + 1
        assert (len(found), set(found) - {"401", "429"}) == (80, set()), (mode, found)
        assert found.count("401") <= heard < 80, (mode, heard, found)
        more = [answer(gate, mode, "/v1/models", let_in=False) for _ in range(5)]
        assert {json.loads(body)["error"]["code"] for status, body in more if status == 429} == {"rate_limited"}, (mode, more)
        assert answer(gate, mode, "/v1/models")[0] == 200
    gate.host.run("systemctl restart nginx")  # the other tests are strangers, too


@on_one
def test_scripts_of_named_pages_may_use_it(gate: Gate, world: World) -> None:
    asks = ["-X", "OPTIONS", "-i", "-H", "Access-Control-Request-Method: POST", "-H", "Access-Control-Request-Headers: authorization"]
    for mode in ("keys", "inject"):
        _, head = answer(gate, mode, "/v1/chat/completions", *asks, "-H", f"Origin: {PAGE}", let_in=False)
        assert " 204" in head.splitlines()[0]
        assert f"access-control-allow-origin: {PAGE}" in head.lower()
        assert "access-control-allow-headers: authorization" in head.lower()
        for origin in ("https://evil.example.com", f"{PAGE}.evil.example.com", PAGE.upper(), "null"):
            _, head = answer(gate, mode, "/v1/chat/completions", *asks, "-H", f"Origin: {origin}", let_in=False)
            assert "access-control-allow-origin" not in head.lower(), origin
    assert not world.api.requests, "the site itself answers"
    world.api.behaviour.headers = [("Access-Control-Allow-Origin", "*")]
    _, head = answer(gate, "keys", "/v1/models", "-i", "-H", f"Origin: {PAGE}")
    assert head.lower().count("access-control-allow-origin") == 1
    assert "strict-transport-security" in head.lower()
    _, head = answer(gate, "keys", "/v1/models", "-i", "-H", f"Origin: {PAGE}", let_in=False)
    assert f"access-control-allow-origin: {PAGE}" in head.lower(), "a script can read why it is refused"


@on_one
def test_around_the_site(gate: Gate) -> None:
    """Plain http leads to it, odd methods and unknown names lead nowhere, and nginx says no more of itself than it must."""
    shown = "%{http_code} %{redirect_url}"
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308), ("OPTIONS", 308)):
        words = ["-I"] if method == "HEAD" else ["-X", method]
        out, _ = curl(gate, "inject", "/v1/x?a=1&b=%2F", "-o", "/dev/null", "-w", shown, *words, scheme="http").communicate(timeout=20)
        assert out == f"{status} https://inject.lab.test/v1/x?a=1&b=%2F", method
    assert answer(gate, "inject", "/v1/models", "-X", "TRACE")[0] == 405
    assert answer(gate, "inject", "/.well-known/acme-challenge/none", scheme="http")[0] == 404
    out, _ = curl(gate, "inject", "/v1/models", "-i", let_in=False).communicate(timeout=20)
    head = out.lower().partition("\n\n")[0]
    assert "strict-transport-security: max-age=31536000" in head
    assert "\nserver: nginx\n" in head.replace("\r", "")
    for ask in ("http://box/", "http://127.0.0.1/", "https://other.lab.test/", "https://127.0.0.1/"):
        to = f"--connect-to ::{gate.host.address}:"
        assert gate.host.run(f"curl -skS {to} {ask} 2>&1 || echo nothing").endswith("nothing\n"), ask


@on_one
def test_a_second_run_changes_nothing(gate: Gate, novaops: Novaops) -> None:
    started = gate.host.run("pgrep -P $(cat /run/nginx.pid)")
    done = novaops("proxy", "deploy", "--json", inventory=gate.inventory, env=ENV)
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "unchanged", 1), done.text
    assert gate.host.run("pgrep -P $(cat /run/nginx.pid)") == started, "nginx was reloaded for nothing"
    assert gate.host.run("nginx -t 2>&1 | grep -c -v -E 'syntax is ok|test is successful' || true") == "0\n"


def asks_anew(gate: Gate) -> None:
    """The addresses as DNS has them now, and no older ones."""
    each = "; ".join(f"sh /etc/nginx/novaops/addresses.sh {mode}" for mode in MODES)
    gate.host.run(f"rm -f /etc/nginx/novaops/*.addresses/*; {each}")
    assert wait_until(lambda: answer(gate, "inject", "/v1/models")[0] == 200, 10)


@contextmanager
def moved(gate: Gate, world: World, to: FakeApi) -> Iterator[None]:
    """The API's name leads elsewhere for a while. It leads back even where the test fails, so that the next one begins as it should."""
    world.names.names["api.openai.com"] = [to.address]
    try:
        yield
    finally:
        world.names.names["api.openai.com"] = [world.address]
        asks_anew(gate)


@on_one
def test_names_may_be_dead_when_nginx_starts(gate: Gate, world: World) -> None:
    """It asks the addresses that it knew."""
    world.names.stop()
    gate.host.run("systemctl restart nginx && systemctl is-active nginx")
    assert answer(gate, "inject", "/v1/models")[0] == 200
    gate.host.run("systemctl start novaops-proxy@inject.service")
    assert answer(gate, "inject", "/v1/models")[0] == 200, "without an answer nothing changes"
    world.names.start()


NO_PROOF = {
    404: "has nothing at /v1/models (404)",
    400: "refuses the request before it looks at a key (400)",
    429: "had too many requests, or the quota is used up (429)",
    500: "is in trouble (500)",
}


@on_one
def test_status_looks_at_what_the_api_answers(gate: Gate, world: World, novaops: Novaops) -> None:
    world.api.behaviour.status, world.api.behaviour.body = 404, b'{"error": {"message": "no such path"}}'
    done = novaops("proxy", "status", "--json", inventory=gate.inventory, env=ENV)
    assert done.code == 1, done.text
    complaints = {site["site"]: [one["complaint"] for one in site["upstreams"]] for site in done.host["sites"]}
    assert complaints["inject"] == ["reachable, but the API has nothing at /v1/models (404): no such path"]


@on_one
@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("limit_req zone=strangers;", "by a limit of nginx's own"),
        ("ssl_verify_client on; ssl_client_certificate /etc/ssl/certs/ca-certificates.crt;", "for a certificate of their own"),
    ],
    ids=["a limit", "certificates of clients"],
)
def test_what_somebody_writes_into_a_site(gate: Gate, world: World, novaops: Novaops, added: str, said: str) -> None:
    """`status` names the cause of an answer that is nginx's own, and `deploy` takes it back."""
    del world
    file = "/etc/nginx/conf.d/novaops-inject.conf"
    gate.host.run("echo 'limit_req_zone $server_name zone=strangers:64k rate=1r/m;' >/etc/nginx/conf.d/strangers.conf")
    gate.host.run(f"sed -i '0,/client_max_body_size/s|client_max_body_size|{added} &|' {file} && nginx -t -q && systemctl reload nginx")
    assert wait_until(lambda: answer(gate, "inject", "/v1/models")[0] in {400, 503}, 20)
    done = novaops("proxy", "status", "--json", inventory=gate.inventory, env=ENV)
    assert done.code == 1, done.text
    complaints = {site["site"]: site["complaint"] for site in done.host["sites"]}
    assert said in complaints.pop("inject")
    assert not any(complaints.values())
    assert novaops("proxy", "deploy", inventory=gate.inventory, env=ENV).code == 0
    gate.host.run("rm /etc/nginx/conf.d/strangers.conf; nginx -t -q && systemctl reload nginx")
    assert novaops("proxy", "status", inventory=gate.inventory, env=ENV).code == 0


@on_one
def test_a_wrong_path_of_a_url_is_not_taken(gate: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """An API that has /v1 and nothing else, as a URL with /v11."""
    world.api.behaviour.status, world.api.behaviour.body = 404, b'{"error": {"message": "Invalid URL"}}'
    auth = {"token": {"laptop": "env:TOKEN"}}
    site = {
        "name": "wrong",
        "upstream": "https://api.openai.com/v11",
        "domain": "token.lab.test",
        "tls": "off",
        "http_port": 8011,
        "auth": auth,
    }
    inventory = write_inventory(tmp_path, gate.host, proxy=[site])
    done = novaops("proxy", "deploy", "--json", inventory=inventory, env=ENV)
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "https://api.openai.com/v11 is reached, but the API has nothing at /v11/models (404)" in done.text
    assert novaops("proxy", "remove", "--name", "wrong", inventory=inventory, env=ENV).code == 0


@on_one
def test_connections_are_kept(gate: Gate, world: World) -> None:
    keys = f"-H 'X-Novaops-Token: second-Glacier-77' -H 'Authorization: Bearer {KEY}'"
    once = f"-k --resolve token.lab.test:443:127.0.0.1 {keys} https://token.lab.test/v1/models"
    gate.host.run(f"curl -sS -o /dev/null {' --next -o /dev/null '.join([once] * 5)}")
    assert len({request.connection for request in world.api.requests}) == 1


@on_one
def test_a_name_that_moves(gate: Gate, world: World, second: FakeApi) -> None:
    """New requests find it within half a minute, and a stream that is running is not cut."""
    world.api.behaviour.events, world.api.behaviour.interval_s = 80, 0.5
    with curl(gate, "inject", "/v1/chat/completions", "-d", '{"model": "m", "stream": true}') as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline().startswith("data: ")
        before = gate.host.run("pgrep -P $(cat /run/nginx.pid)").split()
        with moved(gate, world, second):
            began = time.monotonic()

            def arrived() -> bool:
                assert answer(gate, "inject", "/v1/models")[0] == 200
                return bool(second.requests)

            assert wait_until(arrived, 30), "the name is not looked up again"
            assert time.monotonic() - began < 30
            world.api.requests.clear()
            assert [answer(gate, "inject", "/v1/models")[0] for _ in range(4)] == [200] * 4
            assert not world.api.requests
            assert set(before) & set(gate.host.run("pgrep -P $(cat /run/nginx.pid)").split()), "the stream's worker goes on"
            events = [line for line in stream.stdout if line.startswith("data: ")]
            second.stop()
            assert answer(gate, "inject", "/v1/models", "-X", "GET")[0] == 200, "the old address is asked where the new one fails"
    assert (stream.returncode, len(events), events[-1]) == (0, 80, "data: [DONE]\n")


@pytest.fixture
def second(world: World) -> Iterator[FakeApi]:
    """The API at another address."""
    bridge = subprocess.run(
        ["ip", "-o", "-4", "address", "show", "to", world.address], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    address = world.address.rpartition(".")[0] + ".250"
    subprocess.run(["ip", "address", "add", f"{address}/24", "dev", bridge], check=True)
    made = FakeApi(address, 443, world.leaf)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        subprocess.run(["ip", "address", "del", f"{address}/24", "dev", bridge], check=True)


@on_one
def test_a_broken_configuration_of_somebody_else(gate: Gate, world: World, second: FakeApi) -> None:
    """The addresses of before stay in use and on disk, until nginx accepts its configuration again."""
    files = gate.host.run("cat /etc/nginx/novaops/inject.addresses/*")
    with moved(gate, world, second):
        gate.host.run("systemctl stop novaops-proxy@inject.timer; echo nonsense >/etc/nginx/conf.d/theirs.conf")
        try:
            said = gate.host.run("sh /etc/nginx/novaops/addresses.sh inject || true")
            assert "nginx does not accept its configuration" in said
            assert gate.host.run("cat /etc/nginx/novaops/inject.addresses/*") == files
        finally:
            gate.host.run("rm /etc/nginx/conf.d/theirs.conf; systemctl start novaops-proxy@inject.timer")


@on_one
def test_dns_that_is_dead_while_a_site_is_set_up(gate: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """The site is there, is said not to work, and works as soon as DNS does."""
    late = {**sites(world, gate.here)[MODES.index("inject")], "name": "late", "domain": "late.lab.test", "tls": "self-signed"}
    late = {key: value for key, value in late.items() if key not in {"acme", "email"}}
    inventory = write_inventory(tmp_path, gate.host, proxy=[late])
    world.names.stop()
    done = novaops("proxy", "deploy", "--json", inventory=inventory, env=ENV)
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "late: the site is up, but openai has no address yet" in done.host["error"]["what"]
    world.names.start()
    known = "-k -u 'nova:" + PASSWORD.replace("'", "'\\''") + "' --resolve late.lab.test:443:127.0.0.1 https://late.lab.test/v1/models"
    assert wait_until(lambda: gate.host.run(f"curl -s -o /dev/null -w '%{{http_code}}' {known}") == "200", 30)
    again = novaops("proxy", "deploy", "--json", inventory=inventory, env=ENV)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text
    gone = novaops("proxy", "remove", "--json", inventory=inventory, env=ENV)
    assert (gone.code, gone.host["status"]) == (0, "changed"), gone.text
    left = gate.host.run("ls /etc/nginx/novaops /etc/systemd/system/timers.target.wants; systemctl list-units --all 'novaops-proxy*'")
    assert "late" not in left
    assert "inject" in left, "the other sites' timers go on"
    back = novaops("undo", gate.host.name, "--json", inventory=inventory, env=ENV)
    assert (back.code, back.host["status"]) == (0, "changed"), back.text
    assert wait_until(lambda: gate.host.run(f"curl -s -o /dev/null -w '%{{http_code}}' {known}") == "200", 5)
    assert novaops("proxy", "deploy", "--json", inventory=inventory, env=ENV).host["status"] == "unchanged"
    assert novaops("proxy", "remove", "--json", inventory=inventory, env=ENV).code == 0


@on_one
def test_an_api_that_is_not_what_it_should_be(gate: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """Each is said for what it is, and nothing is changed."""

    def said() -> str:
        done = novaops("proxy", "deploy", "--json", inventory=gate.inventory, env=ENV)
        assert (done.code, done.host["status"]) == (1, "failed"), done.text
        return f"{done.host['error']['what']}\n{done.host['error']['why']}"

    world.api.stop()
    assert "inject: the site is up, but openai cannot be reached" in said()
    world.api.start()
    world.api.behaviour.region_refused = True
    assert "inject: openai is reached, but refuses the region that this host is in" in said()
    world.api.behaviour.region_refused = False
    world.api.key = "another"
    assert "inject: openai is reached, but the API does not take the key that the proxy puts in" in said()
    world.api.key = KEY
    for status, sentence in NO_PROOF.items():
        world.api.behaviour.status, world.api.behaviour.body = status, b'{"error": {"message": "as you see"}}'
        world.api.behaviour.content_type = "application/json"
        assert f"inject: openai is reached, but the API {sentence}: as you see" in said()
    world.api.behaviour.status, world.api.behaviour.body = 200, b"<html><title>Log in</title>"
    assert "inject: something else answers: 200 and a web page (“Log in”), where the API answers with JSON" in said()
    world.api.behaviour.status, world.api.behaviour.body, world.api.behaviour.cut = None, b"", "length"
    assert "inject: https://inject.lab.test/v1/models answers 200, and the answer breaks off" in said()
    world.api.behaviour.cut = ""
    world.api.show(world.authority.leaf("other.example.com"))
    imposter = said()
    assert "inject: the site is up, but openai shows a certificate that is not its own" in imposter
    assert 'certificate does not match "api.openai.com"' in imposter
    world.api.show(Authority(tmp_path / "other").leaf("api.openai.com"))
    assert "certificate verify error" in said(), "of an authority that nobody trusts"
    world.api.show(world.leaf)


@on_one
def test_large_uploads(gate: Gate, world: World) -> None:
    """They are neither turned away nor kept on the way."""
    content = random.Random(4).randbytes(5_000_000)  # noqa: S311 - any bytes will do
    with gate.client("inject") as client:
        client.files.create(file=("five.jsonl", content), purpose="batch")
    (request,) = world.api.requests
    assert request.complete
    assert request.size > 5_000_000
    assert content[:100_000] in request.body


@on_one
@pytest.mark.long
def test_the_largest_file_that_an_api_takes(gate: Gate, world: World) -> None:
    """512 MB: they pass through without ever being kept on the proxy's disk."""
    kept = "du -cxsm /var /tmp | tail -n 1 | cut -f 1"  # not df: a container shares its disk with the machine
    before = gate.host.run(kept)
    gate.host.run("head -c 536870912 /dev/zero >/root/large")
    to = f"-k --resolve token.lab.test:443:{gate.host.address}"
    upload = f"curl -sS -o /dev/null -w '%{{http_code}}' {to} -F purpose=batch -F file=@/root/large"
    keys = f"-H 'X-Novaops-Token: second-Glacier-77' -H 'Authorization: Bearer {KEY}'"
    assert gate.host.run(f"{upload} {keys} https://token.lab.test/v1/files", timeout_s=300) == "200"
    gate.host.run("rm /root/large")
    (request,) = world.api.requests
    assert request.complete
    assert request.size > 536_870_912
    assert int(gate.host.run(kept)) - int(before) < 100


@on_one
def test_headers_that_contradict_each_other(gate: Gate, world: World) -> None:
    """None of them is passed on."""
    basic = base64.b64encode(f"nova:{PASSWORD}".encode()).decode()
    contradictions = {
        "two logins": f"Authorization: Basic {basic}\r\nAuthorization: Bearer {KEY}\r\n",
        "two logins, the other way round": f"Authorization: Bearer {KEY}\r\nAuthorization: Basic {basic}\r\n",
        "two lengths": f"Authorization: Basic {basic}\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        "a length and chunks": f"Authorization: Basic {basic}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "two hosts": f"Authorization: Basic {basic}\r\nHost: other.test\r\n",
    }
    for what, headers in contradictions.items():
        plain = socket.create_connection((gate.host.address, 443), timeout=10)
        with gate.context.wrap_socket(plain, server_hostname="inject.lab.test") as tls:
            tls.sendall(f"POST /v1/models HTTP/1.1\r\nHost: inject.lab.test\r\n{headers}\r\nabc".encode())
            assert tls.recv(12) in {b"HTTP/1.1 400", b"HTTP/1.1 401"}, what
    assert not world.api.requests


@on_one
def test_a_secret_that_is_lost_closes_the_site(gate: Gate, world: World, novaops: Novaops) -> None:
    gate.host.run("cd /etc/nginx/novaops && rm inject.htpasswd")
    assert answer(gate, "inject", "/v1/models")[0] in {401, 403}
    gate.host.run("cd /etc/nginx/novaops && rm inject.inject token.tokens && nginx -t -q && systemctl restart nginx")
    assert answer(gate, "inject", "/v1/models")[0] == 503
    assert answer(gate, "token", "/v1/models")[0] == 401
    assert not world.api.requests
    done = novaops("proxy", "deploy", "--json", inventory=gate.inventory, env=ENV)
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "changed", 3), done.text
    assert [answer(gate, mode, "/v1/models")[0] for mode in MODES] == [200] * len(MODES)


@on_one
def test_secrets_are_nowhere_else(gate: Gate, novaops: Novaops) -> None:
    files = gate.host.run("cd /etc/nginx/novaops && stat -c '%a %U %G %n' $(ls -d $PWD/* | grep -v -e addresses -e no-authority)")
    assert files == (
        "640 root www-data /etc/nginx/novaops/inject.htpasswd\n"
        "600 root root /etc/nginx/novaops/inject.inject\n600 root root /etc/nginx/novaops/keys.inject\n"
        "600 root root /etc/nginx/novaops/keys.keys\n600 root root /etc/nginx/novaops/token.tokens\n"
    )
    for mode in MODES:
        answer(gate, mode, "/v1/models")
    told = novaops("proxy", "deploy", "-vv", "--diff", inventory=gate.inventory, env=ENV).text
    told += novaops("proxy", "status", "--json", inventory=gate.inventory, env=ENV).text
    told += gate.host.run("cat /var/log/nginx/*; journalctl -o cat; cat /var/lib/novaops/runs/*/*.json; ps axww")
    for secret in (PASSWORD, KEY, OWN, TOKEN, TOKEN.partition("$")[0], PASSWORD.partition("$")[0]):
        assert secret not in told


@on_one
def test_it_is_renewed_and_taken_up(gate: Gate) -> None:
    before = _served(gate)
    gate.host.run("certbot renew -q --no-random-sleep-on-renew")
    assert _served(gate) == before, "nothing was due"
    gate.host.run("certbot renew -q --no-random-sleep-on-renew --force-renewal --cert-name novaops-token")
    assert wait_until(lambda: _served(gate) != before, 20), "the new certificate is not served"
    assert answer(gate, "token", "/v1/models")[0] == 200


@on_one
def test_something_renews_it_after_the_next_boot_too(gate: Gate, novaops: Novaops) -> None:
    def deployed() -> Any:
        return novaops("proxy", "deploy", "--json", inventory=gate.inventory, env=ENV)

    gate.host.run("systemctl disable -q certbot.timer")
    seen = novaops("verify", "--json", inventory=gate.inventory, env=ENV)
    assert "but certbot.timer is disabled" in seen.text
    done = deployed()
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert gate.host.run("systemctl is-enabled certbot.timer; systemctl is-active certbot.timer") == "enabled\nactive\n"
    assert "should run certbot" not in novaops("verify", "--json", inventory=gate.inventory, env=ENV).text
    try:
        gate.host.run("systemctl mask -q --now certbot.timer")
        done = deployed()
        assert (done.code, "nothing on the host renews the certificate" in done.host["error"]["what"]) == (1, True), done.text
    finally:
        gate.host.run("systemctl unmask -q certbot.timer; systemctl enable -q --now certbot.timer")
    done = deployed()
    assert (done.code, done.host["status"]) == (0, "unchanged"), done.text


def _served(gate: Gate) -> str:
    """The serial number of what a client is shown."""
    with (
        socket.create_connection((gate.host.address, 443)) as plain,
        gate.context.wrap_socket(plain, server_hostname="token.lab.test") as tls,
    ):
        found = tls.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


@on_one
def test_status_says_what_there_is(gate: Gate, novaops: Novaops) -> None:
    done = novaops("proxy", "status", "--json", inventory=gate.inventory, env=ENV)
    assert done.code == 0, done.text
    assert [site["site"] for site in done.host["sites"]] == sorted(MODES)
    for site in done.host["sites"]:
        assert site["serves"] == [f"https://{site['site']}.lab.test/v1"]
        assert site["certificate"]["days_left"] in {89, 90}
        assert [(one["upstream"], one["status"]) for one in site["upstreams"]] == [("api.openai.com:443", 401)]


@on_one
def test_a_certificate_that_cannot_be_had_is_not_asked_for(gate: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """Names that lead elsewhere, in IPv6 alone too: the authority would look there."""
    world.names.names["away.lab.test"] = ["192.0.2.1"]
    world.names.names["half.lab.test"] = [gate.host.address, "2001:db8::1"]
    asked = len(world.acme.log.read_text())
    for domain in ("away.lab.test", "half.lab.test", "nowhere.lab.test"):
        site = {**sites(world, gate.here)[0], "name": "other", "domain": domain}
        done = novaops("proxy", "deploy", "--json", inventory=write_inventory(tmp_path, gate.host, proxy=[site]), env=ENV)
        assert (done.code, done.host["status"]) == (4, "refused"), done.text
        assert domain in done.host["error"]["what"]
    assert len(world.acme.log.read_text()) == asked


@on_one
def test_a_certificate_that_is_not_had_leaves_no_half_of_a_site(gate: Gate, world: World, novaops: Novaops, tmp_path: Path) -> None:
    """Plain http was there for the authority alone."""
    world.names.names["half.lab.test"] = [gate.host.address]
    before = gate.host.run("ls /etc/nginx/conf.d")
    site = {**sites(world, gate.here)[0], "name": "half", "domain": "half.lab.test", "acme": f"{world.acme.directory}-of-nobody"}
    done = novaops("proxy", "deploy", "--json", inventory=write_inventory(tmp_path, gate.host, proxy=[site]), env=ENV)
    assert done.code in {1, 4}, done.text
    assert gate.host.run("ls /etc/nginx/conf.d") == before
    assert gate.host.run("curl -sS -o /dev/null --resolve half.lab.test:80:127.0.0.1 http://half.lab.test/ || echo nobody") == "nobody\n"


@on_one
def test_gone_and_back_again(gate: Gate, novaops: Novaops) -> None:
    """The last one, as it takes everything away."""
    done = novaops("proxy", "remove", "--json", inventory=gate.inventory, env=ENV)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    left = gate.host.run("ls /etc/nginx/conf.d /etc/nginx/novaops /etc/letsencrypt/live /etc/letsencrypt/renewal; nginx -t 2>&1")
    assert "novaops-" not in left
    assert "addresses" not in left
    assert "0 loaded" in gate.host.run("systemctl list-units --all 'novaops-proxy*'; ls /etc/systemd/system | grep novaops-proxy || true")
    assert "novaops-proxy" not in gate.host.run("ls /etc/systemd/system /etc/systemd/system/timers.target.wants")
    assert not [mode for mode in MODES if mode in left]
    again = novaops("proxy", "remove", "--json", inventory=gate.inventory, env=ENV)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text
