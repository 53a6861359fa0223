"""What a host is and what will not work on it, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from novaops.errors import NoRoot
from novaops.facts.machine import Machine, MachineFacts
from novaops.features.disk import status as disks
from novaops.formats.size import human
from novaops.model.question import Facts, Question

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
    return (Machine(), *disks.questions())


def facts_details(facts: Facts) -> dict[str, Any]:
    """What `host facts --json` says of a host."""
    machine = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in vars(facts.known(Machine())).items()}
    return {"machine": machine, **disks.details(facts)}


def facts_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    machine = found["machine"]
    sizes = {key: human(machine[key]) for key in ("memory", "root_free")}
    return [(key, " ".join(value) if isinstance(value, list) else sizes.get(key, str(value))) for key, value in machine.items()]


def check(facts: Facts, no_root: NoRoot | None = None) -> list[Finding]:
    """What a person should know before relying on this host. `no_root` is why the login cannot become root there."""
    machine = facts.known(Machine())
    return [
        Finding("system", "ok", f"{machine.os}, Linux {machine.kernel}, {machine.architecture}"),
        Finding("cloud", "ok", _cloud(machine)),
        _root(machine, no_root),
        *_tools(machine),
        *_room(machine),
        *([] if no_root else _disks(facts)),
        nested_virtualization(machine),
    ]


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    glyphs = {"ok": "✓", "note": "!", "problem": "✘"}
    return [(glyphs[f["verdict"]], f["subject"], f["text"] + (f" → {f['fix']}" if f["fix"] else "")) for f in found["findings"]]


def nested_virtualization(machine: MachineFacts) -> Finding:
    """Whether the host can run virtual machines of its own. Needed: the flag, and a /dev/kvm that answers."""
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
    elif machine.kvm_answer not in {"12", "unasked"}:
        reasons.append(f"/dev/kvm does not answer: {machine.kvm_answer or 'nothing'}")
    if reasons:
        return Finding("nested virtualization", "note", f"no: {', '.join(reasons)}", _nested_fix(machine))
    deeper = {"Y": "its guests may have guests too", "N": "its guests may not have guests"}.get(machine.kvm_nested, "")
    answer = "opens" if machine.kvm_answer == "unasked" else f"answers with API version {machine.kvm_answer}"
    text = f"yes: {machine.cpu_flag}, {machine.kvm_module}, /dev/kvm {answer}"
    return Finding("nested virtualization", "ok", text + (f"; {deeper}" if deeper else ""))


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
        *(Finding("disk", "note", f"{d['device']} is in fstab for {', '.join(d['fstab'])}, and not mounted") for d in forgotten),
    ]
