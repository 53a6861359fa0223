"""What the benchmarks of links have in common: bytes from one container to another, two ways by turns, ratios and targets."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from novaops.lab.host import LabHost
from tests.support.links import network_command

PORT = 7000

SERVER = """\
import socket, sys, threading
CHUNK = bytes(1 << 18)
def serve(line):
    with line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while not head.endswith(b"\\n"):
            got = line.recv(1)
            if not got:
                return
            head += got
        if head.startswith(b"GET "):
            line.sendall(b"HTTP/1.0 204 No Content\\r\\n\\r\\n")
            return
        what, count = head.decode().split()
        left = int(count)
        if what == "echo":
            while left:
                line.sendall(line.recv(1))
                left -= 1
        elif what == "down":
            while left:
                size = min(left, len(CHUNK))
                line.sendall(memoryview(CHUNK)[:size])
                left -= size
        else:
            while left:
                left -= len(line.recv(min(left, 1 << 18)))
            line.sendall(b"k")
def taken(line):
    try:
        serve(line)
    except OSError:
        pass
server = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=64)
print("listening", flush=True)
while True:
    threading.Thread(target=taken, args=(server.accept()[0],), daemon=True).start()
"""
"""A line says what is wanted: `down BYTES`, `up BYTES`, or `echo TIMES`; or it is HTTP, for who only looks whether it is there."""

CLIENT = """\
import json, socket, sys, time
address, port, what, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def opened():
    line = socket.create_connection((address, port), timeout=120)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line
each = []
if what == "connect":
    for _ in range(count):
        began = time.perf_counter()
        with opened() as line:
            line.sendall(b"echo 1\\n.")
            assert line.recv(1) == b"."
            each.append(time.perf_counter() - began)
    print(json.dumps(each))
    sys.exit()
line = opened()
line.sendall(f"{what} {count}\\n".encode())
if what == "echo":
    for _ in range(count):
        at = time.perf_counter()
        line.sendall(b".")
        assert line.recv(1) == b"."
        each.append(time.perf_counter() - at)
    print(json.dumps(each))
    sys.exit()
left = count
began = time.perf_counter()
if what == "down":
    while left:
        got = line.recv(1 << 18)
        assert got, "it ended early"
        left -= len(got)
else:
    chunk = bytes(1 << 18)
    while left:
        size = min(left, len(chunk))
        line.sendall(memoryview(chunk)[:size])
        left -= size
    assert line.recv(1) == b"k"
print(json.dumps([time.perf_counter() - began]))
"""


@dataclass(frozen=True)
class Row:
    """One thing that is measured. `target` is what the ratio has to reach; a time may not exceed its inverse."""

    name: str
    what: str
    """down, up, echo or connect."""
    count: int
    """Bytes, or times."""
    digits: int = 0
    target: float = 0.95

    @property
    def more_is_better(self) -> bool:
        return self.what in {"down", "up"}

    def value(self, seconds: Sequence[float]) -> float:
        """MB/s, or milliseconds."""
        return self.count / 1e6 / seconds[0] if self.more_is_better else statistics.median(seconds) * 1000

    def reached(self, ratio: float) -> bool:
        return ratio >= self.target if self.more_is_better else ratio <= 1 / self.target

    @property
    def aim(self) -> str:
        return f"≥ {self.target:.2f}" if self.more_is_better else f"≤ {1 / self.target:.2f}"


@contextmanager
def answering(host: LabHost, port: int = PORT) -> Iterator[None]:
    """The other end, in the container's network."""
    process = subprocess.Popen(network_command(host, sys.executable, "-c", SERVER, str(port)), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            sys.exit("the other end did not start")
        yield
    finally:
        process.kill()
        process.communicate()


def measured(client: LabHost, place: tuple[str, int], row: Row) -> float:
    """One round. Raises SystemExit when the link breaks."""
    command = network_command(client, sys.executable, "-c", CLIENT, place[0], str(place[1]), row.what, str(row.count))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        sys.exit(f"{row.name}, {place[0]}:{place[1]}:\n{done.stderr}")
    return row.value(json.loads(done.stdout))


def compared(
    rows: Sequence[Row],
    rounds: int,
    measure: Callable[[str, Row], float],
    kinds: Mapping[str, str],
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> bool:
    """Prints a table of the two kinds, by turns; whether every ratio reaches its target. The second kind is ours."""
    hand, ours = kinds
    say(f"| | {kinds[hand]} | {kinds[ours]} | ratio | target |\n|---|---|---|---|---|")
    fine = True
    for row in rows:
        for kind in kinds:
            measure(kind, row)  # warm
        seen: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(rounds):
            for kind in kinds if number % 2 == 0 else list(kinds)[::-1]:
                seen[kind].append(measure(kind, row))
        ratio = statistics.median(after / before for before, after in zip(seen[hand], seen[ours], strict=True))
        fine = fine and row.reached(ratio)
        medians = " | ".join(f"{statistics.median(seen[kind]):.{row.digits}f}" for kind in kinds)
        say(f"| {row.name} | {medians} | {ratio:.2f} | {row.aim} |")
    return fine
