"""The scripts that make the card eth0 of pnet0, and that put it back, in a network of their own where another card has that name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.features.eve.facts.management import Management, ManagementFacts
from novaops.features.eve.resources import management
from novaops.model.question import Section
from novaops.shell import sh_file

_NETWORK = """\
mount -t sysfs none /sys
ip link add eth0 address 02:00:00:00:00:01 type veth peer name p0 && ip link set p0 up && ip link set eth0 up
ip link add {card} address 02:00:00:00:00:02 type veth peer name p1 && ip link set p1 up && ip link set {card} up
ip addr add 10.9.0.2/24 dev eth0; ip addr add 10.8.0.2/24 dev {card}; ip route add default via 10.8.0.1
"""


def _in_a_network(script: str, path: Path) -> str:
    """What it prints, in namespaces of its own; networkctl does nothing there."""
    program = path / "networkctl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    words = ["unshare", "--net", "--mount", "sh", "-c", f"PATH={path}:$PATH\n{script}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


@pytest.fixture(autouse=True)
def allowed(tmp_path: Path) -> None:
    if ": lo:" not in _in_a_network("mount -t sysfs none /sys && ip link add x0 type veth peer name x1 && ip link", tmp_path):
        pytest.skip("no network namespace can be made here")


def _file(name: str) -> str:
    return sh_file(management.__package__, name).replace("seq 150", "seq 2").replace("seq 50", "seq 1")


def test_another_card_named_eth0_is_seen(tmp_path: Path) -> None:
    found: dict[str, object] = {}
    for card in ("eth1", "ens4"):
        said = _in_a_network(f"{_NETWORK.format(card=card)}\n{Management.script_one()}", tmp_path)
        found[card] = Management.parse_one(Section(said, "", 0))
    assert all(isinstance(one, ManagementFacts) and one.other_eth0 and not one.bridge for one in found.values())


def test_another_card_named_eth0_keeps_name_and_route_when_all_is_put_back(tmp_path: Path) -> None:
    """A host may have got it after it was asked."""
    script = f"""{_NETWORK.format(card="eth1")}
set -- eth1 02:00:00:00:00:02
({_file("bridge_up.sh")}
) >/dev/null 2>&1 && echo 'it should have failed'
({_file("bridge_down.sh")}
) >/dev/null 2>&1
ip -br link | sed 's/ .*LOWER_UP.*/ up/'; ip route"""
    said = _in_a_network(script, tmp_path).splitlines()
    assert "it should have failed" not in said
    assert {line for line in said if line.startswith("eth")} == {"eth0@p0 up", "eth1@p1 up"}
    assert any(line.startswith("10.9.0.0/24 dev eth0 ") for line in said)


def test_the_card_that_became_eth0_gets_its_name_back(tmp_path: Path) -> None:
    script = f"""{_NETWORK.format(card="ens4")}
ip link del eth0; ip link set ens4 down; ip link set ens4 name eth0; ip link set eth0 up
set -- ens4 02:00:00:00:00:02
({_file("bridge_down.sh")}
) >/dev/null 2>&1
ip -br link | sed 's/ .*LOWER_UP.*/ up/'"""
    said = _in_a_network(script, tmp_path).splitlines()
    assert "ens4@p1 up" in said
    assert not [line for line in said if line.startswith("eth0")]
