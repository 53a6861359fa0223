"""What a host is and what will not work on it, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from novaops.errors import NoRoot
from novaops.facts.guest_run import ITERATIONS, SECONDS, GuestRun, Ran
from novaops.facts.machine import Machine, MachineFacts
from novaops.features.disk import status as disks
from novaops.formats.size import human
from novaops.model.question import Facts, Missing, Question

NEEDED_TOOLS = (
    ("flock", "util-linux"),
    ("lsblk", "util-linux"),
    ("findmnt", "util-linux"),
    ("wipefs", "util-linux"),
    ("blkid", "util-linux"),
    ("base64", "coreutils"),
    ("sha256sum", "coreutils"),
    ("readlink", "coreutils"),
    ("stat", "coreutils"),
    ("tail", "coreutils"),
    ("cmp", "diffutils"),
)
"""What novaops itself runs on a host, and the package it comes in."""

LEAST_FREE = 64 * 1024 * 1024
"""Bytes in /var/lib: the journal of a run keeps copies of what it changes."""

_NESTED_ADVICE = {
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


@dataclass(frozen=True)
class Finding:
    subject: str
    verdict: Literal["ok", "note", "problem"]
    """ok: right. note: worth knowing. problem: novaops cannot do its work here."""
    text: str
    fix: str = ""


def questions() -> tuple[Question[Any], ...]:
    return (Machine(), GuestRun(), *disks.questions())


def facts_details(facts: Facts) -> dict[str, Any]:
    """What `host facts --json` says of a host."""
    machine = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in vars(facts.known(Machine())).items()}
    run = facts[GuestRun()]
    machine["kvm_guest"] = "absent" if run is Missing.ABSENT else run.outcome
    return {"machine": machine, **disks.details(facts)}


def facts_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    machine = found["machine"]
    sizes = {key: human(machine[key]) for key in ("memory", "root_free")}
    return [(key, " ".join(value) if isinstance(value, list) else sizes.get(key, str(value))) for key, value in machine.items()]


def check(facts: Facts, no_root: NoRoot | None = None) -> list[Finding]:
    """What a person should know before relying on this host. `no_root` is why the login cannot become root there."""
    machine = facts.known(Machine())
    run = facts[GuestRun()]
    return [
        Finding("system", "ok", f"{machine.os}, Linux {machine.kernel}, {machine.architecture}"),
        Finding("cloud", "ok", _cloud(machine)),
        _root(machine, no_root),
        *_tools(machine),
        *_room(machine),
        *([] if no_root else _disks(facts)),
        nested_virtualization(machine, run),
    ]


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    glyphs = {"ok": "✓", "note": "!", "problem": "✘"}
    return [(glyphs[f["verdict"]], f["subject"], f["text"] + (f" → {f['fix']}" if f["fix"] else "")) for f in found["findings"]]


def nested_virtualization(machine: MachineFacts, run: Ran | Literal[Missing.ABSENT]) -> Finding:
    """Whether the host can run virtual machines of its own. "yes" is only said where it has just run one, and in time."""
    subject = "nested virtualization"
    has = ", ".join(filter(None, [machine.cpu_flag, machine.kvm_module, _kvm_says(machine)]))
    if run is not Missing.ABSENT and run.outcome == "fast":
        deeper = {"Y": "; its guests may have guests too", "N": "; its guests may not have guests"}.get(machine.kvm_nested, "")
        return Finding(subject, "ok", f"yes: {has}, and ran a test guest in {max(run.seconds, 0.001):.3f} s{deeper}")
    if run is not Missing.ABSENT and run.outcome == "slow":
        text = f"yes, but slower than emulation: {has}, but a test guest of {ITERATIONS:,} loops did not end in {SECONDS} s"
        return Finding(subject, "note", text, f"qemu -accel tcg is faster here; or {_nested_fix(machine)}")
    denied = run is not Missing.ABSENT and run.outcome == "unproven" and "Permission denied" in machine.kvm_answer
    reasons = _against(machine, denied=denied)
    if run is not Missing.ABSENT and run.outcome == "failed" and not reasons:
        reasons.append(f"/dev/kvm does not run a test guest: {run.why}")
    if reasons:
        return Finding(subject, "note", f"no: {', '.join(reasons)}", _nested_fix(machine))
    why = "no test guest was run" if run is Missing.ABSENT else run.why
    return Finding(subject, "note", f"it should, not proven: {has}; {why}")


def _kvm_says(machine: MachineFacts) -> str:
    if machine.kvm_answer == "12":
        return "/dev/kvm answers with API version 12"
    return "/dev/kvm opens" if machine.kvm_answer == "unasked" else "/dev/kvm is there"


def _against(machine: MachineFacts, *, denied: bool) -> list[str]:
    """What speaks against it, where no guest has shown it. A login that may not open /dev/kvm (`denied`) says nothing."""
    reasons = []
    if not machine.cpu_flag:
        reasons.append("the processor shows neither vmx nor svm")
    elif not machine.kvm_module:
        module = "kvm_intel" if machine.cpu_flag == "vmx" else "kvm_amd"
        reasons.append(f"the processor has {machine.cpu_flag}, but the module {module} is not loaded")
    if machine.kvm_device == "absent":
        reasons.append("there is no /dev/kvm")
    elif machine.kvm_device != "character":
        reasons.append(f"/dev/kvm is a {machine.kvm_device}")
    elif machine.kvm_answer not in {"12", "unasked"} and not denied:
        reasons.append(f"/dev/kvm does not answer: {machine.kvm_answer or 'nothing'}")
    return reasons


def _nested_fix(machine: MachineFacts) -> str:
    if machine.cpu_flag and not machine.kvm_module:
        return f"modprobe {'kvm_intel' if machine.cpu_flag == 'vmx' else 'kvm_amd'}"
    return _NESTED_ADVICE.get(machine.cloud, "the hypervisor beneath must pass vmx or svm on to this host")


def _root(machine: MachineFacts, no_root: NoRoot | None) -> Finding:
    if no_root is not None:
        return Finding("root", "problem", f"{no_root.what}: {no_root.why}", no_root.fix)
    return Finding("root", "ok", "the login is root" if machine.login == "root" else f"{machine.login} becomes root by sudo")


def _cloud(machine: MachineFacts) -> str:
    where = machine.cloud or "no cloud that novaops knows"
    return f"{where}, {machine.virtualization or 'unknown'} virtualization, {machine.processors} processors, {human(machine.memory)}"


def _tools(machine: MachineFacts) -> list[Finding]:
    missing = [(tool, package) for tool, package in NEEDED_TOOLS if tool not in machine.tools]
    found = [Finding("tools", "problem", f"{tool} is missing", f"install {package}") for tool, package in missing]
    if not machine.booted_with_systemd:
        text = "it was not booted with systemd: runs are started with setsid, and services cannot be managed"
        found.append(Finding("systemd", "note", text))
    elif "systemd-run" not in machine.tools:
        found.append(Finding("systemd", "note", "there is no systemd-run: runs are started with setsid"))
    return found


def _room(machine: MachineFacts) -> list[Finding]:
    if machine.root_free >= LEAST_FREE:
        return []
    return [Finding("room", "problem", f"only {human(machine.root_free)} are free in /var/lib", "free some, or no run can be stored")]


def _disks(facts: Facts) -> list[Finding]:
    lines = disks.details(facts)["disks"]
    idle = [disk for disk in lines if disk["idle"]]
    forgotten = [disk for disk in lines if disk["fstab"] and not disk["mounted"] and "swap" not in disk["content"]]
    return [
        *(
            Finding(
                "disk",
                "note",
                f"{disk['device']} ({human(disk['size'])}) is idle: {disk['content'] or 'blank'}",
                "novaops disk mount HOST --path /mnt/data" if not disk["content"] else "",
            )
            for disk in idle
        ),
        *(
            Finding("disk", "note", f"{human(d['unused'])} of {d['device']} are not used", "novaops disk grow HOST")
            for d in lines
            if d["unused"] and not d["idle"]
        ),
        *(Finding("disk", "note", f"{d['device']} is in fstab for {', '.join(d['fstab'])}, and not mounted") for d in forgotten),
    ]
