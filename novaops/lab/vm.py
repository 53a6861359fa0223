"""A virtual machine under qemu: a kernel booted directly, qcow2 disks, ssh forwarded from a free port of 127.0.0.1."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import HostFailed, UsageError
from novaops.lab.disk import in_bytes
from novaops.lab.host import LabHost
from novaops.lab.image import Image
from novaops.lab.initrd import archive, host_entries
from novaops.lab.kvm import why_not
from novaops.lab.process import start, wait_until
from novaops.lab.qemu import (
    HOT_PORTS,
    PRISTINE,
    ROOT,
    blockdev,
    command_line,
    devices,
    hot_port,
    make_disk,
    node_name,
)
from novaops.lab.qmp import monitor
from novaops.shell import UNTIL_BOOTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from novaops.lab.disk import Disk
    from novaops.lab.initrd import Entry
    from novaops.lab.qmp import Monitor

START_DEADLINE_S = 60
"""For qemu itself, to the point where it runs the guest."""

LIFE_S = 30
"""For the first word of a guest under KVM. A kernel says it within a second; emulated in software it has booted by then."""


class VirtualMachine(LabHost):
    """A VM. Its disks are `disk0` (root), `disk1` … in the order asked for, and on for those attached while it runs."""

    def prepare(self, files: Iterable[Entry]) -> None:
        shared = self._image.initrd.read_bytes()
        (self.directory / "initrd").write_bytes(shared + archive(host_entries(files)))

    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        if not self.running:
            self._run()
        self.wait_for_ssh(on_progress)

    def stop(self) -> None:
        if self.state.process is not None:
            self.state.process.stop()
            self._save(None)

    def create(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        self.state.notes.pop("pristine", None)
        self._make_disks()
        self._run(anew=True)
        self.wait_for_ssh(on_progress)
        on_progress("settling")
        # Not before it is quiet: every reset goes on from this very moment.
        self.run(f"{UNTIL_BOOTED}; sync")
        if self._can_snapshot:
            on_progress("keeping its pristine state")
            said = self.monitor(f"savevm {PRISTINE}")
            if said:
                raise HostFailed(f"{self.name}: qemu could not keep the pristine state", why=said)
            self.state.notes["pristine"] = self.accelerator
            self.state.save(self.directory)

    def reset(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        self.stop()
        on_progress("putting its pristine state back")
        for node in self.state.attached:
            self._file(node).unlink(missing_ok=True)
        self.state.attached.clear()
        if not self._can_snapshot or not self._resumes(on_progress):
            self.create(on_progress)
            return
        self.wait_for_ssh(on_progress)
        self.run(f"date -u -s @{time.time():.0f} >/dev/null")  # its clock stood still since the snapshot

    def attach(self, disk: Disk) -> str:
        """Plug a disk in while it runs; its name for `detach` and `grow`. It stays over a reboot, until `reset`."""
        spec = self.state.spec
        first = len(spec.disks) + 1
        free = [node_name(n) for n in range(first, first + HOT_PORTS) if node_name(n) not in self.state.attached]
        if not free:
            raise UsageError(f"{self.name} has no port left for another disk", why=f"it has {HOT_PORTS}")
        node = free[0]
        make_disk(self._file(node), disk)
        with self._monitor() as qemu:
            qemu.execute("blockdev-add", **blockdev(disk, node))
            for device in devices(disk, node, hot_port(spec, node)):
                qemu.execute("device_add", **device)
        self.state.attached[node] = disk
        self.state.save(self.directory)
        return node

    def detach(self, node: str) -> None:
        """Pull out a disk that `attach` put in, and delete it; the guest has to let go of it, which takes it a moment."""
        disk = self.state.attached.get(node)
        if disk is None:
            raise UsageError(f"{self.name} has no attached disk {node!r}", fix="the name that attach() returned")
        with self._monitor() as qemu:
            for device in reversed(devices(disk, node, hot_port(self.state.spec, node))):
                qemu.execute("device_del", id=device["id"])
                qemu.wait_event("DEVICE_DELETED", str(device["id"]))
            qemu.execute("blockdev-del", **{"node-name": node})
        del self.state.attached[node]
        self.state.save(self.directory)
        self._file(node).unlink()

    def grow(self, node: str, size: str) -> None:
        """Make a disk (`disk1` is the first one asked for) this big while it runs, as a cloud's console does."""
        with self._monitor() as qemu:
            qemu.execute("block_resize", **{"node-name": node, "size": in_bytes(size)})

    def monitor(self, line: str) -> str:
        """Run one line of qemu's human monitor (`system_powerdown`, `info block`, …) and return what it printed."""
        with self._monitor() as qemu:
            return qemu.human(line)

    @property
    def accelerator(self) -> str:
        """`kvm` or `tcg` (software emulation) of the last start."""
        return str(self.state.notes.get("accelerator", ""))

    @property
    def _can_snapshot(self) -> bool:
        # qemu cannot keep the state of an nvme disk: such a host is reset by making its disks anew and booting
        return all(disk.bus != "nvme" for disk in self.state.spec.disks)

    def _make_disks(self) -> None:
        base = self._image.disk
        for number, disk in enumerate((ROOT, *self.state.spec.disks)):
            make_disk(self._file(node_name(number)), disk, raw_base=base if number == 0 else None)

    @property
    def _image(self) -> Image:
        return Image(Path(self.state.image))

    @property
    def _booting(self) -> str:
        why = self.state.notes.get("no_kvm")
        return f"booting (no KVM here: {why}; using software emulation)" if why else "booting"

    @property
    def _cache(self) -> Path:
        return self._image.directory.parent

    def _file(self, node: str) -> Path:
        return self.directory / f"{node}.qcow2"

    @contextmanager
    def _monitor(self) -> Iterator[Monitor]:
        try:
            with monitor(self.directory) as qemu:
                yield qemu
        except OSError as error:
            raise HostFailed(f"{self.name}: qemu does not answer", why=str(error)) from error

    def _run(self, *, anew: bool = False) -> None:
        """Start qemu: with KVM where that is proven to work and the guest shows life, else with software emulation.

        With `anew` the disks are made again for the second try.
        """
        why = why_not(self.state.spec, self._cache)
        if not why:
            if not self._run_with("kvm", resume=False):
                why = "qemu did not start with it"
            elif self._lives(LIFE_S):
                self.state.notes.pop("no_kvm", None)
                self.state.save(self.directory)
                return
            else:
                why = f"{self.name} showed no sign of life in {LIFE_S} s"
                self.stop()
            if anew:
                self._make_disks()
        self.state.notes["no_kvm"] = why
        if not self._run_with("tcg", resume=False):
            raise HostFailed(f"qemu did not start {self.name}", why=self._last_words())

    def _resumes(self, on_progress: Callable[[str], None]) -> bool:
        """Go on from the pristine snapshot, under what it was taken with: another processor could not. Whether it did.

        It does not where that was KVM, and KVM does not serve any more. A new qemu, not `loadvm` in the old one: that would
        keep disks attached since, and connections half alive.
        """
        accelerator = str(self.state.notes.get("pristine", self.accelerator))
        why = why_not(self.state.spec, self._cache) if accelerator == "kvm" else ""
        if not why:
            if not self._run_with(accelerator, resume=True):
                raise HostFailed(f"qemu did not start {self.name}", why=self._last_words())
            if accelerator != "kvm" or self._lives(LIFE_S):
                return True
            why = f"{self.name} showed no sign of life in {LIFE_S} s"
            self.stop()
        on_progress(f"its pristine state needs KVM, and {why}: making it anew")
        return False

    def _lives(self, deadline_s: float) -> bool:
        """Whether the guest says anything in time."""
        console = self.directory / "console.log"
        wait_until(lambda: not self.running or console.stat().st_size > 0 or self._sshd_answers(), deadline_s)
        return self.running and (console.stat().st_size > 0 or self._sshd_answers())

    def _run_with(self, accelerator: str, *, resume: bool) -> bool:
        state = self.state
        state.notes["accelerator"] = accelerator
        command = command_line(state.spec, self._image, state.port, accelerator, state.attached, resume=resume)
        (self.directory / "qmp").unlink(missing_ok=True)
        process = start(command, self.directory, self.directory / "process.log")
        self._save(process)
        wait_until(lambda: not process.alive or self._executes(), START_DEADLINE_S)
        if process.alive and self._executes():
            return True
        self.stop()
        return False

    def _executes(self) -> bool:
        """Whether qemu runs the guest's processors: where KVM does not work it ends before it says so."""
        try:
            with monitor(self.directory, timeout_s=5) as qemu:
                return bool(qemu.execute("query-status")["running"])
        except (OSError, ValueError):
            return False
