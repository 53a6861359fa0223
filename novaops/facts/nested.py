"""Whether a host can run virtual machines of its own, and for each reason against it the next command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from novaops.facts.guest_run import ITERATIONS, SECONDS, Ran
from novaops.facts.machine import KVM_NUMBER, MachineFacts
from novaops.model.question import Missing

_ADVICE = {
    "google": "Google: stop the VM, export it (gcloud compute instances export), set advancedMachineFeatures."
    "enableNestedVirtualization: true, update-from-file with --most-disruptive-allowed-action=RESTART. Intel types only: "
    "N1 (Haswell or later), N2, C2; not E2, N2D or other AMD and Arm types. The organisation's policy "
    "constraints/compute.disableNestedVirtualization must not be enforced.",
    "alibaba": "Alibaba: ordinary ECS instances cannot; take an ECS Bare Metal type (ebm…).",
    "oracle": "Oracle: take a bare metal shape; whether a VM shape passes it on is not documented.",
    "aws": "AWS: a C8i, M8i or R8i instance with --cpu-options NestedVirtualization=enabled, or a .metal type.",
    "azure": "Azure: an Intel Dv3 to Dv5 or Ev3 to Ev5 size; not A, B or F.",
    "hetzner": "Hetzner: cloud servers cannot; a dedicated server can.",
    "digitalocean": "DigitalOcean passes it on, though it does not say so; take another droplet size.",
}
"""What to change at the provider. The cloud only chooses the hint; the verdict comes from the processor and /dev/kvm."""

_CONTAINERS = frozenset({"systemd-nspawn", "lxc", "lxc-libvirt", "docker", "podman", "openvz", "rkt", "proot", "pouch", "container-other"})
"""What systemd-detect-virt calls a container: its devices and modules are those of the machine beneath."""

_GIVE_IT = "give it to this container: docker run --device /dev/kvm, systemd-nspawn --bind=/dev/kvm --property=DeviceAllow='/dev/kvm rw'"
_MAKE_IT = "mknod -m 660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm"
_LOG = "dmesg | grep -i kvm says why"

Reason = tuple[str, str]
"""What speaks against it, and what to do about that; "" where that follows from another reason."""


@dataclass(frozen=True)
class Nested:
    """Whether a host can run virtual machines of its own."""

    verdict: Literal["yes", "slow", "unproven", "no"]
    """yes: it has just run one, in time. slow: slower than emulation. unproven: nothing speaks against it, and none was run."""
    text: str
    fix: str = ""
    at_provider: bool = False
    """Whether it is the machine beneath that has to change."""


def nested_virtualization(machine: MachineFacts, run: Ran | Literal[Missing.ABSENT]) -> Nested:
    """The verdict, with what speaks for or against it. "yes" is only said where a guest has just run, and in time."""
    has = ", ".join(filter(None, [machine.cpu_flag, machine.kvm_module, _kvm_says(machine)]))
    if run is not Missing.ABSENT and run.outcome == "fast":
        deeper = {"Y": "; its guests may have guests too", "N": "; its guests may not have guests"}.get(machine.kvm_nested, "")
        return Nested("yes", f"yes: {has}, and ran a test guest in {max(run.seconds, 0.001):.3f} s{deeper}")
    if run is not Missing.ABSENT and run.outcome == "slow":
        text = f"yes, but slower than emulation: {has}, but a test guest of {ITERATIONS:,} loops did not end in {SECONDS} s"
        beneath = _ADVICE.get(machine.cloud, "the hypervisor beneath has to pass the processor's own vmx or svm on, not emulate it")
        return Nested("slow", text, f"qemu -accel tcg is faster here; or {beneath}", at_provider=True)
    denied = run is not Missing.ABSENT and run.outcome == "unproven" and "Permission denied" in machine.kvm_answer
    reasons = [*_of_processor(machine), *_of_device(machine, denied=denied)]
    if run is not Missing.ABSENT and run.outcome == "failed" and not reasons:
        reasons.append((f"/dev/kvm does not run a test guest: {run.why}", _after_failure(run.why)))
    if reasons:
        fix = "; then ".join(dict.fromkeys(fix for _, fix in reasons if fix))
        at_provider = _without_flag(machine) and machine.virtualization != "none"
        return Nested("no", f"no: {', '.join(text for text, _ in reasons)}", fix, at_provider=at_provider)
    if run is Missing.ABSENT:
        return Nested("unproven", f"it should, not proven: {has}; no test guest was run")
    return Nested("unproven", f"it should, not proven: {has}; {run.why}", _to_prove(machine, run.why, denied=denied))


def _kvm_says(machine: MachineFacts) -> str:
    if machine.kvm_answer == "12":
        return "/dev/kvm answers with API version 12"
    return "/dev/kvm opens" if machine.kvm_answer == "unasked" else "/dev/kvm is there"


def _of_processor(machine: MachineFacts) -> Iterator[Reason]:
    """On other processors than Intel's and AMD's neither a flag nor a module tells; there /dev/kvm is all there is."""
    if not _of_x86(machine):
        return
    contained = machine.virtualization in _CONTAINERS
    if _without_flag(machine):
        firmware = "switch VT-x or AMD-V (SVM) on in the firmware's setup"
        beneath = firmware if machine.virtualization == "none" else "the hypervisor beneath must pass vmx or svm on to this host"
        yield "the processor shows neither vmx nor svm", _ADVICE.get(machine.cloud, beneath)
    elif not machine.kvm_module:
        module = "kvm_intel" if machine.cpu_flag == "vmx" else "kvm_amd"
        text = f"the processor has {machine.cpu_flag}, but the module {module} is not loaded"
        if contained:
            yield text, f"modprobe {module} on the machine that this container runs on"
        elif machine.kvm_module_file == "absent":
            yield f"{text}, and Linux {machine.kernel} has no such module here", _other_kernel(machine)
        else:
            yield text, f"modprobe {module}"


def _of_x86(machine: MachineFacts) -> bool:
    return machine.architecture in {"", "x86_64", "i686"}


def _without_flag(machine: MachineFacts) -> bool:
    return _of_x86(machine) and not machine.cpu_flag


def _other_kernel(machine: MachineFacts) -> str:
    if machine.os_id == "ubuntu":
        return f"apt-get install linux-modules-extra-{machine.kernel}"
    return "install the rest of this kernel's modules, or a kernel that has them, such as one that is not for the cloud only"


def _of_device(machine: MachineFacts, *, denied: bool) -> Iterator[Reason]:
    """A login that may not open /dev/kvm (`denied`) says nothing against it."""
    contained = machine.virtualization in _CONTAINERS
    anew = f", and {_GIVE_IT}" if contained else f" && {_MAKE_IT}"
    kind = machine.kvm_device
    if kind == "absent":
        here = machine.kvm_module or not _of_x86(machine)
        on_arm = _ADVICE.get(machine.cloud, "the firmware or hypervisor beneath has to start Linux with virtualization (Arm: at EL2)")
        yield "there is no /dev/kvm", "" if not here else _GIVE_IT if contained else _MAKE_IT if machine.kvm_module else on_arm
    elif kind != "character":
        yield f"/dev/kvm is a {kind}", f"{'rmdir' if kind == 'directory' else 'rm'} /dev/kvm{anew}"
    elif machine.kvm_number not in {"", KVM_NUMBER}:
        yield f"/dev/kvm is another device, {machine.kvm_number} and not {KVM_NUMBER}", f"rm /dev/kvm{anew}"
    elif machine.kvm_answer not in {"12", "unasked"} and not denied:
        text = f"/dev/kvm does not answer: {machine.kvm_answer or 'nothing'}"
        yield text, _GIVE_IT if "Operation not permitted" in machine.kvm_answer else _LOG if machine.kvm_module else ""


def _after_failure(why: str) -> str:
    if "busy" in why:
        return "another hypervisor has the processor: stop it (lsmod | grep -E 'vboxdrv|vmmon' names it)"
    return _LOG


def _to_prove(machine: MachineFacts, why: str, *, denied: bool) -> str:
    """What has to be there for a test guest."""
    if denied or "may not open" in why:
        owner, _, mode = machine.kvm_access.partition(" ")
        group = owner.partition(":")[2] or "kvm"
        group_may = mode[-2:-1] in {"", "6", "7"} and group != "root"
        before = "" if group_may else "chgrp kvm /dev/kvm && chmod 660 /dev/kvm && "
        return f"as root there: {before}usermod -aG {group if group_may else 'kvm'} {machine.login}; then log in again"
    if "perl, python3 or qemu" in why:
        return "install perl, python3 or qemu there"
    return ""
