"""A site that `novaops proxy deploy` made, against one written by hand with the same directives: in the same nginx, in one run.

    .venv/bin/python benchmarks/proxy.py [--rounds 20] [--seconds 1] [--streams 2000] [--release bookworm]

Prints requests per second and the slowest of a hundred answers as ratios, then what becomes of many streams of events held
open at once. All of it passes between containers of the lab and this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import re
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.world.authority import Leaf
from tests.support.world.world import World

KINDS = ("hand", "ours")
EVENTS_PORT = 8443
CONNECTIONS = 16
"""At once, while requests are counted."""

OPENING = 64
"""Streams that are being opened at once."""

PAUSE_S = 1.0
"""Between two events of a stream."""

TOGETHER = 10
"""Events that each stream sends once all are there."""

PATIENCE_S = 60
"""How long the first stream waits for the last one."""

DEADLINE_S = 150
BACKLOG = 4096

CERTIFICATE = "/etc/ssl/benchmark.pem"
MODELS = json.dumps({"object": "list", "data": [{"id": f"model-{n}", "object": "model", "owned_by": "lab"} for n in range(10)]})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=1)
    arguments.add_argument("--streams", type=int, default=2000)
    arguments.add_argument("--release", default="bookworm")
    arguments.add_argument("--as-installed", action="store_true", help="leave nginx the limits that its package has")
    given = arguments.parse_args()
    more_files()
    with (
        tempfile.TemporaryDirectory() as folder,
        laboratory(Path(folder), given.release, 0 if given.as_installed else given.streams) as place,
    ):
        version = place.gateway.run("nginx -v 2>&1").strip().rpartition("/")[2]
        print(f"{platform.machine()}, {os.cpu_count()} processors, nginx {version}, {given.rounds} rounds of {given.seconds} s, medians\n")
        print("| answers of 0.6 kB | by hand | novaops | ratio | target |\n|---|---|---|---|---|")
        for row in answers(place, given.rounds, given.seconds):
            print(row, flush=True)
        print(f"\n| {given.streams} streams at once | by hand | novaops | target |\n|---|---|---|---|")
        for row in streams(place, given.streams):
            print(row, flush=True)


# The hosts


@dataclass(frozen=True)
class Place:
    """Three hosts: `gateway` has the sites, `upstream` an API that answers at once, `client` asks. This machine streams."""

    world: World
    gateway: LabHost
    upstream: LabHost
    client: LabHost
    leaf: Leaf

    def context(self) -> ssl.SSLContext:
        return self.world.authority.context()


@contextmanager
def laboratory(folder: Path, release: str, capacity: int) -> Iterator[Place]:
    lab = Lab(folder / ".lab")
    world = None
    try:
        world = World(lab, folder / "world")
        hosts = {name: lab.up(name, "container", release) for name in ("gateway", "upstream", "client")}
        names = [f"{kind}-{what}.lab.test" for kind in (*KINDS, "kept") for what in PORTS]
        leaf = world.authority.leaf("models.lab.test", "events.lab.test", *names)
        world.names.names["models.lab.test"] = [hosts["upstream"].address]
        world.names.names["events.lab.test"] = [world.address]
        world.names.names.update({name: [hosts["gateway"].address] for name in names})
        for host, package in zip(hosts.values(), ("nginx", "nginx", "wrk"), strict=True):
            world.prepare(host)
            host.run(f"apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends {package}")
            host.run(f"cat >{CERTIFICATE}", stdin=leaf.certificate.read_text())
            host.run(f"umask 077; cat >{CERTIFICATE}.key", stdin=leaf.key.read_text())
        place = Place(world, leaf=leaf, **hosts)
        with streaming(place):
            write_upstream(place)
            write_sites(place, folder, capacity)
            yield place
    finally:
        if world is not None:
            world.close()
        lab.down()


def write_upstream(place: Place) -> None:
    """It answers from memory: it must not be what is measured."""
    place.upstream.run("cat >/etc/nginx/conf.d/models.conf && systemctl restart nginx", stdin=UPSTREAM)


def write_sites(place: Place, folder: Path, capacity: int) -> None:
    """By hand, and by novaops; both in the same nginx."""
    gateway = place.gateway
    values = {"SUBNET": subnet(place), "NAMESERVER": place.world.address}
    gateway.run("cat >/etc/nginx/conf.d/hand.conf && nginx -t -q && systemctl restart nginx", stdin=by_hand(values))
    entries = []
    for name, port in PORTS.items():
        provider = {"endpoints": [{"host": f"{name}.lab.test", "port": port, "path": "/v1"}], "probe": "/v1/models"}
        (folder / "providers").mkdir(exist_ok=True)
        (folder / "providers" / f"{name}.yaml").write_text(json.dumps(provider), "utf-8")
        site: dict[str, Any] = {
            "name": name,
            "provider": name,
            "domain": f"ours-{name}.lab.test",
            "auth": {"passthrough": True, "from": [subnet(place)]},
        }
        site["streams"] = capacity if name == "events" else 0
        entries.append({**site, "tls": "files", "certificate": CERTIFICATE, "key": f"{CERTIFICATE}.key"})
    way = {"address": gateway.address, "port": gateway.port, "identity": str(gateway.identity), "known_hosts": str(gateway.known_hosts)}
    inventory = folder / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {"gateway": {**way, "user": "root", "proxy": entries}}}), "utf-8")
    command = [sys.executable, "-m", "novaops", "-i", str(inventory), "proxy", "deploy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"novaops proxy deploy ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


def subnet(place: Place) -> str:
    return place.world.address.rpartition(".")[0] + ".0/24"


PORTS = {"models": 443, "events": EVENTS_PORT}

UPSTREAM = f"""\
server {{
    listen 443 ssl;
    server_name models.lab.test;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {CERTIFICATE}.key;
    access_log off;
    location / {{ default_type application/json; return 200 '{MODELS}'; }}
}}
"""

SHARED = """\
map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
log_format hand '$remote_addr - $remote_user [$time_local] "$request_method $uri $server_protocol" $status $body_bytes_sent '
                'upstream=$upstream_addr upstream_status=$upstream_status first=$upstream_header_time total=$request_time';
"""

KEPT = """\
upstream kept {
    server models.lab.test:443;
    keepalive 16;
}
"""

SITE = f"""\
server {{
    listen 443 ssl http2;
    server_name hand-NAME.lab.test;
    server_tokens off;
    access_log /var/log/nginx/hand-NAME.log hand;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {CERTIFICATE}.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:hand:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off;
    add_header Strict-Transport-Security "max-age=31536000" always;
    resolver NAMESERVER valid=30s ipv6=off;
    resolver_timeout 5s;
    client_max_body_size 512M;
    location /v1/ {{
        allow SUBNET;
        deny all;
        set $api NAME.lab.test;
        proxy_pass https://$api:PORT;
        proxy_ssl_server_name on;
        proxy_ssl_name NAME.lab.test;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 3;
        proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_request_buffering off;
        gzip off;
        proxy_read_timeout 600s;
        proxy_send_timeout 600s;
        proxy_set_header Host HOST;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        WITHHELD
        proxy_hide_header Set-Cookie;
    }}
}}
"""
"""What facts about nginx and APIs that stream ask for, line by line, as somebody who knows them would write it."""

WITHHELD = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", "Forwarded", "Via"),
    *("CF-Connecting-IP", "CF-IPCountry", "CF-Ray", "CF-Visitor", "CF-IPCity", "True-Client-IP", "X-Client-IP", "X-Original-Forwarded-For"),
    *("Cookie", "Referer", "Origin", "Proxy", "Proxy-Authorization"),
)


def by_hand(values: dict[str, str]) -> str:
    withheld = "\n        ".join(f'proxy_set_header {header} "";' for header in WITHHELD)
    text = SHARED + KEPT
    for name, port in PORTS.items():
        host = f"{name}.lab.test" + ("" if port == PORTS["models"] else f":{port}")
        site = SITE
        for key, value in {**values, "WITHHELD": withheld, "HOST": host, "NAME": name, "PORT": str(port)}.items():
            site = site.replace(key, value)
        text += site
        if name == "models":
            kept = site.replace("set $api models.lab.test;", "").replace("https://$api:443", "https://kept")
            text += kept.replace("hand-models", "kept-models")
    return text


# Answers


@dataclass(frozen=True)
class Load:
    """What wrk saw in one round."""

    per_second: float
    slowest_ms: float
    """The 99th of a hundred."""
    cpu_ms: float
    """What nginx's workers took of a processor for one answer: this does not depend on what else the machine does."""


ROWS = {
    "per_second": ("a second", 0, "≥ 0.95"),
    "slowest_ms": ("p99, ms", 1, "≤ 1.05"),
    "cpu_ms": ("processor time of nginx for each, ms", 2, "≤ 1.05"),
}


def answers(place: Place, rounds: int, seconds: int) -> Iterator[str]:
    # A connection for each request leaves a port in TIME_WAIT for a minute: without this a long run would be out of ports.
    place.gateway.run("sysctl -q -w net.ipv4.tcp_tw_reuse=1")
    for kind in KINDS:
        load(place, kind, 1)
    seen: dict[str, list[Load]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            seen[kind].append(load(place, kind, seconds))
    for what, (name, digits, target) in ROWS.items():
        hand, ours = ([getattr(each, what) for each in seen[kind]] for kind in KINDS)
        ratio = statistics.median(after / before for before, after in zip(hand, ours, strict=True))
        yield f"| {name} | {statistics.median(hand):.{digits}f} | {statistics.median(ours):.{digits}f} | {ratio:.2f} | {target} |"
    kept = [load(place, "kept", seconds) for _ in range(3)]
    per_second, slowest = (statistics.median(getattr(each, what) for each in kept) for what in ("per_second", "slowest_ms"))
    yield f"\nBy hand, with a name looked up only at start, and connections that are kept: {per_second:.0f} a second, p99 {slowest:.1f} ms"


def load(place: Place, kind: str, seconds: int) -> Load:
    """Raises SystemExit for an answer that is none."""
    before = cpu_ms(place.gateway)
    said = place.client.run(
        f"wrk -t1 -c{CONNECTIONS} -d{seconds}s --latency -H 'Authorization: Bearer x' https://{kind}-models.lab.test/v1/models"
    )
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"wrk, {kind}:\n{said}{place.gateway.run('tail -n 5 /var/log/nginx/*error.log')}")
    slowest = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b", said)
    per_second = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    requests = re.search(r"([0-9]+) requests in", said)
    assert slowest is not None
    assert per_second is not None
    assert requests is not None
    unit_ms = {"us": 0.001, "ms": 1, "s": 1000}[slowest[2]]
    return Load(float(per_second[1]), float(slowest[1]) * unit_ms, (cpu_ms(place.gateway) - before) / int(requests[1]))


def cpu_ms(host: LabHost) -> float:
    """What nginx's workers have taken of the processors so far."""
    said = host.run("for pid in $(pgrep -P $(cat /run/nginx.pid)); do cat /proc/$pid/stat; done")
    ticks = [sum(map(int, line.rpartition(")")[2].split()[11:13])) for line in said.splitlines()]
    return sum(ticks) * 1000 / os.sysconf("SC_CLK_TCK")


# Streams


@dataclass
class Stream:
    """What one client saw: `numbers` of the events, how late each was, and whether the stream ended as it should."""

    numbers: list[int] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    complete: bool = False
    trouble: str = ""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Its first event has come, or never will."""

    @property
    def whole(self) -> bool:
        return self.complete and self.numbers == list(range(len(self.numbers)))


def streams(place: Place, count: int) -> Iterator[str]:
    seen = {kind: asyncio.run(Crowd(place, kind, count).run()) for kind in KINDS}
    rows = {
        "held open together": [f"{crowd.together}" for crowd in seen.values()],
        "events received": [f"{sum(len(each.numbers) for each in crowd.streams)}" for crowd in seen.values()],
        "streams that lost one, or their end": [f"{sum(not each.whole for each in crowd.streams)}" for crowd in seen.values()],
        "an event on its way, p99": [f"{crowd.slowest_ms:.0f} ms" for crowd in seen.values()],
        "memory of nginx's workers, each stream": [f"{crowd.memory_kb / max(crowd.together, 1):.0f} kB" for crowd in seen.values()],
    }
    targets = (str(count), "", "0", "", "")
    for (name, values), target in zip(rows.items(), targets, strict=True):
        yield f"| {name} | {' | '.join(values)} | {target} |"
    for kind, crowd in seen.items():
        for trouble in sorted({each.trouble for each in crowd.streams if not each.whole}):
            print(f"{kind}: {trouble}", file=sys.stderr)


class Crowd:
    """Many streams through one site, open at the same time."""

    def __init__(self, place: Place, kind: str, count: int) -> None:
        self.place = place
        self.name = f"{kind}-events.lab.test"
        self.count = count
        self.streams = [Stream() for _ in range(count)]
        self.together = 0
        self.memory_kb = 0.0
        self._few = asyncio.Semaphore(OPENING)
        self._context = place.context()
        self._path = f"/v1/events?{kind}-{count}-{time.monotonic_ns()}"

    @property
    def slowest_ms(self) -> float:
        late = sorted(each for stream in self.streams for each in stream.late_ms)
        return late[len(late) * 99 // 100] if late else float("nan")

    async def run(self) -> Crowd:
        self.place.gateway.run("systemctl restart nginx")
        before = memory_kb(self.place.gateway)
        reading = [asyncio.create_task(self._read(stream)) for stream in self.streams]
        await asyncio.gather(*(stream.begun.wait() for stream in self.streams))
        self.together = sum(bool(stream.numbers) and not reader.done() for reader, stream in zip(reading, self.streams, strict=True))
        self.memory_kb = await asyncio.to_thread(memory_kb, self.place.gateway) - before
        await asyncio.gather(*reading)
        return self

    async def _read(self, stream: Stream) -> None:
        writer = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                async with self._few:
                    connection = asyncio.open_connection(
                        self.place.gateway.address, 443, ssl=self._context, server_hostname=self.name, ssl_handshake_timeout=DEADLINE_S
                    )
                    reader, writer = await connection
                    writer.write(f"GET {self._path} HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n".encode())
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b" 200 " not in head.splitlines()[0]:
                        stream.trouble = head.splitlines()[0].decode()
                        return
                    rest = note(stream, await chunk(reader))
                while data := await chunk(reader):
                    rest = note(stream, rest + data)
                stream.complete = rest == b"data: [DONE]\n\n"
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            stream.trouble = f"{type(error).__name__}: {error}"
        finally:
            stream.begun.set()
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """The next part of a chunked body; b"" at its end."""
    size = int((await reader.readline()).strip() or b"missing", 16)
    data = await reader.readexactly(size)
    await reader.readexactly(2)
    return data


def note(stream: Stream, data: bytes) -> bytes:
    """Note the events in `data`; what is left of it."""
    now = time.monotonic()
    while b"\n\n" in data and not data.startswith(b"data: [DONE]"):
        event, _, data = data.partition(b"\n\n")
        number, at = json.loads(event.removeprefix(b"data: "))
        stream.numbers.append(number)
        stream.late_ms.append((now - at) * 1000)
        stream.begun.set()
    return data


def memory_kb(host: LabHost) -> float:
    """The workers' share of memory (PSS): what they have in common counts once."""
    said = host.run("for pid in $(pgrep -P $(cat /run/nginx.pid)); do grep ^Pss: /proc/$pid/smaps_rollup; done")
    return float(sum(int(line.split()[1]) for line in said.splitlines()))


@contextmanager
def streaming(place: Place) -> Iterator[None]:
    """An API that streams, in a process of its own."""
    ready = multiprocessing.get_context("spawn").Event()
    arguments = (place.world.address, str(place.leaf.certificate), str(place.leaf.key), ready)
    process = multiprocessing.get_context("spawn").Process(target=stream_until_killed, args=arguments, daemon=True)
    process.start()
    try:
        if not ready.wait(30):
            sys.exit("the API that streams did not start")
        yield
    finally:
        process.kill()
        process.join()


def stream_until_killed(address: str, certificate: str, key: str, ready: threading.Event) -> None:
    """A stream sends its first event, one each second until all of its group are there, some more, and its end."""
    asyncio.run(serve(address, certificate, key, ready))


async def serve(address: str, certificate: str, key: str, ready: threading.Event) -> None:
    more_files()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    groups: dict[str, Group] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            if "events?" in path:
                await stream_events(writer, groups.setdefault(path, Group(int(path.split("-")[1]))))
            else:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(take, address, EVENTS_PORT, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=DEADLINE_S)
    async with server:
        ready.set()
        await server.serve_forever()


class Group:
    """Streams that wait for each other."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.began = time.monotonic()

    @property
    def complete(self) -> bool:
        return self.missing <= 0 or time.monotonic() - self.began > PATIENCE_S


async def stream_events(writer: asyncio.StreamWriter, group: Group) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    group.missing -= 1
    number = after = 0
    while after < TOGETHER:
        await send(writer, json.dumps([number, time.monotonic()]))
        await asyncio.sleep(PAUSE_S)
        number, after = number + 1, after + group.complete
    await send(writer, "[DONE]")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def send(writer: asyncio.StreamWriter, text: str) -> None:
    event = f"data: {text}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
    await writer.drain()


def more_files() -> None:
    """As many open files as this machine gives a process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
