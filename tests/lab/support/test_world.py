"""The world around a lab host is as real as the other tests take it for: seen from a container, with curl."""

from __future__ import annotations

import hashlib
import json
import shlex
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from novaops.errors import HostFailed
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.world import Authority, NameServer, echo
from tests.support.world.api import KEY
from tests.support.world.world import World

BEARER = f"Authorization: Bearer {KEY}"
MODELS = "https://api.openai.com/v1/models"
STATUS = ("-s", "-o", "/dev/null", "-w", "%{http_code}")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def host(lab: Lab, _container: LabHost, _world: World) -> LabHost:
    """One for all tests of this file: they leave nothing on it but files in /tmp."""
    made = lab.reset(_container.name)
    _world.prepare(made)
    made.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends curl")
    return made


def curl(host: LabHost, *words: str) -> str:
    return host.run(shlex.join(["curl", "-S", "--max-time", "20", *words]))


def ended(host: LabHost, *words: str) -> str:
    """The status that curl ends with."""
    return host.run(f"curl -s -o /dev/null --max-time 20 {shlex.join(words)}; echo $?").strip()


def test_models_want_the_key(host: LabHost, world: World) -> None:
    assert curl(host, *STATUS, MODELS) == "401"
    assert curl(host, *STATUS, MODELS, "-H", "Authorization: Bearer another") == "401"
    assert "didn't provide" in json.loads(curl(host, "-s", MODELS))["error"]["message"]
    assert (
        json.loads(curl(host, "-s", f"{MODELS}?limit=1", "-H", BEARER, "-H", "X-Two: 1", "-H", "x-two: 2"))["data"][0]["object"] == "model"
    )
    last = world.api.requests[-1]
    assert (last.method, last.target, last.path, last.version) == ("GET", "/v1/models?limit=1", "/v1/models", "HTTP/1.1")
    assert last.headers[0] == ("Host", "api.openai.com")
    assert last.headers[-2:] == [("X-Two", "1"), ("x-two", "2")]
    assert (last.sni, last.tls, last.client) == ("api.openai.com", "TLSv1.3", host.address)
    world.api.behaviour.region_refused = True
    assert json.loads(curl(host, "-s", MODELS, "-H", BEARER))["error"]["code"] == "unsupported_country_region_territory"


def test_a_stream_arrives_in_time(host: LabHost, world: World) -> None:
    asked = json.dumps({"model": "gpt-4o-mini", "stream": True, "messages": []})
    host.run("cat >/tmp/stamp", stdin='while read -r line; do echo "$(date +%s.%N) $line"; done')
    url = "https://api.openai.com/v1/chat/completions"
    command = shlex.join(["curl", "-sSN", "--max-time", "20", url, "-H", BEARER, "-d", asked])
    lines = [line.split(" ", 2) for line in host.run(f"{command} | sh /tmp/stamp").splitlines()]
    events = [(float(line[0]), line[2]) for line in lines if line[1] == "data:"]
    assert [text for _, text in events][-1] == "[DONE]"
    assert "".join(json.loads(text)["choices"][0]["delta"]["content"] for _, text in events[:-1]) == "word0 word1 word2 word3 word4 "
    gaps = [after - before for (before, _), (after, _) in pairwise(events[:-1])]
    assert all(0.15 < gap < 0.6 for gap in gaps), gaps
    assert len(world.api.requests[-1].sent) == 5


def test_an_upload_is_counted_and_hashed(host: LabHost, world: World) -> None:
    host.run("head -c 5000000 /dev/zero >/tmp/upload")
    expected = hashlib.sha256(bytes(5000000)).hexdigest()
    for way in ([], ["-H", "Transfer-Encoding: chunked"]):
        url = "https://api.openai.com/v1/files"
        assert json.loads(curl(host, "-s", url, "-H", BEARER, "--data-binary", "@/tmp/upload", *way))["bytes"] == 5000000
        assert world.api.requests[-1].sha256 == expected
    assert world.api.requests[-1].all("Transfer-Encoding") == ["chunked"]


def test_names_change_and_the_name_server_goes_down(host: LabHost, world: World) -> None:
    world.api.behaviour.status = 418
    assert curl(host, *STATUS, MODELS) == "418"
    world.names.names["api.openai.com"] = ["127.0.0.7", "::7"]
    assert host.run("getent ahostsv4 api.openai.com").split()[0] == "127.0.0.7"
    assert host.run("getent hosts api.openai.com").split()[0] == "::7"
    assert ("api.openai.com", "AAAA") in world.names.queries
    world.names.forward = False
    mirror = "$(grep -rhoE 'https?://[^/ :]+' /etc/apt/sources.list /etc/apt/sources.list.d | head -n 1 | cut -d / -f 3)"
    assert not host.run(f"getent hosts {mirror} || true")
    world.names.failing.add("api.openai.com")
    assert ended(host, MODELS) == "6"
    world.names.failing.clear()
    assert ended(host, MODELS) == "7"
    world.names.stop()
    assert ended(host, MODELS) == "6"


def test_names_it_does_not_know_it_passes_on() -> None:
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03FAR\x04test\x00\x00\x01\x00\x01"
    with NameServer("127.0.0.1", 0) as above, NameServer("127.0.0.1", 0) as names:
        above.names["far.test"] = ["192.0.2.7"]
        names.resolvers = [("127.0.0.1", above.port)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_udp:
            by_udp.settimeout(10)
            by_udp.sendto(query, ("127.0.0.1", names.port))
            assert by_udp.recv(512)[-4:] == b"\xc0\x00\x02\x07"
        with socket.create_connection(("127.0.0.1", names.port), timeout=10) as by_tcp:
            by_tcp.sendall(len(query).to_bytes(2, "big") + query)
            assert by_tcp.makefile("rb").read(2 + len(query) + 16)[-4:] == b"\xc0\x00\x02\x07"
        names.forward = False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_udp:
            by_udp.settimeout(10)
            by_udp.sendto(query, ("127.0.0.1", names.port))
            assert by_udp.recv(512)[3] & 0x0F == 3
        assert above.queries == [("far.test", "A")] * 2


def test_certificates_right_and_wrong(host: LabHost, world: World) -> None:
    def problem(names: tuple[str, ...] = ("api.openai.com",), **how: bool) -> str:
        world.api.show(world.authority.leaf(*names, **how))
        return host.run(f"curl -sS --max-time 5 -o /dev/null {MODELS} 2>&1 || true")

    assert problem() == ""
    assert "expired" in problem(expired=True)
    assert "not yet valid" in problem(not_yet=True)
    assert "unable to get local issuer" in problem(leaf_only=True)
    assert "no alternative certificate subject name" in problem(names=("other.test",))
    world.api.show(Authority(world.folder / "stranger").leaf("api.openai.com"))
    with pytest.raises(HostFailed, match="unable to get local issuer"):
        curl(host, *STATUS, MODELS)


def test_connections_that_break_off(host: LabHost, world: World) -> None:
    def end(cut: str) -> str:
        world.api.behaviour.cut = cut  # type: ignore[assignment]
        return ended(host, MODELS, "-H", BEARER)

    assert end("") == "0"
    assert end("answer") == "52"
    assert end("length") == "18"
    assert end("chunked") == "18"
    world.api.stop()
    assert end("") == "7"


def test_a_backend_stops_and_starts_on_its_port(host: LabHost, world: World) -> None:
    backend = world.backend("one")
    url = f"http://{world.address}:{backend.port}/"
    assert curl(host, "-s", url) == "one\n"
    backend.behaviour.headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert curl(host, "-si", url).count("Set-Cookie: ") == 2
    backend.stop()
    assert ended(host, url) == "7"
    backend.start()
    assert curl(host, "-s", url) == "one\n"
    assert echo((world.address, backend.port), "one.test", "/ws", "grüße" * 50) == "grüße" * 50
    with socket.create_connection((world.address, backend.port)) as line:
        line.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nshort")
    assert curl(host, "-s", url) == "one\n"
    assert [request.complete for request in backend.requests[-2:]] == [False, True]


def test_websockets_want_the_key(world: World) -> None:
    where = (world.address, world.api.port)
    context = world.authority.context()
    said = echo(where, "api.openai.com", "/v1/realtime?model=m", "hello", context=context, headers={"Authorization": f"Bearer {KEY}"})
    assert said == "hello"
    assert "401" in echo(where, "api.openai.com", "/v1/realtime", "hello", context=context)


def test_pebble_answers_and_dies(host: LabHost, world: World) -> None:
    assert "newOrder" in json.loads(curl(host, "-s", world.acme.directory))
    assert "BEGIN CERTIFICATE" in world.acme.root.read_text()
    world.acme.restart(nonce_reject=5, days=6)
    pid = world.acme.pid
    assert Path(f"/proc/{pid}").exists()
    world.acme.stop()
    assert not Path(f"/proc/{pid}").exists()
