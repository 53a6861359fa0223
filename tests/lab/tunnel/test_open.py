"""`novaops tunnel open` through a real sshd: to the API and elsewhere, and what sshd says when it does not let it."""

from __future__ import annotations

import hashlib
import json
import secrets
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.things import write_inventory
from tests.support.world.world import World

SECONDS = 30


@contextmanager
def opened(novaops: Novaops, inventory: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A call that is open, and its ports."""
    with novaops.start("tunnel", "open", *words, "--json", inventory=inventory) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, [forward["port"] for forward in json.loads(line)["forwards"]]
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def status(port: int, name: str, context: ssl.SSLContext) -> int:
    """Of the API, asked through the port under its own name."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain, context.wrap_socket(plain, server_hostname=name) as line:
        line.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return int(line.recv(64).split()[1])


def test_the_api_and_what_is_refused(novaops: Novaops, container: LabHost, world: World, tmp_path: Path) -> None:
    world.prepare(container)
    inventory = write_inventory(tmp_path, container)
    with opened(novaops, inventory, "box", "--to", "openai", "--to", "127.0.0.1:22") as (process, (api, ssh)):
        assert status(api, "api.openai.com", world.authority.context()) == 401
        assert world.api.requests[-1].client == container.address
        with socket.create_connection(("127.0.0.1", ssh), SECONDS) as line:
            assert line.recv(8) == b"SSH-2.0-"
        assert ended(process) == (0, "", "")
    for to, why in (("127.0.0.1:9", "Connection refused."), ("nothing.lab.test:443", "not known")):
        done = novaops("tunnel", "open", "box", "--to", to, "--json", inventory=inventory)
        assert (done.code, done.json["error"]["what"]) == (1, f"box ({container.address}) does not reach {to}")
        assert why in done.json["error"]["why"]


@pytest.mark.long
def test_an_sshd_that_forbids_it(novaops: Novaops, container: LabHost, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, container)
    container.run("echo 'AllowTcpForwarding no' >/etc/ssh/sshd_config.d/00-no.conf; systemctl restart ssh")
    done = novaops("tunnel", "open", "box", "--to", "127.0.0.1:22", "--json", inventory=inventory)
    error: dict[str, Any] = done.json["error"]
    assert (done.code, error["what"]) == (1, f"box ({container.address}) does not forward to 127.0.0.1:22")
    assert "AllowTcpForwarding" in error["fix"]


@pytest.mark.long
def test_50_mb_and_a_web_page(novaops: Novaops, container: LabHost, world: World, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, container)
    backend = world.backend("one")
    place = f"{world.address}:{backend.port}"
    container.run(f"systemd-run -q -u eve --socket-property=ListenStream=127.0.0.1:80 /usr/lib/systemd/systemd-socket-proxyd {place}")
    big = secrets.token_bytes(50_000_000)
    with opened(novaops, inventory, "box", "--to", "eve", "--to", place) as (process, (eve, one)):
        page = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{eve}/"], capture_output=True, check=True).stdout
        assert page == b"one\n"
        words = ["curl", "-sS", "--data-binary", "@-", f"http://127.0.0.1:{one}/big"]
        found = json.loads(subprocess.run(words, input=big, capture_output=True, check=True).stdout)
        assert (found["size"], found["sha256"]) == (len(big), hashlib.sha256(big).hexdigest())
        assert ended(process)[0] == 0


@pytest.mark.long
@pytest.mark.parametrize(
    "end",
    [
        "ss -Htnp 'dport = :{port}' | grep -o 'pid=[0-9]*' | cut -d = -f 2 | xargs kill -KILL",
        "ip rule add ipproto tcp sport 22 dport {port} blackhole",
    ],
    ids=["killed", "silent"],
)
def test_a_host_that_is_gone(novaops: Novaops, container: LabHost, tmp_path: Path, end: str) -> None:
    """Its sshd is killed: known at once. Its link is cut without a word: known after the time-out."""
    inventory = write_inventory(tmp_path, container)
    with opened(novaops, inventory, "box", "--to", "127.0.0.1:22", "--timeout", "5") as (process, _):
        container.run(end.format(port=_own_port(process.pid)))
        _, err = process.communicate(timeout=180)
        assert process.returncode == 5
        assert "was lost, and the tunnel with it" in err


def _own_port(pid: int) -> str:
    """From which the process is connected to the host's sshd."""
    lines = subprocess.run(["ss", "-Htnp", "dport = :22"], capture_output=True, text=True, check=True).stdout.splitlines()
    (place,) = (line.split()[3] for line in lines if f"pid={pid}," in line)
    return place.rpartition(":")[2]
