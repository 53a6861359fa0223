"""The page of `api app`, uploads, and knowledge bases: the targets that api.py does not measure.

    .venv/bin/python benchmarks/api_app.py [--rounds 7] [--megabytes 200] [--passages 20000]

How long after the command the page can be used; a file sent to a server that only reads, against curl by turns; searches of a base of
one's own. Ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from novaops.features.api.app.server import FILES
from novaops.features.api.knowledge import base
from novaops.features.api.knowledge.search import search
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.route import direct
from novaops.features.api.remote.openai import OpenAiFiles
from novaops.features.api.remote.protocol import Upload
from novaops.features.api.remote.uploads import Counted
from novaops.providers.loader import load
from novaops.secret import Secret

PAGE_MS, SEARCH_MS, UPLOAD = 1000, 100, 0.9
WORDS = [f"{first}{second}" for first in ("net", "disk", "alarm", "fibre", "port", "route") for second in range(300)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--passages", type=int, default=20_000)
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.rounds} rounds, medians\n")
    print("| | measured | target |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"XDG_DATA_HOME": f"{folder}/data", "XDG_STATE_HOME": f"{folder}/state"}
        missed = [page(folder, given.rounds), upload(folder, given.megabytes, given.rounds), searches(folder, given.passages, given.rounds)]
    sys.exit(1 if any(missed) else 0)


def page(folder: Path, rounds: int) -> bool:
    """From the start of the command until the browser has the page and all that it shows."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    usable(folder, settings)
    times = [usable(folder, settings) * 1000 for _ in range(rounds)]
    print(f"| page of `api app` usable | {statistics.median(times):.0f} ms | < {PAGE_MS} ms |", flush=True)
    return statistics.median(times) >= PAGE_MS


def usable(folder: Path, settings: Mapping[str, str]) -> float:
    words = [sys.executable, "-m", "novaops", "--json", "api", "app", "--provider", "local", "--key", "env:KEY"]
    began = time.monotonic()
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True, env={**settings, "KEY": "sk-benchmark"}) as process:
        assert process.stdout
        link = urlsplit(json.loads(process.stdout.readline())["url"])
        with closing(http.client.HTTPConnection(link.netloc)) as connection:
            connection.request("GET", f"/?{link.query}")
            cookie = answered(connection, 303).getheader("Set-Cookie", "").partition(";")[0]
            for path in (*FILES, "/api/state"):
                connection.request("GET", path, headers={"Cookie": cookie})
                answered(connection, 200)
        taken = time.monotonic() - began
        process.terminate()
    return taken


def answered(connection: http.client.HTTPConnection, status: int) -> http.client.HTTPResponse:
    answer = connection.getresponse()
    answer.read()
    assert answer.status == status, answer.status
    return answer


def upload(folder: Path, megabytes: int, rounds: int) -> bool:
    """The speed of novaops as a part of curl's."""
    file = folder / "large.txt"
    with file.open("wb") as into:
        for _ in range(megabytes):
            into.write(os.urandom(1 << 20))
    with sink() as url, closing(Http("local", Secret("sk-benchmark"), direct(load("local").located(f"{url}/v1")))) as client:
        ours, curls = [], []
        for _ in range(rounds):
            words = [
                "curl",
                "-sf",
                "-o",
                "/dev/null",
                "-w",
                "%{time_total}",
                "-F",
                "purpose=assistants",
                "-F",
                f"file=@{file}",
                f"{url}/v1/files",
            ]
            curls.append(float(subprocess.check_output(words)))
            began = time.monotonic()
            with Counted(file, file.stat().st_size, lambda *_: None) as content:
                OpenAiFiles(client).upload(Upload(file.name, content, "text/plain", "assistants"))
            ours.append(time.monotonic() - began)
    ratio = statistics.median(curls) / statistics.median(ours)
    speeds = " and ".join(f"{megabytes / statistics.median(times):.0f} MB/s" for times in (ours, curls))
    print(f"| upload of {megabytes} MB, by curl's speed | {ratio:.2f} ({speeds}) | ≥ {UPLOAD} |", flush=True)
    return ratio < UPLOAD


@contextmanager
def sink() -> Iterator[str]:
    """The URL of a server that takes files, and does nothing with them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        answer = json.dumps({"id": "file-1", "filename": "large.txt", "bytes": 1, "purpose": "assistants", "status": "processed"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def searches(folder: Path, passages: int, rounds: int) -> bool:
    """The slowest of three kinds of questions."""
    chosen = random.Random(7)  # noqa: S311 - no secret
    file = folder / "entries.json"
    entries = [{"code": f"ALM-{number}", "text": " ".join(chosen.choices(WORDS, k=110))} for number in range(passages)]
    file.write_text(json.dumps(entries))
    base.create("large")
    base.add_document("large", file)
    questions = {"key": "What is ALM-7003?", "rare": "net7 disk123 alarm9", "common": " ".join(WORDS[:12])}
    slowest = 0.0
    for name, question in questions.items():
        times = []
        for _ in range(rounds):
            began = time.monotonic()
            assert search("large", question)
            times.append((time.monotonic() - began) * 1000)
        slowest = max(slowest, statistics.median(times))
        print(f"| search of {passages} passages, {name} | {statistics.median(times):.0f} ms | ≤ {SEARCH_MS} ms |", flush=True)
    return slowest > SEARCH_MS


if __name__ == "__main__":
    main()
