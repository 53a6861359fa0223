"""The first token of an answer through `novaops api chat`, against curl: the same request, to the same server, by turns.

    .venv/bin/python benchmarks/api.py [--rounds 15] [--thinks 300]

Asks a server that thinks for a while before its first token, as APIs do, and the local model. Python's start is a row of its own: how
long after the start of the process the request is at the server. Ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from novaops.features.api.chat import ask
from novaops.features.api.llm.chat import ChatClient, body
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ChatRequest, Message, Parameters
from novaops.features.api.llm.route import direct
from novaops.providers.loader import Provider, load
from novaops.secret import Secret
from tests.support.llm_api import LlmApi
from tests.support.local_model import serving

TARGET = 1.05
ASKED = ChatRequest((Message("user", "Say hello."),), parameters=Parameters(temperature=0, max_tokens=4))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--thinks", type=int, default=300, metavar="MS")
    given = arguments.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.rounds} rounds, medians in ms\n")
    print("| | curl | novaops | ratio | target |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, LlmApi() as api:
        provider, key = load("local").located(f"{api.url}/v1"), "sk-benchmark"
        api.behaviour.delay_s = given.thinks / 1000
        missed = compared(f"first token, of a server that thinks for {given.thinks} ms", provider, key, given.rounds)
        api.behaviour.delay_s = 0
        started(api, provider, key, given.rounds)
        with serving(Path(folder)) as local:
            provider = load("local").located(local.url)
            missed |= compared("first token, of the local model", provider, local.key, given.rounds)
    sys.exit(1 if missed else 0)


def compared(name: str, provider: Provider, key: str, rounds: int) -> bool:
    """Prints a row; whether it misses the target. Each client opens a connection of its own for each question."""
    ours, curls = [], []
    first_ours(provider, key)  # what is loaded with the first question belongs to the start
    for _ in range(rounds):
        curls.append(first_curl(provider, key))
        ours.append(first_ours(provider, key))
    curl = statistics.median(curls)
    ratio = statistics.median(ours) / curl
    print(f"| {name} | {curl * 1000:.0f} | {statistics.median(ours) * 1000:.0f} | {ratio:.2f} | ≤ {TARGET} |", flush=True)
    return ratio > TARGET


def started(api: LlmApi, provider: Provider, key: str, rounds: int) -> None:
    """Prints a row: from the start of the process until the request is at the server."""
    words = [
        sys.executable,
        "-m",
        "novaops",
        "api",
        "chat",
        "hello",
        "--provider",
        "local",
        "--upstream",
        f"{api.url}/v1",
        "--key",
        "env:KEY",
    ]

    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiled once, as for a user

    def arrives(command: list[str]) -> float:
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, env={**settings, "KEY": key}, input=b"")
        return api.requests[-1].at - began

    arrives(words)
    found = {"curl": [arrives(curl_words(provider, key)) for _ in range(rounds)], "novaops": [arrives(words) for _ in range(rounds)]}
    middle = {name: statistics.median(times) * 1000 for name, times in found.items()}
    print(f"| from the start of the process to the request | {middle['curl']:.0f} | {middle['novaops']:.0f} | | |", flush=True)


def first_ours(provider: Provider, key: str) -> float:
    with closing(ChatClient(Http("local", Secret(key), direct(provider)))) as client:
        asked = ask(client, ASKED, lambda _: None)
    assert asked.timing.first is not None, asked.error
    return asked.timing.first


def first_curl(provider: Provider, key: str) -> float:
    """To the first line with text in it. curl's own clock, which starts after the process has, says when it began."""
    words = [*curl_words(provider, key), "-w", "\\n%{time_total}\\n"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        read = [(time.monotonic(), line) for line in process.stdout]
    first = next(at for at, line in read if has_text(line))
    end, total = read[-1]
    return first - (end - float(total))


def has_text(line: bytes) -> bool:
    if not line.startswith(b"data: {"):
        return False
    return any(choice["delta"].get("content") for choice in json.loads(line[6:])["choices"])


def curl_words(provider: Provider, key: str) -> list[str]:
    url, asked = direct(provider).url("/chat/completions"), json.dumps(body(ASKED, provider, "local"))
    return ["curl", "-sN", "-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", asked, url]


if __name__ == "__main__":
    main()
