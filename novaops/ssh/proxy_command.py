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

_LAST = 4096
"""Bytes of what it said that are looked at."""


class ProxySocket(socket.socket):
    """A socket whose other end is the command. Closing it ends the command."""

    def __init__(self, command: str) -> None:
        """Start `command` by the user's shell, as ssh does. Raises OSError where there is no shell."""
        ours, theirs = socket.socketpair()
        super().__init__(ours.family, ours.type, fileno=ours.detach())
        self.command = command
        self.ended: int | None = None
        """Its exit status, where it ended by itself, once this is closed."""
        self._hung_up = False
        self._last_said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._errors,
                )
        except BaseException:
            self._errors.close()
            super().close()
            raise

    @property
    def said(self) -> str:
        """The last line of what it said so far."""
        if self._errors.closed:
            return self._last_said
        written = os.fstat(self._errors.fileno()).st_size
        lines = os.pread(self._errors.fileno(), _LAST, max(0, written - _LAST)).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

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
        if self._errors.closed:
            return
        if self._hung_up:
            with suppress(subprocess.TimeoutExpired):
                self.ended = self._process.wait(_SECONDS)
        self._last_said = self.said
        super().close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._errors.close()
