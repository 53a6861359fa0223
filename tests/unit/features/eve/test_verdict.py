"""What `eve check` says of a host, from its answers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from novaops.facts.guest_run import Ran
from novaops.facts.nearby import Near
from novaops.features.eve.check import advice_lines, details
from novaops.features.eve.facts.site import EveSite
from novaops.features.eve.sizing import GIB
from novaops.features.eve.verdict import judge
from novaops.model.finding import has_problem
from novaops.model.question import Missing
from tests.unit.features.eve.support import NEAR, RAN, found, host, wish

FLAGS: dict[str, dict[str, Any]] = {"flag": {}, "no flag": {"cpu_flag": ""}}
MODULES: dict[str, dict[str, Any]] = {"module": {}, "no module": {"kvm_module": "", "kvm_module_file": "there"}}
DEVICES: dict[str, tuple[dict[str, Any], Any]] = {
    "runs a guest": ({}, RAN),
    "slower than emulation": ({}, Ran("slow")),
    "a regular file": ({"kvm_device": "regular file", "kvm_number": "", "kvm_answer": ""}, Missing.ABSENT),
    "no permission": (
        {"kvm_answer": "cannot open: Permission denied", "kvm_access": "root:kvm 660", "login": "jane"},
        Ran("unproven", why="this login may not open /dev/kvm"),
    ),
    "missing": ({"kvm_device": "absent", "kvm_number": "", "kvm_answer": ""}, Missing.ABSENT),
}
MATRIX = {
    ("flag", "module", "runs a guest"): ("yes", ""),
    ("flag", "module", "slower than emulation"): ("slow", "qemu -accel tcg is faster here"),
    ("flag", "module", "a regular file"): ("no", "rm /dev/kvm && mknod"),
    ("flag", "module", "no permission"): ("unproven", "as root there: usermod -aG kvm jane"),
    ("flag", "module", "missing"): ("no", "mknod -m 660 /dev/kvm"),
    ("flag", "no module", "runs a guest"): ("yes", ""),
    ("flag", "no module", "slower than emulation"): ("slow", "qemu -accel tcg is faster here"),
    ("flag", "no module", "a regular file"): ("no", "modprobe kvm_intel; then rm /dev/kvm"),
    ("flag", "no module", "no permission"): ("no", "modprobe kvm_intel"),
    ("flag", "no module", "missing"): ("no", "modprobe kvm_intel"),
    ("no flag", "module", "runs a guest"): ("yes", ""),
    ("no flag", "module", "slower than emulation"): ("slow", "qemu -accel tcg is faster here"),
    ("no flag", "module", "a regular file"): ("no", "the hypervisor beneath must pass vmx or svm on"),
    ("no flag", "module", "no permission"): ("no", "the hypervisor beneath must pass vmx or svm on"),
    ("no flag", "module", "missing"): ("no", "the hypervisor beneath must pass vmx or svm on"),
    ("no flag", "no module", "runs a guest"): ("yes", ""),
    ("no flag", "no module", "slower than emulation"): ("slow", "qemu -accel tcg is faster here"),
    ("no flag", "no module", "a regular file"): ("no", "the hypervisor beneath must pass vmx or svm on"),
    ("no flag", "no module", "no permission"): ("no", "the hypervisor beneath must pass vmx or svm on"),
    ("no flag", "no module", "missing"): ("no", "the hypervisor beneath must pass vmx or svm on"),
}


def test_the_matrix_is_whole() -> None:
    assert set(MATRIX) == set(product(FLAGS, MODULES, DEVICES))


@pytest.mark.parametrize(("flag", "module", "device"), MATRIX)
def test_flag_module_and_device(flag: str, module: str, device: str) -> None:
    verdict, fix = MATRIX[flag, module, device]
    fields, run = DEVICES[device]
    candidate = host(run, **FLAGS[flag], **MODULES[module], **fields)
    (finding,) = found("nodes can run", candidate)
    assert candidate.nested.verdict == verdict
    assert finding.verdict == ("ok" if verdict == "yes" else "problem")
    assert finding.fix.startswith(fix)
    assert bool(finding.fix) == (verdict != "yes")


def test_without_a_wish_a_host_that_can_has_no_problem() -> None:
    assert [one.verdict for one in judge(host(), wish())] == ["ok"] * 5


@pytest.mark.parametrize(
    ("fields", "site", "verdict", "text"),
    [
        ({}, ("", ""), "ok", "Ubuntu 22.04.5 LTS: for EVE-NG Community 6 (6.2.0-4, the last version of its line)"),
        ({"os": "Ubuntu 24.04.4 LTS", "os_version": "24.04"}, ("", ""), "ok", "Ubuntu 24.04.4 LTS: for EVE-NG 7 (7.2.0-18)"),
        ({"os": "Ubuntu 20.04.6 LTS", "os_version": "20.04"}, ("", ""), "problem", "Ubuntu 20.04.6 LTS is for EVE-NG Community 5, which"),
        ({"os": "Ubuntu 20.04.6 LTS", "os_version": "20.04"}, ("eve-ng", "5.0.1-24"), "ok", "Ubuntu 20.04.6 LTS with eve-ng 5.0.1-24"),
        (
            {"os": "Debian GNU/Linux 12 (bookworm)", "os_id": "debian", "os_version": "12"},
            ("", ""),
            "problem",
            "EVE-NG is not made for Deb",
        ),
        ({"os": "Ubuntu 26.04 LTS", "os_version": "26.04"}, ("", ""), "problem", "EVE-NG is not made for Ubuntu 26.04 LTS"),
        ({"architecture": "aarch64"}, ("", ""), "problem", "EVE-NG is for x86_64, and this is aarch64"),
        ({}, ("eve-ng-pro", "6.5.0-27"), "ok", "Ubuntu 22.04.5 LTS with eve-ng-pro 6.5.0-27"),
    ],
)
def test_the_system_decides_the_edition(fields: dict[str, Any], site: tuple[str, str], verdict: str, text: str) -> None:
    (finding,) = found("system", host(site=EveSite(*site, "/opt", 50 * GIB, 45 * GIB), **fields))
    assert (finding.verdict, finding.text[: len(text)]) == (verdict, text)
    assert bool(finding.fix) == (verdict == "problem")


NOBLE: dict[str, Any] = {"os_version": "24.04"}


@pytest.mark.parametrize(
    ("fields", "wanted", "verdict", "text", "fix"),
    [
        ({}, {}, "ok", "EVE-NG Community 6 runs 63 nodes at once", ""),
        ({}, {"nodes": 63}, "ok", "EVE-NG Community 6 runs 63 nodes at once", ""),
        (
            {},
            {"nodes": 64},
            "problem",
            "EVE-NG Community 6 runs 63 nodes at once, not 64",
            "EVE-NG 7 on Ubuntu 24.04 with a licence (about 200 USD a year)",
        ),
        (NOBLE, {"nodes": 7}, "ok", "EVE-NG 7 runs 7 nodes at once without a licence; a licence costs about 200 USD a year", ""),
        (
            NOBLE,
            {"nodes": 8},
            "problem",
            "EVE-NG 7 runs 7 nodes at once without a licence, not 8",
            "a licence costs about 200 USD a year; or EVE-NG Community 6 on Ubuntu 22.04 runs 63",
        ),
        (NOBLE, {"nodes": 100}, "problem", "EVE-NG 7 runs 7 nodes", "a licence costs about 200 USD a year"),
        (NOBLE, {"nodes": 100, "licensed": True}, "ok", "EVE-NG 7 with a licence: not the 7 nodes of one without", ""),
        (
            {},
            {"nodes": 64, "licensed": True},
            "problem",
            "EVE-NG Community 6 runs 63 nodes at once, not 64",
            "EVE-NG 7 on Ubuntu 24.04 with",
        ),
    ],
)
def test_the_editions_limit(fields: dict[str, Any], wanted: dict[str, Any], verdict: str, text: str, fix: str) -> None:
    (finding,) = found("node limit", host(**fields), wish("host", **wanted))
    assert finding.verdict == verdict
    assert finding.text.startswith(text)
    assert finding.fix.startswith(fix)
    assert bool(fix) == bool(finding.fix)


def test_an_edition_that_is_not_known_has_no_limit_that_is_known() -> None:
    assert found("node limit", host(site=EveSite("eve-ng-pro", "6.5.0-27", "/opt", 1, 1)), wish(nodes=500)) == []


@pytest.mark.parametrize(
    ("near", "caller", "what"),
    [
        (NEAR, "198.51.100.9", []),
        (Near((), (("172.17.0.0/16", "docker0"),)), "", []),  # docker's own bridge
        (Near((), (("172.17.0.0/16", "eth0"),)), "", ["172.17.0.0/16 on eth0"]),
        (Near((), (("172.16.0.0/12", "tun0"),)), "", ["172.16.0.0/12 on tun0"]),
        (Near((), (), (("172.17.8.0/24", "eth0"),)), "", ["172.17.8.0/24 by a gateway on eth0"]),
        (Near(("172.17.0.1",), (("10.0.0.0/24", "eth0"),)), "", ["the gateway 172.17.0.1"]),
        (NEAR, "172.17.200.3", ["you, who come from 172.17.200.3"]),
        (Near((), (("172.29.129.0/24", "eth0"),)), "", []),  # only EVE-NG 7 takes that
        (Near(("fe80::1",), (("fe80::/64", "eth0"),)), "2001:db8::7", []),
    ],
)
def test_networks_that_eve_takes(near: Near, caller: str, what: list[str]) -> None:
    problems = [one for one in found("networks", host(near=near, caller=caller)) if one.verdict == "problem"]
    assert [one.text.partition(" reaches ")[2] for one in problems] == what


def test_eve_7_takes_more_networks() -> None:
    (finding,) = found("networks", host(near=Near((), (("172.29.129.0/24", "eth0"),)), **NOBLE))
    assert finding.text == "EVE-NG takes 172.29.129.0/24 for nat0, and the host reaches 172.29.129.0/24 on eth0"


def test_what_cannot_be_asked_is_a_note() -> None:
    findings = list(judge(host(near=None), wish(nodes=5)))
    assert [one.subject for one in findings if one.verdict == "note"] == ["networks"]


NO_FLAG: dict[str, Any] = {"cpu_flag": "", "kvm_module": "", "kvm_device": "absent"}


@pytest.mark.parametrize(
    ("cloud", "title", "new", "existing"),
    [
        (
            "google",
            "Google Compute Engine (documented",
            '--machine-type=n2-standard-4 --min-cpu-platform="Intel Cascade Lake"',
            "export NAME",
        ),
        ("alibaba", "Alibaba Cloud (documented", "--InstanceType ecs.ebm", ""),
        ("oracle", "Oracle Cloud (reported", "--shape BM.Standard3.64", ""),
        ("aws", "Amazon EC2 (reported", "--cpu-options NestedVirtualization=enabled", ""),
        ("azure", "Microsoft Azure (reported", "--size Standard_D4s_v5", "az vm resize"),
        ("hetzner", "Hetzner (reported", "", ""),
        ("vultr", "Google Compute Engine (documented", "--enable-nested-virtualization", ""),
        ("", "Google Compute Engine (documented", "--boot-disk-type=pd-standard --boot-disk-size=50GB", ""),
    ],
)
def test_what_to_change_at_the_provider(cloud: str, title: str, new: str, existing: str) -> None:
    candidate = host(Missing.ABSENT, cloud=cloud, **NO_FLAG)
    lines = advice_lines(details(candidate, wish(), []))
    text = "\n".join(lines)
    assert lines[0].startswith(title)
    assert new in text
    assert ("A new VM:" in lines, "This VM:" in lines) == (bool(new), bool(existing))
    assert existing in text
    assert "$" not in text


@pytest.mark.parametrize("fields", [{"kvm_module": "", "kvm_device": "absent"}, {**NO_FLAG, "virtualization": "none"}])
def test_what_can_be_changed_on_the_host_is_not_the_providers(fields: dict[str, Any]) -> None:
    assert advice_lines(details(host(Missing.ABSENT, cloud="google", **fields), wish(), [])) == ()


def test_the_image_of_the_advice_is_that_of_the_hosts_edition() -> None:
    for version, image in (("22.04", "ubuntu-2204-lts"), ("24.04", "ubuntu-2404-lts-amd64"), ("20.04", "ubuntu-2204-lts")):
        lines = advice_lines(details(host(Missing.ABSENT, **NO_FLAG, os_version=version), wish(), []))
        assert f"--image-family={image} " in "\n".join(lines)


def test_the_vm_of_the_advice_has_the_disk_that_the_nodes_need() -> None:
    for wanted, size in ((wish(), 50), (wish("firewall", nodes=60), 136)):
        lines = advice_lines(details(host(Missing.ABSENT, **NO_FLAG), wanted, []))
        assert f"--boot-disk-size={size}GB" in "\n".join(lines)


@pytest.mark.parametrize(
    ("version", "offer"), [("22.04", "0001-com-ubuntu-server-jammy:22_04-lts-gen2"), ("24.04", "ubuntu-24_04-lts:server")]
)
def test_the_image_at_azure(version: str, offer: str) -> None:
    lines = advice_lines(details(host(Missing.ABSENT, **{**NO_FLAG, "cloud": "azure"}, os_version=version), wish(), []))
    assert f"--image Canonical:{offer}:latest" in "\n".join(lines)


def test_the_document_has_what_the_table_says() -> None:
    candidate, wanted = host(), wish(nodes=70, months=3, credit=300.0)
    document = details(candidate, wanted, list(judge(candidate, wanted)))
    assert has_problem(document)
    assert document["nested"] == "yes"
    assert document["edition"]["nodes"] == 63
    assert document["capacity"]["router"] == {"nodes": 16, "scarce": "processors"}
    assert document["advice"] is None
