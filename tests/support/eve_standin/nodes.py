"""The nodes that run: each is a qemu of its own, whose serial line is a telnet server."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

_QEMU = "qemu-system-x86_64"


class Running:
    """By lab and node the process. `ports` is the first port of the consoles; None takes any that is free."""

    def __init__(self, ports: int | None) -> None:
        self._ports = ports
        self._processes: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self._consoles: dict[tuple[str, int], int] = {}

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
        port = self.console(lab, node)
        drives = [word for disk in bootable for word in ("-drive", f"file={disk},if=ide,snapshot=on")]
        command = [
            _QEMU, "-accel", "tcg", "-m", "16", "-display", "none", "-monitor", "none", "-nic", "none",
            "-serial", f"telnet:127.0.0.1:{port},server=on,wait=off", *drives,
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self._processes[lab, node] = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)

    def stop(self, lab: str, node: int) -> None:
        process = self._processes.pop((lab, node), None)
        if process is not None:
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
