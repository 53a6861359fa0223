"""The bridge pnet0 on a VM with udev: the card has a name that rules give it as netplan writes them, and is eth0 after a reboot too."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.things import write_inventory

pytestmark = pytest.mark.minutes

PLAYBOOK = """\
from novaops.features.eve.resources.management import ManagementBridge

Settings = dict[str, str]


def desired(host, settings, peers):
    yield ManagementBridge()
"""

CLOUD = r"""
mac=$(cat /sys/class/net/eth0/address)
printf '[Match]\nMACAddress=%s\n\n[Link]\nName=ens4\n' "$mac" >/etc/systemd/network/10-netplan-ens4.link
printf 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="%s", NAME="ens4"\n' "$mac" >/etc/udev/rules.d/99-netplan-ens4.rules
sed -i s/Name=eth0/Name=ens4/ /etc/systemd/network/10-lab.network
"""

LOOK = """
ip -br link | cut -d ' ' -f 1 | sort | tr '\\n' ' '
ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'
ls /sys/class/net/pnet0/brif 2>/dev/null || true
"""

BRIDGES = [f"pnet{number}" for number in range(10)]


@pytest.mark.long
def test_the_card_of_a_cloud_becomes_eth0_in_pnet0_and_stays_so(vm: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    vm.run(CLOUD)
    vm.reboot()
    assert vm.run(LOOK).split() == ["ens4", "lo", "ens4"]
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/bridge.py").write_text(PLAYBOOK)
    inventory = write_inventory(tmp_path, vm, bridge={})
    done = novaops("apply", "--json", inventory=inventory, timeout=400)
    assert (done.code, done.host["status"], done.host.get("fresh_logins")) == (0, "changed", 1), done.text
    assert vm.run(LOOK).split() == ["eth0", "lo", *BRIDGES, "pnet0", "eth0"]
    vm.reboot()
    assert vm.run(LOOK).split() == ["eth0", "lo", *BRIDGES, "pnet0", "eth0"]
    assert novaops("apply", "--json", inventory=inventory, timeout=400).host["status"] == "unchanged"
    undone = novaops("undo", vm.name, "--json", inventory=inventory, timeout=400)
    assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert vm.run(LOOK).split() == ["ens4", "lo", "ens4"]
    vm.reboot()
    assert vm.run(LOOK).split() == ["ens4", "lo", "ens4"]
