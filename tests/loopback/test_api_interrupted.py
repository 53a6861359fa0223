"""Ctrl-C while an API is silent: each verb ends at once, says so, and leaves no traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SECONDS = 60
LARGE = 64 << 20
"""Bytes that no socket takes in by itself."""


class Silent:
    """Takes connections, reads the beginning of a request, and never says anything."""

    def __init__(self, server: socket.socket) -> None:
        self.port = server.getsockname()[1]
        self.asked = threading.Event()
        self._server = server
        self._kept: list[socket.socket] = []

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._kept.append(connection)
                if connection.recv(100):
                    self.asked.set()

    def close(self) -> None:
        for connection in self._kept:
            connection.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Silent(server)
        threading.Thread(target=made.serve, daemon=True).start()
        (tmp_path / "providers").mkdir()
        endpoint = f"endpoints: [{{host: 127.0.0.1, port: {made.port}, path: /v1, tls: off}}]"
        (tmp_path / "providers/mine.yaml").write_text(f"{endpoint}\nprobe: /v1/models\nkey: {{source: env:MINE}}\nchat: {{model: m}}\n")
        (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
        yield made
        server.shutdown(socket.SHUT_RDWR)
        made.close()


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    settings = {**os.environ, "MINE": "sk-mine", "XDG_DATA_HOME": str(folder / "data"), "XDG_STATE_HOME": str(folder / "state")}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "novaops", "api", *words], cwd=folder, text=True, env=settings, **pipes) as process:  # type: ignore[call-overload] # as above
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "words",
    [
        ("chat", "hi"),
        ("chat", "hi", "--json"),
        ("models",),
        ("ask", "own", "hi"),
        ("ask", "mine/vs_1", "hi"),
        ("files", "ls"),
        ("files", "add", "large.txt"),
        ("knowledge", "add", "mine/vs_1", "large.txt"),
        ("knowledge", "ls", "mine/vs_1"),
        ("knowledge", "search", "mine/vs_1", "hi"),
    ],
)
def test_ctrl_c_while_the_api_is_silent(words: tuple[str, ...], silent: Silent, tmp_path: Path) -> None:
    if "own" in words:
        (tmp_path / "a.txt").write_text("hi there")
        for verb in (("create", "own"), ("add", "own", "a.txt")):
            with started(tmp_path, "knowledge", *verb) as process:
                assert process.wait(SECONDS) == 0
    if "large.txt" in words:
        (tmp_path / "large.txt").write_bytes(b"text " * (LARGE // 5))
    with started(tmp_path, *words) as process:
        assert silent.asked.wait(SECONDS), "no request came"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "begun on a host" not in out + err, "no host has to do with it"
    assert "sk-mine" not in out + err
