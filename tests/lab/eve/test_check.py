"""novaops eve check on machines that can, and cannot, run nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops

pytestmark = pytest.mark.minutes

AS_JAMMY = r"""printf 'ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n' >/etc/os-release"""


def checked(novaops: Novaops, host: str, *words: str) -> tuple[int, Any]:
    """The exit code, and the host of the document."""
    done = novaops("eve", "check", host, *words, "--json")
    assert done.json["exit_code"] == done.code, done.text
    assert done.host["error"] is None, done.text
    return done.code, done.host


def of(subject: str, host: Any) -> dict[str, str]:
    return next(one for one in host["findings"] if one["subject"] == subject)


def test_a_container_and_what_stands_at_dev_kvm(container: LabHost, novaops: Novaops) -> None:
    code, host = checked(novaops, container.name)
    assert (code, host["execs"], host["nested"]) == (1, 1, "no")
    assert "there is no /dev/kvm" in of("nodes can run", host)["text"]
    assert of("system", host)["text"].startswith("EVE-NG is not made for Debian GNU/Linux 12")

    container.run(f"{AS_JAMMY}; : >/dev/kvm; ip address add 172.17.3.1/24 dev host0")
    code, host = checked(novaops, container.name)
    assert "/dev/kvm is a regular empty file" in of("nodes can run", host)["text"]
    assert of("system", host)["verdict"] == "ok"
    assert of("networks", host)["text"] == "EVE-NG takes 172.17.0.0/16 for docker0, and the host reaches 172.17.3.0/24 on host0"

    for make, what in (
        ("mkfifo /dev/kvm", "/dev/kvm is a fifo"),
        ("mknod /dev/kvm c 1 3", "/dev/kvm is another device, 1:3 and not 10:232"),
    ):
        container.run(f"rm /dev/kvm; {make}")
        code, host = checked(novaops, container.name)
        assert (code, host["nested"]) == (1, "no")
        assert what in of("nodes can run", host)["text"]


def test_a_login_that_is_not_root_is_a_problem_and_the_rest_is_told(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    access = {"address": container.address, "port": container.port, "user": "plain"}
    files = {"identity": str(container.identity), "known_hosts": str(container.known_hosts)}
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {"box": {**access, **files}}}))
    done = novaops("eve", "check", "box", "--json", inventory=inventory)
    assert done.code == 1
    assert {"root", "system", "nodes can run", "room", "networks"} <= {one["subject"] for one in done.host["findings"]}, done.text


@pytest.fixture(scope="module")
def nested(lab: Lab) -> Iterator[LabHost]:
    """A VM that looks like Google's, and has svm and a working /dev/kvm."""
    yield lab.up("nested", nested=True, cloud="google")
    lab.down("nested")


def proven(novaops: Novaops, nested: LabHost) -> Any:
    """The host of the document that says yes. A guest of a VM that is itself emulated is as fast as the machine beneath has time for it."""
    said: list[tuple[int, Any]] = []

    def is_proven() -> bool:
        said.append(checked(novaops, nested.name))
        return said[-1][0] == 0

    assert wait_until(is_proven, 60), said[-1]
    return said[-1][1]


@pytest.mark.long
def test_a_vm_that_can_and_what_spoils_it(nested: LabHost, novaops: Novaops) -> None:
    nested.run(AS_JAMMY)
    host = proven(novaops, nested)
    assert (host["execs"], host["nested"], host["advice"]) == (1, "yes", None), host
    assert of("cost", host)["text"].startswith("about 118 USD for a month of Google's n2-standard-4, with 50 GB of pd-standard")
    code, host = checked(novaops, nested.name, "--nodes", "20")
    assert (code, of("nodes", host)["verdict"]) == (1, "problem")

    for spoil, mend, verdict, fix in (
        ("mv /dev/kvm /dev/kvm.away; : >/dev/kvm", "rm /dev/kvm; mv /dev/kvm.away /dev/kvm", "no", "rm /dev/kvm && mknod"),
        ("mv /dev/kvm /dev/kvm.away", "mv /dev/kvm.away /dev/kvm", "no", "mknod -m 660 /dev/kvm"),
        ("mv /usr/bin/perl /usr/bin/perl.away", "mv /usr/bin/perl.away /usr/bin/perl", "unproven", "install perl, python3 or qemu"),
        ("rmmod kvm_amd", "modprobe kvm_amd", "no", "modprobe kvm_amd"),
    ):
        nested.run(spoil)
        code, host = checked(novaops, nested.name)
        nested.run(mend)
        assert (code, host["nested"], host["advice"]) == (1, verdict, None)
        assert of("nodes can run", host)["fix"].startswith(fix)
    proven(novaops, nested)


@pytest.mark.long
@pytest.mark.parametrize(
    ("cloud", "title", "existing"),
    [("google", "Google Compute Engine", True), ("alibaba", "Alibaba Cloud", False), ("oracle", "Oracle Cloud", False)],
)
def test_a_vm_that_cannot_is_told_what_to_change_at_its_provider(
    lab: Lab,
    novaops: Novaops,
    cloud: str,
    title: str,
    existing: bool,  # noqa: FBT001
) -> None:
    host = lab.up("cannot", cloud=cloud)
    try:
        code, found = checked(novaops, host.name)
        assert (code, found["nested"], found["advice"]["title"]) == (1, "no", title)
        assert of("nodes can run", found)["fix"].startswith(f"{title}: ")
        assert bool(found["advice"]["existing"]) == existing
    finally:
        lab.down("cannot")
