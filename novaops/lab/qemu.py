"""What qemu is told: the command line of a VM and the description of its disks, as pure functions; and their files."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError
from novaops.lab.disk import Disk
from novaops.lab.requirements import program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from novaops.lab.host import Spec
    from novaops.lab.image import Image

ROOT = Disk(size="8G")
PRISTINE = "pristine"
"""The name of the snapshot taken right after the first boot."""

HOT_PORTS = 3
"""Disks that can be attached while it runs, beside those it was made with."""

CLOUDS: dict[str, list[str]] = {
    "google": ["type=1,manufacturer=Google,product=Google Compute Engine"],
    "alibaba": ["type=1,manufacturer=Alibaba Cloud,product=Alibaba Cloud ECS"],
    "oracle": ["type=3,asset=OracleCloud.com"],
}
"""What the DMI tables of a host there say, by which provisioning tools know it."""

MACHINE = "q35"
_ACCELERATORS = {"kvm": "kvm", "tcg": "tcg,tb-size=64"}
"""64 MiB of translated code, not qemu's gigabyte: after a reboot most of it is stale, and the boot took 44 s instead of 20."""

_KERNEL_ARGUMENTS = "rw console=ttyS0 net.ifnames=0 loglevel=6 random.trust_cpu=on systemd.show_status=0"
"""loglevel=6: its first lines are the sign of life that is waited for; with 4 a whole boot prints nothing."""

_DRIVERS = {"virtio": "virtio-blk-pci", "scsi": "scsi-hd", "nvme": "nvme"}


def command_line(  # a command line has many words
    spec: Spec, image: Image, port: int, accelerator: str, attached: Mapping[str, Disk], *, resume: bool
) -> list[str]:
    """The command line of qemu, to be run in the VM's directory; with `resume` it goes on where the snapshot was taken."""
    command = [
        program("qemu-system-x86_64"), "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", MACHINE, "-accel", _ACCELERATORS[accelerator], "-cpu", cpu(spec), "-smp", "2", "-m", str(spec.memory_mb),
        "-kernel", str(image.kernel), "-initrd", "initrd", "-append", _KERNEL_ARGUMENTS,
        "-serial", "file:console.log", "-qmp", "unix:qmp,server=on,wait=off",
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net,romfile=",
    ]  # fmt: skip
    for values in CLOUDS.get(spec.cloud or "", []):
        command += ["-smbios", values]
    for number in range(HOT_PORTS):
        command += ["-device", f"pcie-root-port,id=hot{number},chassis={number + 1}"]
    nodes = {node_name(number): disk for number, disk in enumerate((ROOT, *spec.disks))}
    for node, disk in {**nodes, **attached}.items():
        command += ["-blockdev", json.dumps(blockdev(disk, node))]
        for device in devices(disk, node, hot_port(spec, node)):
            command += ["-device", json.dumps(device)]
    return [*command, "-loadvm", PRISTINE] if resume else command


def cpu(spec: Spec) -> str:
    """The processor, as -cpu takes it."""
    # -la57: five-level page tables only cost time here; and with them and -svm, readlink("/proc/self/exe") of a guest's
    # static programs gives nonsense under software emulation (qemu 7.2).
    return "max,-la57,+svm" if spec.nested else "max,-la57,-svm,-vmx"


def node_name(number: int) -> str:
    """What qemu calls a disk: `disk0` is the root disk, `disk1` the first one asked for."""
    return f"disk{number}"


def hot_port(spec: Spec, node: str) -> int | None:
    """Which hot-plug port a disk is in; None for a disk that the VM was made with."""
    number = int(node.removeprefix("disk")) - len(spec.disks) - 1
    return number if number >= 0 else None


def blockdev(disk: Disk, node: str) -> dict[str, object]:
    """The back of a disk, as -blockdev and blockdev-add take it."""
    return {
        "driver": "qcow2",
        "node-name": node,
        "file": {"driver": "file", "filename": f"{node}.qcow2"},
        "read-only": disk.read_only,
        # A throwaway host survives its own crash, not the machine's: fsync costs nothing.
        "cache": {"no-flush": True},
        "discard": "unmap",
    }


def devices(disk: Disk, node: str, port: int | None) -> list[dict[str, object]]:
    """The front of a disk, as -device and device_add take it: the disk, behind a controller of its own when it is SCSI."""
    slot: dict[str, object] = {} if port is None else {"bus": f"hot{port}"}
    controllers: list[dict[str, object]] = []
    if disk.bus == "scsi":
        controllers = [{"driver": "virtio-scsi-pci", "id": f"{node}-scsi", **slot}]
        slot = {"bus": f"{node}-scsi.0"}
    device: dict[str, object] = {"driver": _DRIVERS[disk.bus], "id": node, "drive": node, **slot}
    if disk.serial or disk.bus == "nvme":  # qemu's nvme does not start without one
        device["serial"] = disk.serial or node
    return [*controllers, device]


def make_disk(path: Path, disk: Disk, raw_base: Path | None = None) -> None:
    """Make a blank qcow2 file, or one that shows what its base holds and keeps the changes to itself."""
    path.unlink(missing_ok=True)
    command = [program("qemu-img"), "create", "-q", "-f", "qcow2"]
    if raw_base or disk.image:
        command += ["-F", "raw" if raw_base else "qcow2", "-b", str(raw_base or disk.image)]
    done = subprocess.run([*command, str(path), disk.size], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NovaopsError(f"qemu-img could not make {path}", why=done.stderr.strip())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
