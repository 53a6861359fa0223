"""Whether KVM is of use here: proven by a guest that must come to its end. /dev/kvm may open, and emulate each instruction."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.facts.guest_run import FIRMWARE, FIRMWARE_STATUS, SECONDS
from novaops.lab.process import boot_id
from novaops.lab.qemu import MACHINE, cpu
from novaops.lab.requirements import find

if TYPE_CHECKING:
    from novaops.lab.host import Spec

DEVICE = Path("/dev/kvm")
_KILL_S = 5
"""How long a killed qemu is waited for. One that is stuck in the kernel is left to it."""


def why_not(spec: Spec, cache: Path) -> str:
    """Why a VM like this is not run with KVM on this machine; "" where KVM serves.

    What the test guest showed is kept in `cache`, for this boot of the machine, this qemu and this /dev/kvm.
    """
    if not DEVICE.exists():
        return f"there is no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"this user may not open {DEVICE}"
    if spec.nested and "svm" not in Path("/proc/cpuinfo").read_text().split():
        return "the processor has no svm, which a nested VM needs"
    qemu = find("qemu-system-x86_64")
    if qemu is None:
        return "there is no qemu-system-x86_64"
    record = cache / "kvm.json"
    about = _about(Path(qemu), cpu(spec))
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(record.read_text())
        if kept["about"] == about:
            return str(kept["why_not"])
    why, last = _try(qemu, spec)
    if last:
        _keep(record, {"about": about, "why_not": why})
    return why


def _about(qemu: Path, processor: str) -> dict[str, object]:
    """What the verdict is about. Another module makes another /dev/kvm, so its change time is new."""
    device = DEVICE.stat().st_ctime_ns
    return {"boot": boot_id(), "qemu": str(qemu), "built": qemu.stat().st_mtime_ns, "device": device, "processor": processor}


def _try(qemu: str, spec: Spec) -> tuple[str, bool]:
    """Why the test guest did not come to its end ("" if it did), and whether that is worth keeping.

    A qemu that ends at once costs nothing to be asked again, and its reason may pass: another hypervisor has the processor.
    """
    with tempfile.TemporaryDirectory(prefix="novaops-kvm-") as folder, Path(folder, "words").open("w+b") as words:
        firmware = Path(folder, "firmware")
        firmware.write_bytes(FIRMWARE)
        command = [
            qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", MACHINE, "-accel", "kvm", "-cpu", cpu(spec), "-m", "32",
            "-bios", str(firmware), "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        ]  # fmt: skip
        try:
            _wait([qemu, "--version"], subprocess.DEVNULL, SECONDS * 10)  # from the disk into memory, before the clock runs
            status = _wait(command, words, SECONDS)
        except OSError as error:
            return f"{qemu} cannot be run: {error.strerror}", False
        words.seek(0)
        said = words.read(2000).decode(errors="replace").strip().splitlines()
    if status is None:
        return f"a test guest did not finish in {SECONDS} s", True
    if status != FIRMWARE_STATUS:
        return f"a test guest did not run: {said[-1] if said else f'qemu ended with status {status}'}", False
    return "", True


def _wait(command: list[str], words: object, seconds: float) -> int | None:
    """The exit status of a program; None for one that had to be killed after so many seconds. Raises OSError."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=words,
        start_new_session=True,  # type: ignore[call-overload]
    )
    try:
        return int(process.wait(seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_S)
        process.returncode = process.returncode or 0  # silence Popen's warning about a child that would not die


def _keep(record: Path, content: dict[str, object]) -> None:
    with suppress(OSError):  # it will be tried again
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_name(f"{record.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(content))
        partial.rename(record)
