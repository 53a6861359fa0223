"""QEMU's control socket (QMP): one JSON document out, one back, with the events in between kept."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from novaops.errors import HostFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 120
"""For one answer; `savevm` of a big guest is the slowest thing asked."""


class Monitor:
    """An open control socket. Raises HostFailed with qemu's own words when qemu says no, OSError when it is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._events: list[dict[str, Any]] = []
        self._read()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:  # each command answers its own shape
        """Run one QMP command and return what it returns."""
        request = {"execute": command, "arguments": arguments}
        self._stream.write(json.dumps(request).encode() + b"\n")
        self._stream.flush()
        while "event" in (answer := self._read()):
            self._events.append(answer)
        if "error" in answer:
            raise HostFailed(f"qemu refused {command}", why=answer["error"]["desc"])
        return answer["return"]

    def wait_event(self, name: str, device: str) -> None:
        """Return when the event was reported for the device; raises TimeoutError after `TIMEOUT_S`."""
        while not any(event["event"] == name and event["data"].get("device") == device for event in self._events):
            self._events.append(self._read())

    def human(self, line: str) -> str:
        """Run one line of the human monitor (savevm has no other form that answers when it is done); what it printed."""
        return str(self.execute("human-monitor-command", **{"command-line": line})).strip()

    def _read(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise ConnectionResetError("qemu closed its control socket")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def monitor(directory: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Monitor]:
    """The control socket `qmp` of a VM's directory; raises OSError when no qemu listens there."""
    # Through the directory's descriptor: a socket's path may have 107 bytes only, and a test's directory is longer.
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(f"/proc/self/fd/{descriptor}/qmp")
            yield Monitor(connection)
    finally:
        os.close(descriptor)
