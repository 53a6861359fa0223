"""Whether KVM is used: what a qemu, a program put on PATH in its place, does with the test guest."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from novaops.facts.guest_run import FIRMWARE, FIRMWARE_STATUS
from novaops.lab import kvm, vm
from novaops.lab.host import Spec, State
from novaops.lab.vm import VirtualMachine

SPEC = Spec("lab")


class Fake:
    """A machine whose /dev/kvm opens, and whose qemu is a shell script that writes down each call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = folder / "cache"
        self.calls = folder / "calls"
        self.qemu = folder / "bin/qemu-system-x86_64"
        self.qemu.parent.mkdir()
        self.device = folder / "kvm"
        self.device.touch()
        monkeypatch.setattr(kvm, "DEVICE", self.device)
        monkeypatch.setenv("PATH", f"{self.qemu.parent}:/usr/bin:/bin")

    def does(self, script: str) -> None:
        self.qemu.write_text(f'#!/bin/sh\n[ "$1" != --version ] || exit 0\necho called >>{self.calls}\n{script}\n')
        self.qemu.chmod(0o755)

    def why_not(self, spec: Spec = SPEC) -> str:
        return kvm.why_not(spec, self.cache)

    @property
    def count(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


def test_a_guest_that_ends_as_it_should_proves_it_once(fake: Fake) -> None:
    fake.does(f"exit {FIRMWARE_STATUS}")
    assert [fake.why_not(), fake.why_not()] == ["", ""]
    assert fake.count == 1


def test_a_guest_that_does_not_end_is_killed_in_time_and_the_verdict_kept(fake: Fake) -> None:
    fake.does("trap '' TERM; exec sleep 60")
    began = time.monotonic()
    assert fake.why_not() == "a test guest did not finish in 2 s"
    assert time.monotonic() - began < 15
    assert fake.why_not() == "a test guest did not finish in 2 s"
    assert fake.count == 1


@pytest.mark.parametrize("what", ["boot", "qemu", "device", "processor"])
def test_the_proof_is_made_again_when_what_it_is_about_changes(fake: Fake, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    fake.does(f"exit {FIRMWARE_STATUS}")
    assert fake.why_not() == ""
    if what == "boot":
        monkeypatch.setattr(kvm, "boot_id", lambda: "another")
        fake.does("exit 1")
    elif what == "processor":
        monkeypatch.setattr(kvm, "cpu", lambda _: "max,+svm")
    elif what == "qemu":
        time.sleep(0.02)
        fake.does("exit 1")
    else:
        time.sleep(0.02)
        fake.device.unlink()
        fake.device.touch()
    fake.why_not()
    assert fake.count == 2


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo 'warning: x' >&2; echo 'qemu: failed to initialize kvm' >&2; exit 1",
            "a test guest did not run: qemu: failed to initialize kvm",
        ),
        ("kill -ABRT $$", "a test guest did not run: qemu ended with status -6"),
        ("exit 0", "a test guest did not run: qemu ended with status 0"),
    ],
)
def test_a_qemu_that_ends_at_once_is_asked_again_each_time(fake: Fake, script: str, why: str) -> None:
    fake.does(script)
    assert [fake.why_not(), fake.why_not()] == [why, why]
    assert fake.count == 2


def test_without_a_qemu_that_can_be_run(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.qemu.write_bytes(b"\x7fELF nonsense")
    fake.qemu.chmod(0o755)
    assert "cannot be run: Exec format error" in fake.why_not()
    monkeypatch.setattr(kvm, "find", lambda _: None)
    assert fake.why_not() == "there is no qemu-system-x86_64"


def test_no_device_or_not_ours_is_said_without_a_guest(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.does("exit 1")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert fake.why_not() == f"this user may not open {fake.device}"
    fake.device.unlink()
    assert fake.why_not() == f"there is no {fake.device}"
    assert fake.count == 0


def test_a_damaged_record_is_made_anew(fake: Fake) -> None:
    fake.does(f"exit {FIRMWARE_STATUS}")
    fake.cache.mkdir()
    for text in ("", "[]", "{}", '{"about": 1}'):
        (fake.cache / "kvm.json").write_text(text)
        assert fake.why_not() == ""
    assert fake.count == 4


def test_the_firmware_begins_at_the_processor_s_first_address() -> None:
    assert len(FIRMWARE) == 0x10000
    assert FIRMWARE[0xFFF0:0xFFF5] == bytes.fromhex("ea000000f0")


class Machine(VirtualMachine):
    """A VM whose qemu is a list of what was asked of it; `silent` are the accelerators under which the guest says nothing."""

    asked: list[tuple[str, bool]]
    silent: tuple[str, ...] = ()

    def _make_disks(self) -> None:
        self.asked.append(("disks", False))

    def _run_with(self, accelerator: str, *, resume: bool) -> bool:
        self.asked.append((accelerator, resume))
        self.state.notes["accelerator"] = accelerator
        return True

    def _lives(self, deadline_s: float) -> bool:
        assert deadline_s == vm.LIFE_S
        return self.accelerator not in self.silent

    def wait_for_ssh(self, on_progress: object = None, deadline_s: float = 0) -> None: ...


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(vm, "why_not", lambda *_: "")
    made = Machine(tmp_path, State(replace(SPEC), str(tmp_path / "cache/image"), "127.0.0.1", 2222))
    made.asked = []
    monkeypatch.setattr(made, "run", lambda *_, **__: "")
    monkeypatch.setattr(made, "monitor", lambda _: "")
    return made


def test_a_silent_guest_is_started_again_without_kvm_on_fresh_disks(machine: Machine) -> None:
    machine.silent = ("kvm",)
    machine.create()
    assert machine.asked == [("disks", False), ("kvm", False), ("disks", False), ("tcg", False)]
    assert machine._booting == "booting (no KVM here: lab showed no sign of life in 30 s; using software emulation)"
    machine.asked.clear()
    machine.start()
    assert machine.asked == [("kvm", False), ("tcg", False)]  # its disks are kept


def test_a_guest_that_lives_stays_under_kvm(machine: Machine) -> None:
    machine.create()
    assert machine.asked == [("disks", False), ("kvm", False)]
    assert machine._booting == "booting"


def test_a_snapshot_goes_on_under_what_it_was_taken_with(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(vm, "why_not", lambda *_: "there is no /dev/kvm")
        machine.create()
    machine.start()  # KVM has come since
    assert machine.accelerator == "kvm"
    machine.asked.clear()
    machine.reset()
    assert machine.asked == [("tcg", True)]


@pytest.mark.parametrize("serves", [True, False])
def test_a_snapshot_that_kvm_cannot_go_on_with_is_made_anew(machine: Machine, monkeypatch: pytest.MonkeyPatch, *, serves: bool) -> None:
    machine.create()
    machine.asked.clear()
    machine.silent = ("kvm",)
    if not serves:
        monkeypatch.setattr(vm, "why_not", lambda *_: "a test guest did not finish in 2 s")
    said: list[str] = []
    machine.reset(said.append)
    assert machine.asked[-1] == ("tcg", False)
    assert ("kvm", True) in machine.asked if serves else ("kvm", True) not in machine.asked
    assert any("making it anew" in line for line in said)
