"""The guest that shows whether a host's KVM is of use: what the host's shell makes of each program, and what `host check` says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from novaops.facts.guest_run import FIRMWARE_STATUS, GuestRun, Ran
from novaops.facts.machine import Machine, MachineFacts
from novaops.facts.nested import nested_virtualization
from novaops.features.host.status import questions
from novaops.model.question import Missing, Section

TOOLS = ("sh", "uname", "timeout", "mktemp", "rm", "cat", "sleep", "grep", "head", "awk")
DENIED = "this login may not open /dev/kvm"


class Host:
    """A folder of programs that is all of PATH, and a device in the place of /dev/kvm."""

    def __init__(self, folder: Path, device: str = "/dev/null") -> None:
        self.bin = folder / "bin"
        self.temporary = folder / "tmp"
        self.device = device
        self.bin.mkdir()
        self.temporary.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def has(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def says(self) -> Ran | Missing:
        text = GuestRun.script([GuestRun()]).replace("/dev/kvm", self.device).replace("/usr/libexec/", f"{self.bin}/libexec/")
        text = text.replace("uname -m", "echo x86_64").replace(DENIED.replace("/dev/kvm", self.device), DENIED)
        environment = {"PATH": str(self.bin), "TMPDIR": str(self.temporary), "LC_ALL": "C"}
        done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, text=True, timeout=20, check=False)
        assert list(self.temporary.iterdir()) == [], "something is left behind"
        return GuestRun.parse([GuestRun()], Section(done.stdout, done.stderr, done.returncode))[GuestRun()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_without_the_device_nothing_is_run(host: Host) -> None:
    host.has("perl", "echo running; echo 'ran\t0.001'")
    host.device = "/dev/absent-here"
    assert host.says() is Missing.ABSENT


@pytest.mark.parametrize("tool", ["perl", "python3"])
@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo running; printf 'ran\\t0.004000\\n'", Ran("fast", 0.004)),
        ("echo running; echo slow", Ran("slow")),
        ("printf 'failed\\tKVM_CREATE_VM: Device or resource busy\\n'", Ran("failed", why="KVM_CREATE_VM: Device or resource busy")),
        (f"printf 'unproven\\t{DENIED}\\n'", Ran("unproven", why=DENIED)),
        ("exit 2", Ran("unproven", why="the test guest's program did not come to its beginning")),
    ],
)
def test_what_a_program_says(host: Host, tool: str, script: str, found: Ran) -> None:
    host.has(tool, script)
    assert host.says() == found


def test_a_program_that_does_not_end_is_killed(host: Host) -> None:
    host.has("perl", "echo running; trap '' TERM; exec sleep 30")
    began = time.monotonic()
    assert host.says() == Ran("slow")
    assert time.monotonic() - began < 20


def test_a_program_that_cannot_even_be_killed_is_left_alone(host: Host) -> None:
    host.has("perl", "exit 1")
    host.has("timeout", "echo running; exec sleep 30")
    began = time.monotonic()
    assert host.says() == Ran("slow")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("script", "outcome", "why"),
    [
        (f"exit {FIRMWARE_STATUS}", "fast", ""),
        ("exec sleep 30", "slow", ""),
        ("echo 'Could not access KVM kernel module: Permission denied' >&2; exit 1", "unproven", DENIED),
        ("echo 'no accelerator' >&2; exit 1", "failed", "qemu ended with status 1: no accelerator"),
    ],
)
def test_a_host_that_has_only_qemu(host: Host, script: str, outcome: str, why: str) -> None:
    host.has("qemu-kvm", f'[ "$1" != --version ] || exit 0\n{script}')
    found = host.says()
    assert isinstance(found, Ran)
    assert (found.outcome, found.why) == (outcome, why)


@pytest.mark.parametrize("missing", ["tools", "timeout"])
def test_a_host_with_nothing_to_run_a_guest_with(host: Host, missing: str) -> None:
    if missing == "timeout":
        host.has("perl", "echo slow")
        (host.bin / "timeout").unlink()
    found = host.says()
    assert isinstance(found, Ran)
    assert found.outcome == "unproven"
    assert "there is no" in found.why


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK) or os.uname().machine != "x86_64", reason="there is no /dev/kvm here")
def test_all_programs_see_this_machine_alike(tmp_path: Path) -> None:
    """The real guest: perl's and python's ioctls are right where the loop ends by hlt, or would have gone on."""
    found = {}
    for name, path in {
        "perl": shutil.which("perl"),
        "python3": sys.executable,
        "qemu-system-x86_64": shutil.which("qemu-system-x86_64"),
    }.items():
        if path is not None:
            (tmp_path / name).mkdir()
            host = Host(tmp_path / name, "/dev/kvm")
            host.has(name, f'exec {path} "$@"')
            ran = host.says()
            found[name] = ran.outcome if isinstance(ran, Ran) else "absent"
    assert len(set(found.values())) == 1, found
    assert set(found.values()) <= {"fast", "slow"}


def machine(**fields: Any) -> MachineFacts:
    usual: dict[str, Any] = dict.fromkeys(MachineFacts.__dataclass_fields__, "")
    usual |= {"cpu_flag": "svm", "kvm_module": "kvm_amd", "kvm_nested": "Y", "kvm_device": "character", "kvm_answer": "12"}
    return MachineFacts(**{**usual, **fields})


EMULATING = {"cpu_flag": "", "kvm_module": "", "kvm_nested": ""}


@pytest.mark.parametrize(
    ("fields", "run", "verdict", "text"),
    [
        (
            {},
            Ran("fast", 0.0042),
            "yes",
            "yes: svm, kvm_amd, /dev/kvm answers with API version 12, and ran a test guest in 0.004 s; its guests may",
        ),
        ({"kvm_answer": "unasked"}, Ran("fast", 0.0), "yes", "yes: svm, kvm_amd, /dev/kvm opens, and ran a test guest in 0.001 s"),
        (
            EMULATING,
            Ran("slow"),
            "slow",
            "yes, but slower than emulation: /dev/kvm answers with API version 12, but a test guest of 5,000,000 loops",
        ),
        ({}, Ran("slow"), "slow", "yes, but slower than emulation: svm, kvm_amd, "),
        (
            {},
            Ran("unproven", why="there is no perl"),
            "unproven",
            "it should, not proven: svm, kvm_amd, /dev/kvm answers with API version 12; there is",
        ),
        (
            {"kvm_answer": "cannot open: Permission denied"},
            Ran("unproven", why=DENIED),
            "unproven",
            f"it should, not proven: svm, kvm_amd, /dev/kvm is there; {DENIED}",
        ),
        ({"kvm_answer": "cannot open"}, Ran("unproven", why="no"), "no", "no: /dev/kvm does not answer: cannot open"),
        (EMULATING, Ran("unproven", why="no"), "no", "no: the processor shows neither vmx nor svm"),
        (
            {},
            Ran("failed", why="KVM_RUN ended with exit reason 17"),
            "no",
            "no: /dev/kvm does not run a test guest: KVM_RUN ended with exit reason 17",
        ),
        (
            {"kvm_answer": "cannot open: Operation not permitted"},
            Ran("failed", why="open"),
            "no",
            "no: /dev/kvm does not answer: cannot open: Operation",
        ),
        (
            {"kvm_device": "absent", "kvm_module": ""},
            Missing.ABSENT,
            "no",
            "no: the processor has svm, but the module kvm_amd is not loaded, there is no",
        ),
        ({"kvm_device": "regular file"}, Missing.ABSENT, "no", "no: /dev/kvm is a regular file"),
    ],
)
def test_the_verdict_on_nested_virtualization(fields: dict[str, str], run: Any, verdict: str, text: str) -> None:
    found = nested_virtualization(machine(**fields), run)
    assert found.verdict == verdict
    assert found.text.startswith(text)


def test_only_host_check_and_facts_pay_for_the_guest() -> None:
    assert GuestRun() in questions()
    assert "KVM_RUN" not in Machine.script([Machine()])


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize(
    ("make", "device", "number", "access"),
    [
        (lambda _: None, "absent", "", ""),
        (lambda at: at.touch(0o644), "regular empty file", "", "root:root 644"),
        (lambda at: at.write_text("x"), "regular file", "", "root:root 644"),
        (lambda at: at.mkdir(0o755), "directory", "", "root:root 755"),
        (lambda at: at.symlink_to("nowhere"), "symbolic link to nothing", "", ""),
        (lambda at: at.symlink_to("/dev/null"), "character", "1:3", "root:root 666"),
        (os.mkfifo, "fifo", "", "root:root 644"),
    ],
)
def test_what_stands_in_the_place_of_the_device(tmp_path: Path, make: Any, device: str, number: str, access: str, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    make(tmp_path / "kvm")
    script = Machine.script([Machine()]).replace("/dev/kvm", str(tmp_path / "kvm"))
    words = [program, "sh"] if shell == "busybox" else [program]
    done = subprocess.run(
        [*words, "-c", f"umask 022; {script}"], env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    found = Machine.parse([Machine()], Section(done.stdout, done.stderr, done.returncode))[Machine()]
    assert isinstance(found, MachineFacts), done
    assert (found.kvm_device, found.kvm_number) == (device, number)
    if os.getuid() == 0:
        assert found.kvm_access == access


CONTAINER = {"virtualization": "systemd-nspawn"}
NO_FLAG = {"cpu_flag": "", "kvm_module": "", "kvm_device": "absent"}
NO_MODULE = {"kvm_module": "", "kvm_device": "absent"}
PLAIN = {"kvm_answer": "cannot open: Permission denied", "login": "jane"}
NOT_ALLOWED = Ran("unproven", why=DENIED)
MAKE = "mknod -m 660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm"


@pytest.mark.parametrize(
    ("fields", "run", "fix"),
    [
        (NO_FLAG, Missing.ABSENT, "the hypervisor beneath must pass vmx or svm on to this host"),
        ({**NO_FLAG, "virtualization": "none"}, Missing.ABSENT, "switch VT-x or AMD-V (SVM) on in the firmware's setup"),
        ({**NO_FLAG, "cloud": "hetzner"}, Missing.ABSENT, "Hetzner: cloud servers cannot; a dedicated server can."),
        (NO_MODULE, Missing.ABSENT, "modprobe kvm_amd"),
        ({**NO_MODULE, "cpu_flag": "vmx", "kvm_module_file": "there"}, Missing.ABSENT, "modprobe kvm_intel"),
        ({**NO_MODULE, "kvm_module_file": "absent"}, Missing.ABSENT, "install the rest of this kernel's modules, or a kernel"),
        (
            {**NO_MODULE, "kvm_module_file": "absent", "os_id": "ubuntu", "kernel": "6.8.0-31-generic"},
            Missing.ABSENT,
            "apt-get install linux-modules-extra-6.8.0-31-generic",
        ),
        ({**NO_MODULE, **CONTAINER}, Missing.ABSENT, "modprobe kvm_amd on the machine that this container runs on"),
        ({"kvm_device": "absent"}, Missing.ABSENT, MAKE),
        ({"kvm_device": "absent", **CONTAINER}, Missing.ABSENT, "give it to this container: docker run --device /dev/kvm"),
        ({"kvm_device": "regular empty file"}, Missing.ABSENT, f"rm /dev/kvm && {MAKE}"),
        ({"kvm_device": "directory"}, Missing.ABSENT, f"rmdir /dev/kvm && {MAKE}"),
        ({"kvm_device": "symbolic link to nothing"}, Missing.ABSENT, f"rm /dev/kvm && {MAKE}"),
        ({"kvm_device": "directory", **CONTAINER}, Missing.ABSENT, "rmdir /dev/kvm, and give it to this container"),
        (
            {"kvm_device": "directory", "kvm_module": ""},
            Missing.ABSENT,
            "modprobe kvm_amd; then rmdir /dev/kvm && mknod",
        ),
        ({"kvm_number": "1:3", "kvm_answer": "no answer: x"}, Ran("failed", why="x"), f"rm /dev/kvm && {MAKE}"),
        ({"kvm_answer": "cannot open: Operation not permitted"}, Ran("failed", why="open"), "give it to this container"),
        ({"kvm_answer": "no answer: Input/output error"}, Ran("failed", why="x"), "dmesg | grep -i kvm says why"),
        ({**PLAIN, "kvm_access": "root:kvm 660"}, NOT_ALLOWED, "as root there: usermod -aG kvm jane; then log in again"),
        ({**PLAIN, "kvm_access": "root:virt 660"}, NOT_ALLOWED, "as root there: usermod -aG virt jane; then log in again"),
        (
            {**PLAIN, "kvm_access": "root:root 600"},
            NOT_ALLOWED,
            "as root there: chgrp kvm /dev/kvm && chmod 660 /dev/kvm && usermod -aG kvm jane",
        ),
        ({}, Ran("failed", why="KVM_CREATE_VM: Device or resource busy"), "another hypervisor has the processor"),
        ({}, Ran("failed", why="KVM_RUN ended with exit reason 17"), "dmesg | grep -i kvm says why"),
        ({}, Ran("slow"), "qemu -accel tcg is faster here; or the hypervisor beneath has to pass the processor's own"),
        ({}, Ran("unproven", why="there is no perl, python3 or qemu to run a test guest with"), "install perl, python3 or qemu there"),
        (
            {**NO_FLAG, "architecture": "aarch64"},
            Missing.ABSENT,
            "the firmware or hypervisor beneath has to start Linux with virtualization",
        ),
    ],
)
def test_each_reason_has_its_own_next_command(fields: dict[str, str], run: Any, fix: str) -> None:
    assert nested_virtualization(machine(**fields), run).fix.startswith(fix)


def test_other_processors_are_not_judged_by_intels_flags() -> None:
    found = nested_virtualization(machine(architecture="aarch64", cpu_flag="", kvm_module=""), Ran("unproven", why="for x86_64 only"))
    assert found.text == "it should, not proven: /dev/kvm answers with API version 12; for x86_64 only"
