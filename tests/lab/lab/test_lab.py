"""The lab itself, on this machine: hosts come up, go back to what they were, and leave nothing behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from novaops.errors import HostFailed
from novaops.lab.disk import Disk
from novaops.lab.host import LabHost
from novaops.lab.image import _clear, cache_directory
from novaops.lab.kvm import why_not
from novaops.lab.lab import Lab
from novaops.lab.network import STAYS_ON
from novaops.lab.requirements import missing_packages, program
from novaops.lab.vm import VirtualMachine
from tests.support.doors import OPERATOR_PASSWORD, with_operator_password
from tests.support.relay import Relay

pytestmark = [pytest.mark.lab, pytest.mark.minutes]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / ".lab")
    yield lab
    lab.down()


def left_behind(lab: Lab) -> list[str]:
    """Processes in the lab's directory, and its mounts."""
    found = [str(one) for one in Path("/proc").glob("[0-9]*") if str(lab.directory) in _target(one / "cwd")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(lab.directory) in line]
    return found


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def check_logins(host: LabHost) -> None:
    for user in ("root", "nova", "operator", "plain"):
        assert host.run("id --user --name", user=user).strip() == user
    assert host.run("sudo -n id -u", user="nova").strip() == "0"
    assert host.run("grep -v -E '^[^:]+:[!*]' /etc/shadow || true") == "", "nobody has a password"
    with_operator_password(host)
    assert host.run("sudo -S -p '' id -u", user="operator", stdin=f"{OPERATOR_PASSWORD}\n").strip() == "0"
    for user in ("operator", "plain"):
        with pytest.raises(HostFailed):
            host.run("sudo -n id", user=user)
    with pytest.raises(HostFailed):
        host.run("command -v python3")
    assert "ISO-8859-15" in host.run("locale")


def starts_what_it_installs(host: LabHost) -> bool:
    """As a real host does. While an image is made, two files keep packages from starting their services."""
    return not host.run("ls -d /usr/sbin/policy-rc.d /sbin/start-stop-daemon.REAL 2>/dev/null || true")


@pytest.mark.skipif(bool(missing_packages("vm")), reason="qemu or mmdebstrap is not installed")
def test_a_vm_comes_up_whatever_kvm_is_worth_here(lab: Lab) -> None:
    said: list[str] = []
    host = lab.up(on_progress=said.append)
    assert isinstance(host, VirtualMachine)
    why = why_not(host.state.spec, cache_directory())
    assert host.accelerator == ("tcg" if why else "kvm")
    assert (f"booting (no KVM here: {why}; using software emulation)" if why else "booting") in said
    assert (host.directory / "console.log").read_text().startswith("[    0.000000] Linux version")
    assert starts_what_it_installs(host)
    host.run("touch /kept")
    lab.reset("lab")
    with pytest.raises(HostFailed):
        host.run("ls /kept")


NEIGHBOUR = """\
space=neighbour-$$
ip netns add $space && ip link add n$$ type veth peer name m$$ netns $space || exit 99
trap 'ip netns del $space; ip link del n$$ 2>/dev/null' EXIT
ip addr add 198.18.7.1/30 dev n$$ && ip link set n$$ up && ip -n $space addr add 198.18.7.2/30 dev m$$ || exit 99
ip -n $space link set m$$ up && ip -n $space route add default via 198.18.7.1 || exit 99
ip netns exec $space timeout 3 bash -c 'exec 3<>/dev/tcp/198.18.7.1/'"$2" || exit 99
ip netns exec $space timeout 3 bash -c 'exec 3<>/dev/tcp/'"$1"'/22'
"""


def is_reached_by_a_neighbour(host: LabHost) -> bool:
    """Whether somebody next to this machine, who sends packets for the bridge to it, comes to the container's sshd."""
    with socket.create_server(("0.0.0.0", 0)) as control:  # noqa: S104 - so that it is seen that packets come here
        words = ["sh", "-c", NEIGHBOUR, "neighbour", host.address, str(control.getsockname()[1])]
        code = subprocess.run(words, check=False, timeout=30).returncode
    assert code != 99, "the neighbour does not even come to this machine"
    return code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_build_that_was_killed_is_cleared_away_with_its_mounts(tmp_path: Path) -> None:
    inside = tmp_path / "image.partial" / "root" / "dev"
    inside.mkdir(parents=True)
    for place in (inside, inside / "shm"):
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    _clear(tmp_path / "image.partial")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.skipif(bool(missing_packages("vm")), reason="qemu or mmdebstrap is not installed")
def test_vm(lab: Lab) -> None:
    host = lab.up(disks=(Disk("20G", serial="data"), Disk("1G", read_only=True)), cloud="google")
    assert isinstance(host, VirtualMachine)
    check_logins(host)
    disks = "lsblk --nodeps --noheadings --output NAME,SIZE,RO"
    assert host.run(disks).split() == ["vda", "8G", "0", "vdb", "20G", "0", "vdc", "1G", "1"]
    assert host.run("cat /sys/class/dmi/id/sys_vendor").strip() == "Google"
    host.run("for module in xfs btrfs dm_crypt raid1 dm_mod nvme virtio_scsi tun; do modprobe $module || exit 1; done")
    # disks come, grow and go while it runs
    hot = [host.attach(Disk("2G")), host.attach(Disk("3G", bus="scsi")), host.attach(Disk("4G", bus="nvme"))]
    host.run('for disk in vdd sda nvme0n1; do timeout 20 sh -c "until [ -b /dev/$disk ]; do :; done" || exit 1; done')
    for node in hot[1:]:
        host.detach(node)
    host.grow("disk1", "30G")
    host.run("timeout 20 sh -c 'until lsblk -dno SIZE /dev/vdb | grep -q 30G; do :; done'")
    # a reboot from the inside honours fstab
    host.run("mkfs.ext4 -q /dev/vdb && mkdir /data && echo '/dev/vdb /data ext4 defaults 0 2' >>/etc/fstab")
    host.reboot()
    host.run("findmnt /data && [ -b /dev/vdd ]")
    # pristine again, with the right time, and the next `up` finds it
    lab.reset("lab")
    assert host.run(disks).split()[4] == "20G"
    assert host.run("wipefs /dev/vdb; cat /etc/fstab").strip() == ""
    assert abs(float(host.run("date +%s")) - time.time()) < 10
    host = lab.up()
    host.stop()
    assert not host.running
    assert lab.down() == ["lab"]
    assert left_behind(lab) == []


@pytest.mark.skipif(os.geteuid() != 0 or bool(missing_packages("container")), reason="needs root, systemd-nspawn and mmdebstrap")
def test_a_fleet_of_one_container(tmp_path: Path) -> None:
    def novaops(*words: str) -> str:
        return subprocess.run([sys.executable, "-m", "novaops", *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def tables() -> str:
        return subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout

    lab = Lab(tmp_path / ".lab")
    try:
        novaops("lab", "up", "--count", "50", "--name", "web")
        network = json.loads((lab.directory / "network.json").read_text())
        assert f"{network['bridge']}-web" in tables()
        assert novaops("lab", "ssh", "web", "--", "echo", "in") == "in\n"
        for _ in range(2):
            found = json.loads(novaops("-i", "lab.yaml", "--json", "host", "facts", "web"))["hosts"]
            assert [(host["host"], host["status"]) for host in found] == [(f"web-{number:04}", "unchanged") for number in range(1, 51)]
            novaops("lab", "reset", "web")
    finally:
        novaops("lab", "down")
    assert network["bridge"] not in tables()
    assert not lab.inventory.exists()


@pytest.mark.skipif(os.geteuid() != 0 or bool(missing_packages("container")), reason="needs root, systemd-nspawn and mmdebstrap")
def test_containers(lab: Lab) -> None:
    web, db = lab.up("web", "container"), lab.up("db", "container")
    assert web.address != db.address
    check_logins(web)
    assert web.run("systemctl is-system-running --wait").strip() == "running"
    assert starts_what_it_installs(db)
    db.run(f"ping -c 1 -W 5 {web.address}")
    assert not is_reached_by_a_neighbour(web)
    web.run("touch /kept")
    web.reboot()
    web.run("ls /kept")
    web.stop()
    web.start()
    web.run("ls /kept")
    lab.reset("web")
    with pytest.raises(HostFailed):
        web.run("ls /kept")
    db.run("true")
    # a link of 200 ms to it
    with Relay((web.address, web.port), delay_s=0.1) as relay:
        port = web.ssh_command("true")
        port[port.index("-p") + 1] = str(relay.port)
        port[port.index(f"root@{web.address}")] = f"root@{relay.address}"
        began = time.monotonic()
        subprocess.run([*port[:-2], "-o", f"HostKeyAlias={web.address}", *port[-2:]], check=True, timeout=60)
        assert time.monotonic() - began > 1
    record = lab.directory / "network.json"
    network = json.loads(record.read_text())
    bridge = network["bridge"]
    record.write_text(json.dumps({**network, "forwarded": "0"}))  # as on a machine that did not forward before
    assert lab.down("web") == ["web"]
    assert [host.name for host in lab.hosts()] == ["db"]
    notes: list[str] = []
    assert lab.down(on_note=notes.append) == ["db"]
    # somebody else's guests may need it since: it is left on, and said
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    assert notes == [STAYS_ON]
    assert left_behind(lab) == []
    assert not Path("/sys/class/net", bridge).exists()
    tables = subprocess.run([program("nft"), "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert bridge not in tables
