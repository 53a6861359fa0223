"""What a host is and what will not work on it, in plain words."""

from __future__ import annotations

from typing import Any

from novaops.errors import NoRoot
from novaops.facts.guest_run import GuestRun
from novaops.facts.machine import Machine, MachineFacts
from novaops.facts.nested import nested_virtualization
from novaops.features.disk import status as disks
from novaops.formats.size import human
from novaops.model.finding import Finding
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
    nested = nested_virtualization(machine, run)
    return [
        Finding("system", "ok", f"{machine.os}, Linux {machine.kernel}, {machine.architecture}"),
        Finding("cloud", "ok", _cloud(machine)),
        _root(machine, no_root),
        *_tools(machine),
        *_room(machine),
        *([] if no_root else _disks(facts)),
        Finding("nested virtualization", "ok" if nested.verdict == "yes" else "note", nested.text, nested.fix),
    ]


def _root(machine: MachineFacts, no_root: NoRoot | None) -> Finding:
    if no_root is not None:
        return Finding("root", "problem", f"{no_root.what}: {no_root.why}", no_root.fix)
    return Finding("root", "ok", "the login is root" if machine.login == "root" else f"{machine.login} becomes root by sudo or doas")


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
            Finding("disk", "note", f"{human(d['unused'])} of {d['device']} are not used", disks.to_grow(lines, number))
            for number, d in enumerate(lines)
            if d["unused"] and not d["idle"]
        ),
        *(Finding("disk", "note", f"{d['device']} is in fstab for {', '.join(d['fstab'])}, and not mounted") for d in forgotten),
    ]
