"""The nodes that run: each is a qemu of its own, whose serial line is a telnet server, behind a wrapper as EVE-NG has one."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

_QEMU = "qemu-system-x86_64"
_HEAD = b"\xff\xfb\x01\xff\xfb\x03\x1b]0;node\x07"
"""What UNetLab's wrappers send to whoever connects: that they echo, that they send each byte at once, and a title of the window."""


class Wrapper:
    """Listens on the node's port, and greets by itself, whether or not the node says a word."""

    def __init__(self, port: int, node_port: int) -> None:
        self._node_port = node_port
        self._server = socket.create_server(("127.0.0.1", port))
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.sendall(_HEAD)
            with _connected(self._node_port) as node:
                Thread(target=_pump, args=(node, client), daemon=True).start()
                _pump(client, node)


def _connected(port: int) -> socket.socket:
    """Connect. A qemu takes a moment until it listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)


class Running:
    """By lab and node the process. `ports` is the first port of the consoles; None takes any that is free."""

    def __init__(self, ports: int | None) -> None:
        self._ports = ports
        self._processes: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self._consoles: dict[tuple[str, int], int] = {}
        self._wrappers: dict[tuple[str, int], Wrapper] = {}

    def __len__(self) -> int:
        return sum(process.poll() is None for process in self._processes.values())

    def status(self, lab: str, node: int) -> int:
        """2 while it runs, else 0."""
        process = self._processes.get((lab, node))
        return 2 if process is not None and process.poll() is None else 0

    def console(self, lab: str, node: int) -> int:
        """Its port, the same for as long as the node is there."""
        return self._consoles.setdefault((lab, node), self._ports + node if self._ports else _free_port())

    def start(self, lab: str, node: int, disks: list[Path]) -> None:
        """Nothing is started without a disk to boot from, as when its name is wrong. Nobody is told."""
        bootable = [disk for disk in disks if disk.suffix == ".qcow2"]
        if not bootable or self.status(lab, node):
            return
        port = _free_port()
        drives = [word for disk in bootable for word in ("-drive", f"file={disk},if=ide,snapshot=on")]
        command = [
            _QEMU, "-accel", "tcg", "-m", "16", "-display", "none", "-monitor", "none", "-nic", "none",
            "-serial", f"telnet:127.0.0.1:{port},server=on,wait=off", *drives,
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self._processes[lab, node] = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        self._wrappers[lab, node] = Wrapper(self.console(lab, node), port)

    def stop(self, lab: str, node: int) -> None:
        process = self._processes.pop((lab, node), None)
        if process is not None:
            self._wrappers.pop((lab, node)).close()
            process.kill()
            process.wait()

    def forget(self, lab: str, node: int) -> None:
        self.stop(lab, node)
        self._consoles.pop((lab, node), None)

    def stop_all(self) -> None:
        for lab, node in list(self._processes):
            self.stop(lab, node)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
