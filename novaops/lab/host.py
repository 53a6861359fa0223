"""One host of the lab: its specification, its state, and how to log in; vm.py and container.py run it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novaops.errors import HostFailed
from novaops.lab.disk import Disk
from novaops.lab.keys import HOST_KEY, IDENTITY
from novaops.lab.process import POLL_S, Process
from novaops.lab.requirements import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from novaops.lab.initrd import Entry
    from novaops.lab.recipe import Kind

BOOT_DEADLINE_S = 300
"""A VM under software emulation on a busy machine of two cores has been seen to need a third of it."""

FLEET_PORT = 10_000
"""The first port of a simulated fleet."""

BANNER_S = 2
"""Seconds for the banner of sshd. Short: a connection made before the guest's network is up never recovers."""


@dataclass(frozen=True)
class Spec:
    """The specification of a host: `nested` and everything after it is for VMs only."""

    name: str
    kind: Kind = "vm"
    release: str = "bookworm"
    disks: tuple[Disk, ...] = ()
    nested: bool = False
    cloud: str | None = None
    memory_mb: int = 512
    count: int = 0
    """So many hosts in the inventory, each of them a port of this one (containers only); 0: this host itself."""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Its names in the inventory: one, or those of a simulated fleet."""
        return tuple(f"{self.name}-{number + 1:04}" for number in range(self.count)) or (self.name,)


@dataclass
class State:
    """What is known of a host, kept as `state.json` in its directory."""

    spec: Spec
    image: str
    address: str
    port: int
    process: Process | None = None
    attached: dict[str, Disk] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write it atomically."""
        partial = directory / "state.json.partial"
        partial.write_text(json.dumps(asdict(self), default=str, indent=1))
        partial.rename(directory / "state.json")

    @classmethod
    def load(cls, directory: Path) -> State:
        """Read it back; raises OSError when the directory has none, ValueError, KeyError or TypeError when it is damaged."""
        data = json.loads((directory / "state.json").read_text())
        disks = tuple(_disk(values) for values in data["spec"].pop("disks"))
        data["attached"] = {node: _disk(values) for node, values in data.get("attached", {}).items()}
        process = Process(**data["process"]) if data["process"] else None
        return cls(**{**data, "spec": Spec(**data["spec"], disks=disks), "process": process})


def _disk(values: dict[str, Any]) -> Disk:
    return Disk(**{**values, "image": Path(values["image"]) if values["image"] else None})


class LabHost(ABC):
    """A host of the lab, running or not. `directory` holds all that is its own; the lab's key lies two levels above."""

    user = "root"

    def __init__(self, directory: Path, state: State) -> None:
        self.directory = directory
        self.state = state

    @property
    def name(self) -> str:
        return self.state.spec.name

    @property
    def kind(self) -> Kind:
        return self.state.spec.kind

    @property
    def address(self) -> str:
        return self.state.address

    @property
    def port(self) -> int:
        return self.state.port

    @property
    def endpoints(self) -> dict[str, int]:
        """The ports that lead to its sshd, by the names of the inventory: one, or those of a simulated fleet."""
        first = FLEET_PORT if self.state.spec.count else self.port
        return {name: first + number for number, name in enumerate(self.state.spec.endpoints)}

    @property
    def identity(self) -> Path:
        """The private key that opens root, nova, operator and plain."""
        return self.directory.parent.parent / IDENTITY

    @property
    def known_hosts(self) -> Path:
        return self.directory.parent.parent / "known_hosts"

    @property
    def host_key(self) -> str:
        """The host's public key, one line."""
        return (self.directory / f"{HOST_KEY}.pub").read_text().strip()

    @property
    def running(self) -> bool:
        """Whether its process runs. It does not when the host has powered itself off."""
        return self.state.process is not None and self.state.process.alive

    def as_json(self) -> dict[str, object]:
        """What `lab ls` shows of it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "release": self.state.spec.release,
            "address": self.address,
            "port": self.port,
            "state": "running" if self.running else "stopped",
            "disks": " ".join(disk.size for disk in (*self.state.spec.disks, *self.state.attached.values())),
        }

    def ssh_command(self, *words: str, user: str | None = None) -> list[str]:
        """The ssh client's command line to log in, or to run `words` there."""
        options = {
            "UserKnownHostsFile": f'"{self.known_hosts}"',
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "LogLevel": "ERROR",
            # A connection into a VM that reboots is never refused nor answered.
            "ConnectTimeout": "15",
            "ServerAliveInterval": "15",
        }
        command = [program("ssh"), "-F", "none", "-i", str(self.identity), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return [*command, f"{user or self.user}@{self.address}", *words]

    def run(self, command: str, *, user: str | None = None, stdin: str = "", timeout_s: float = 120) -> str:
        """What a shell command printed there (its output, decoded as the lab's Latin locale writes it).

        Raises HostFailed when it ends with another status than 0, or not within `timeout_s`.
        """
        try:
            done = subprocess.run(  # the lab's own command line
                self.ssh_command(command, user=user), input=stdin.encode(), capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise HostFailed(f"{self.name}: no end of `{command}` after {timeout_s:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode("iso-8859-15").strip()
            raise HostFailed(f"{self.name}: `{command}` ended with status {done.returncode}", why=said)
        return done.stdout.decode("iso-8859-15")

    def wait_for_ssh(self, on_progress: Callable[[str], None] = lambda _: None, deadline_s: float = BOOT_DEADLINE_S) -> None:
        """Return when its sshd answers; raises HostFailed with the console's last lines when it does not in time."""
        began = time.monotonic()
        on_progress(self._booting)
        while not self._sshd_answers():
            waited = time.monotonic() - began
            if not self.running or waited > deadline_s:
                what = "did not take ssh within {:.0f} s" if self.running else "ended {:.0f} s after its start"
                raise HostFailed(f"{self.name} {what.format(waited)}", why=self._last_words())
            time.sleep(POLL_S)

    def reboot(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """Reboot it from the inside; return when it has booted again and takes ssh."""
        before = self._boot()
        with suppress(HostFailed):  # the connection ends with the host
            self.run("systemctl reboot", timeout_s=20)
        end = time.monotonic() + BOOT_DEADLINE_S
        while True:
            self.wait_for_ssh(on_progress)
            with suppress(HostFailed):  # sshd may answer a last time on its way down
                if self._boot() != before:
                    return
            if time.monotonic() > end:
                raise HostFailed(f"{self.name} did not reboot within {BOOT_DEADLINE_S} s", why=self._last_words())

    def _boot(self) -> str:
        """The boot id: nspawn gives a container its own at each boot."""
        return self.run("cat /proc/sys/kernel/random/boot_id", timeout_s=30)

    @abstractmethod
    def prepare(self, files: Iterable[Entry]) -> None:
        """Keep the files that make a root file system this host; its first boot lays them over the image."""

    @abstractmethod
    def create(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """Make its disks or files anew and boot it for the first time; return when it takes ssh."""

    @abstractmethod
    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """Boot it with the disks or files it has; return when it takes ssh."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it at once, without a shutdown; disks and files stay. Nothing happens when it does not run."""

    @abstractmethod
    def reset(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """Put back the state right after its first boot; connections from before are dead."""

    @property
    def _booting(self) -> str:
        """What is said while it boots."""
        return "booting"

    def _save(self, process: Process | None) -> None:
        self.state.process = process
        self.state.save(self.directory)

    def _sshd_answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=BANNER_S) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _last_words(self) -> str:
        lines: list[str] = []
        for log in ("console.log", "process.log"):
            try:
                lines += (self.directory / log).read_text(errors="replace").splitlines()[-8:]
            except OSError:
                continue
        return "\n".join(lines)
