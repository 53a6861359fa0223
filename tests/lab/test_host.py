"""novaops host check on machines that can, and cannot, run virtual machines of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from novaops.lab import Lab, LabHost
from tests.lab.conftest import Novaops


@pytest.fixture(scope="module", params=[("nested", True, "google"), ("flat", False, "alibaba")], ids=["nested", "flat"])
def machine(request: pytest.FixtureRequest, lab: Lab) -> Iterator[tuple[LabHost, bool, str]]:
    name, nested, cloud = request.param
    yield lab.up(name, nested=nested, cloud=cloud), nested, cloud
    lab.down(name)


def findings(novaops: Novaops, host: LabHost) -> dict[str, dict[str, str]]:
    done = novaops("host", "check", host.name, "--json")
    assert done.code == 0, done.text
    assert done.host["execs"] == 1
    return {finding["subject"]: finding for finding in done.host["findings"]}


def test_the_verdict_on_nested_virtualization_and_the_clouds_advice(machine: tuple[LabHost, bool, str], novaops: Novaops) -> None:
    host, nested, cloud = machine
    found = findings(novaops, host)
    verdict = found["nested virtualization"]
    assert found["cloud"]["text"].startswith(f"{cloud}, ")
    if not nested:
        assert (verdict["verdict"], verdict["text"]) == ("note", "no: the processor shows neither vmx nor svm, there is no /dev/kvm")
        assert "ECS Bare Metal" in verdict["fix"]
        return
    assert verdict["verdict"] == "ok"
    assert verdict["text"].startswith("yes: svm, kvm_amd, /dev/kvm answers with API version 12")

    host.run("mv /dev/kvm /dev/kvm.away; : >/dev/kvm")
    assert "/dev/kvm is a regular empty file" in findings(novaops, host)["nested virtualization"]["text"]
    host.run("rm /dev/kvm; mv /dev/kvm.away /dev/kvm; rmmod kvm_amd")
    verdict = findings(novaops, host)["nested virtualization"]
    assert verdict["text"].startswith("no: the processor has svm, but the module kvm_amd is not loaded")
    assert verdict["fix"] == "modprobe kvm_amd"
