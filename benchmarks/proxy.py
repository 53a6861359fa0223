"""A site that `novaops proxy deploy` made, against the best by hand, an upstream with keepalive: in the same nginx, in one run.

    .venv/bin/python benchmarks/proxy.py [--rounds 20] [--seconds 1] [--posts 30] [--streams 2000] [--sites 20]
        [--only answers,far,streams,sites] [--release bookworm]

Prints as ratios: requests per second, the slowest of a hundred answers, the first byte from an API that is 100 ms away; then what
becomes of many streams of events held open at once, and what many sites cost. All of it passes between containers of the lab and
this machine. The long link delays packets (benchmarks/far.py). Ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import os
import platform
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxy_hosts import EACH_WAY_S, KINDS, MANY, Place, laboratory, proxy, site
from benchmarks.proxy_streams import Crowd, more_files
from novaops.lab.host import LabHost

CONNECTIONS = 16
"""At once, while requests are counted."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=1)
    arguments.add_argument("--posts", type=int, default=30)
    arguments.add_argument("--sites", type=int, default=20, choices=range(2, len(MANY) + 1), metavar="N")
    arguments.add_argument("--streams", type=int, default=2000)
    arguments.add_argument("--release", default="bookworm")
    arguments.add_argument("--only", default="answers,far,streams,sites", help="some of these tables")
    arguments.add_argument("--as-installed", action="store_true", help="leave nginx the limits that its package has")
    given = arguments.parse_args()
    more_files()
    with (
        tempfile.TemporaryDirectory() as folder,
        laboratory(Path(folder), given.release, 0 if given.as_installed else given.streams) as place,
    ):
        version = place.gateway.run("nginx -v 2>&1").strip().rpartition("/")[2]
        print(f"{platform.machine()}, {os.cpu_count()} processors, nginx {version}, {given.rounds} rounds of {given.seconds} s, medians\n")
        ratio = ("by hand", "novaops", "ratio", "target")
        tables: dict[str, tuple[tuple[str, ...], Iterator[str]]] = {
            "answers": (("answers of 0.6 kB", *ratio), answers(place, given.rounds, given.seconds)),
            "far": ((f"an API {2000 * EACH_WAY_S:.0f} ms away", *ratio), first_bytes(place, given.posts)),
            "streams": ((f"{given.streams} streams at once", "by hand", "novaops", "target"), streams(place, given.streams)),
            "sites": (("sites", "1", str(given.sites), "ratio", "target"), many_sites(place, Path(folder), given.sites)),
        }
        for name in given.only.split(","):
            table(*tables[name])
    sys.exit(1 if MISSED else 0)


MISSED: list[str] = []
"""The rows that miss their targets."""


def table(titles: Sequence[str], rows: Iterator[str]) -> None:
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for row in rows:
        print(row, flush=True)


def compared(name: str, hand: float, ours: float, digits: int, ratio: float, target: str) -> str:
    """A row. `target`: ≤ or ≥, and a number."""
    sign, limit = target[0], float(target[1:])
    if (ratio > limit) if sign == "≤" else (ratio < limit):
        MISSED.append(name)
    return f"| {name} | {hand:.{digits}f} | {ours:.{digits}f} | {ratio:.2f} | {sign} {limit} |"


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
    "per_second": ("a second", 0, "≥0.95"),
    "slowest_ms": ("p99, ms", 1, "≤1.05"),
    "cpu_ms": ("processor time of nginx for each, ms", 3, "≤1.05"),
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
        yield compared(name, statistics.median(hand), statistics.median(ours), digits, ratio, target)


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


# An API that is far away


def first_bytes(place: Place, posts: int) -> Iterator[str]:
    """POSTs one after the other on one connection of a client to each site, by turns."""
    clients = {kind: http.client.HTTPSConnection(f"{kind}-far.lab.test", context=place.context()) for kind in KINDS}
    for client in clients.values():
        plain = socket.create_connection((place.gateway.address, 443))
        client.sock = place.context().wrap_socket(plain, server_hostname=client.host)
    seen: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(posts):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            began = time.monotonic()
            clients[kind].request("POST", "/v1/models", b"{}", {"Content-Type": "application/json", "Authorization": "Bearer x"})
            answer = clients[kind].getresponse()
            seen[kind].append((time.monotonic() - began) * 1000)
            answer.read()
            if answer.status != 200:  # noqa: PLR2004 - HTTP
                sys.exit(f"{kind}: a POST was answered {answer.status}")
    hand, ours = (statistics.median(seen[kind]) for kind in KINDS)
    yield compared("first byte, median, ms", hand, ours, 0, ours / hand, "≤1.05")
    hand, ours = (seen[kind][0] for kind in KINDS)
    yield f"| the first request's, ms | {hand:.0f} | {ours:.0f} | {ours / hand:.2f} |  |"


# Streams


def streams(place: Place, count: int) -> Iterator[str]:
    seen = {kind: asyncio.run(Crowd(place.gateway, place.context(), f"{kind}-events.lab.test", count).run()) for kind in KINDS}
    rows = {
        "held open together": [f"{crowd.together}" for crowd in seen.values()],
        "events received": [f"{sum(len(each.numbers) for each in crowd.streams)}" for crowd in seen.values()],
        "streams that lost one, or their end": [f"{sum(not each.whole for each in crowd.streams)}" for crowd in seen.values()],
        "an event on its way, p99": [f"{crowd.slowest_ms:.0f} ms" for crowd in seen.values()],
        "memory of nginx's workers, each stream": [f"{crowd.memory_kb / max(crowd.together, 1):.0f} kB" for crowd in seen.values()],
    }
    targets = (str(count), "", "0", "", "")
    if any(not each.whole for each in seen["ours"].streams):
        MISSED.append("streams")
    for (name, values), target in zip(rows.items(), targets, strict=True):
        yield f"| {name} | {' | '.join(values)} | {target} |"
    for kind, crowd in seen.items():
        for trouble in sorted({each.trouble for each in crowd.streams if not each.whole}):
            print(f"{kind}: {trouble}", file=sys.stderr)


# Many sites


def many_sites(place: Place, folder: Path, count: int) -> Iterator[str]:
    """Each deployed anew, beside those that are there."""
    sites = [site(place, "models", name) for name in MANY[:count]]
    for entry in sites:
        place.world.names.names[entry["domain"]] = [place.gateway.address]
    proxy(place, folder, "deploy", sites[:1])
    seconds: dict[int, list[float]] = {1: [], count: []}
    tested: dict[int, float] = {}
    for number in (1, count, count, 1, 1, count):
        proxy(place, folder, "remove", sites)
        seconds[number].append(proxy(place, folder, "deploy", sites[:number]))
        said = place.gateway.run("for n in 1 2 3; do date +%s%N; nginx -t -q; done; date +%s%N").split()
        tested[number] = min(int(after) - int(before) for before, after in itertools.pairwise(said)) / 1e9
    one, all_of_them = (statistics.median(seconds[number]) for number in (1, count))
    yield compared("deployed in, s", one, all_of_them, 1, all_of_them / one, "≤1.5")
    yield compared("nginx -t, s (the target is absolute)", tested[1], tested[count], 2, tested[count], "≤0.3")


if __name__ == "__main__":
    main()
