"""A container under systemd-nspawn: the image's tree below, an overlay of its own above, its own address on the bridge."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.lab.host import LabHost
from novaops.lab.image import Image
from novaops.lab.network import fleet_down, fleet_up, network_up
from novaops.lab.process import start, wait_until
from novaops.lab.requirements import SYSTEM_PATH, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from novaops.lab.initrd import Entry

_CGROUPS = Path("/sys/fs/cgroup")

SUPERVISE = """\
for hierarchy in $CGROUPS; do mkdir -p "$hierarchy/$MACHINE" && echo $$ >"$hierarchy/$MACHINE/cgroup.procs"; done
mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$PWD/upper,workdir=$PWD/work" root || exit 1
status=133
while [ $status -eq 133 ]; do "$@"; status=$?; done
exit $status
"""
"""Runs in a mount namespace of its own, so that the overlay is gone when the container is, however it ends.
nspawn ends with 133 when the container wants to be booted again; a cgroup for each, or they take each other's services
for their own (on a machine with systemd that is its business)."""


class Container(LabHost):
    """A container. It shares the machine's kernel, and sees the machine's own disks: disk selection is tested in a VM."""

    def prepare(self, files: Iterable[Entry]) -> None:
        for file in files:
            path = self.directory / "seed" / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name == ".ssh":
                path.parent.chmod(0o700)
            path.write_bytes(file.content)
            path.chmod(file.mode)

    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        network = network_up(self.directory.parent.parent)
        if not self.running:
            (self.directory / "root").mkdir(exist_ok=True)
            self.state.notes["machine"] = f"{network.bridge}-{self.name}"
            environment = {
                "PATH": SYSTEM_PATH,
                "CGROUPS": " ".join(_hierarchies()),
                "MACHINE": self._machine,
                "TREE": str(Image(Path(self.state.image)).tree),
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            }
            nspawn = command_line(self._machine, network.bridge)
            command = [program("unshare"), "--mount", "sh", "-c", SUPERVISE, "sh", *nspawn]
            self._save(start(command, self.directory, self.directory / "process.log", environment))
        if self.state.spec.count:
            fleet_up(network.bridge, self.name, self.address, list(self.endpoints.values()))
        self.wait_for_ssh(on_progress)

    def stop(self) -> None:
        """Kill its init, upon which nspawn cleans up; then kill what is left."""
        process = self.state.process
        if process is None:
            return
        if self.state.spec.count:
            fleet_down(self._machine.removesuffix(f"-{self.name}"), self.name)
        while process.alive and (init := _init_of(process.pid)) is not None:
            os.kill(init, signal.SIGKILL)
            if wait_until(lambda: not process.alive, 5):
                break
        process.stop()
        for hierarchy in _hierarchies():
            _remove_cgroup(Path(hierarchy, self._machine))
        self._save(None)

    def reset(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        self.stop()
        self.create(on_progress)

    def create(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """A fresh overlay, with what is in `seed` laid into it, and the first boot."""
        for part in ("upper", "work"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
            (self.directory / part).mkdir()
        shutil.copystat(self._tree, self.directory / "upper")
        for source in sorted((self.directory / "seed").rglob("*")):
            self._lay(source.relative_to(self.directory / "seed"))
        self.start(on_progress)

    @property
    def _tree(self) -> Path:
        return Image(Path(self.state.image)).tree

    def _lay(self, path: Path) -> None:
        """Copy one path of `seed` into the overlay; a directory that the image has keeps its owner and mode."""
        source, target, below = self.directory / "seed" / path, self.directory / "upper" / path, self._tree / path
        if source.is_dir():
            target.mkdir()
        else:
            shutil.copyfile(source, target)
        shutil.copystat(below if below.is_dir() else source, target)
        while not below.exists():  # new: it belongs to whom the nearest directory of the image belongs to
            below = below.parent
        os.chown(target, below.stat().st_uid, below.stat().st_gid)

    @property
    def _machine(self) -> str:
        """Its name among the machine's cgroups; the bridge's name in front, as another lab may have a host of this name."""
        return str(self.state.notes["machine"])


def command_line(machine: str, bridge: str) -> list[str]:
    """systemd-nspawn's command line, to be run in the container's directory."""
    command = [
        program("systemd-nspawn"), "--quiet", "--boot", "--directory=root", f"--machine={machine}", "--register=no",
        f"--network-bridge={bridge}", "--network-veth", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        "--console=read-only", "--kill-signal=SIGRTMIN+3",
    ]  # fmt: skip
    if not _machine_has_systemd():
        command.append("--keep-unit")  # nobody there to be asked for a scope
    if Path("/dev/net/tun").exists():
        command.append("--bind=/dev/net/tun")
    return command


def _machine_has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _hierarchies() -> list[str]:
    """The cgroup trees in which each container needs a place of its own: none where systemd gives it one."""
    if _machine_has_systemd():
        return []
    candidates = (_CGROUPS, _CGROUPS / "systemd", _CGROUPS / "unified")
    return [str(path) for path in candidates if (path / "cgroup.procs").exists()]


def _remove_cgroup(path: Path) -> None:
    """Remove a cgroup and those below it; a directory of cgroupfs goes with rmdir although it has files."""
    if not path.is_dir():
        return
    for below in [child for child in path.iterdir() if child.is_dir()]:
        _remove_cgroup(below)
    wait_until(lambda: not (path / "cgroup.procs").read_text(), 5)
    path.rmdir()


def _init_of(supervisor: int) -> int | None:
    """The container's first process: the shell's child is nspawn, and its child in a pid namespace is init."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):  # the names alone: glob itself would fail on a file of one that ends
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(process.name))
    ours = Path("/proc/self/ns/pid").readlink()
    for nspawn in children.get(supervisor, []):
        for child in children.get(nspawn, []):
            for candidate in (child, *children.get(child, [])):  # nspawn has a helper beside init, or above it
                with suppress(OSError):
                    if Path(f"/proc/{candidate}/ns/pid").readlink() != ours:
                        return candidate
    return None
