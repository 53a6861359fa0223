"""The connection that a ProxyCommand makes: its standard input and output, as a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SECONDS = 2.0
"""For a command that has closed its output to end."""


class ProxySocket(socket.socket):
    """A socket whose other end is the command. Closing it ends the command."""

    def __init__(self, command: str) -> None:
        """Start `command` by the user's shell, as ssh does. Raises OSError where there is no shell."""
        ours, theirs = socket.socketpair()
        super().__init__(ours.family, ours.type, fileno=ours.detach())
        self.command = command
        self.ended: tuple[int, str] | None = None
        """Where it ended by itself, once this is closed: its exit status, and the last line of what it said."""
        self._hung_up = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                )
        except BaseException:
            self._said.close()
            super().close()
            raise

    def recv(self, *arguments: Any) -> bytes:
        with self._watched():
            data = super().recv(*arguments)
        self._hung_up = self._hung_up or not data
        return data

    def send(self, *arguments: Any) -> int:
        with self._watched():
            return super().send(*arguments)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            self._hung_up = True
            raise

    def close(self) -> None:
        if self._said.closed:
            return
        if self._hung_up:
            with suppress(subprocess.TimeoutExpired):
                status = self._process.wait(_SECONDS)
                self._said.seek(0)
                lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
                self.ended = status, lines[-1] if lines else ""
        super().close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._said.close()
