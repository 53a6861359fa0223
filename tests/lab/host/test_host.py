"""novaops host check on machines that can, and cannot, run virtual machines of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops


@pytest.fixture(scope="module")
def nested(lab: Lab) -> Iterator[LabHost]:
    """A VM that looks like Google's, and has svm and a working /dev/kvm."""
    yield lab.up("nested", nested=True, cloud="google")
    lab.down("nested")


def findings(novaops: Novaops, host: LabHost) -> dict[str, dict[str, str]]:
    done = novaops("host", "check", host.name, "--json")
    assert done.code == 0, done.text
    assert done.host["execs"] == 1
    return {finding["subject"]: finding for finding in done.host["findings"]}


def test_a_vm_that_cannot_says_why(vm: LabHost, novaops: Novaops) -> None:
    verdict = findings(novaops, vm)["nested virtualization"]
    assert (verdict["verdict"], verdict["text"]) == ("note", "no: the processor shows neither vmx nor svm, there is no /dev/kvm")
    assert "must pass vmx or svm on" in verdict["fix"]


def test_a_vm_that_can_and_what_spoils_it(nested: LabHost, novaops: Novaops) -> None:
    found: dict[str, dict[str, str]] = {}

    def proven() -> bool:
        """A guest of a VM that is itself emulated is as fast as the machine beneath has time for it."""
        found.update(findings(novaops, nested))
        return found["nested virtualization"]["verdict"] == "ok"

    assert wait_until(proven, 60), found
    verdict = found["nested virtualization"]
    assert found["cloud"]["text"].startswith("google, ")
    assert verdict["text"].startswith("yes: svm, kvm_amd, /dev/kvm answers with API version 12, and ran a test guest in ")

    # with nothing to run a guest with, nothing is claimed
    nested.run("mv /usr/bin/perl /usr/bin/perl.away")
    verdict = findings(novaops, nested)["nested virtualization"]
    assert verdict["verdict"] == "note"
    assert verdict["text"].startswith("it should, not proven: svm, kvm_amd, /dev/kvm opens; there is no perl, python3 or qemu")
    nested.run('mv /usr/bin/perl.away /usr/bin/perl; [ -z "$(ls -d /tmp/tmp.* 2>/dev/null)" ]')

    nested.run("mv /dev/kvm /dev/kvm.away; : >/dev/kvm")
    verdict = findings(novaops, nested)["nested virtualization"]
    assert "/dev/kvm is a regular empty file" in verdict["text"]
    assert verdict["fix"] == "rm /dev/kvm && mknod -m 660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm"
    nested.run("rm /dev/kvm; mv /dev/kvm.away /dev/kvm; rmmod kvm_amd")
    verdict = findings(novaops, nested)["nested virtualization"]
    assert verdict["text"].startswith("no: the processor has svm, but the module kvm_amd is not loaded")
    assert verdict["fix"] == "modprobe kvm_amd"
