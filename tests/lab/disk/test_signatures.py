"""Whatever libblkid can recognise on a disk, and what it cannot: never formatted unless its identity is given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.resources.filesystem import Filesystem
from novaops.features.disk.status import rows
from novaops.lab.disk import Disk
from novaops.lab.lab import Lab
from novaops.lab.vm import VirtualMachine
from novaops.model.question import Facts
from tests.lab.conftest import Novaops
from tests.support.looking import carried_out, look, plans, refusal, resources, written

pytestmark = pytest.mark.minutes


@dataclass(frozen=True)
class Exhibit:
    """A disk, or a partition of the last disk, that holds one thing."""

    name: str
    prepare: str
    """sh; "$d" is the device."""
    content: str
    """What `disk ls` says is on it."""
    serial: bool = False
    filesystem: str = "ext4"
    """The wanted one."""
    used: str = ""
    """What the refusal says of its use; "" for an idle one."""


def _random(where: str) -> str:
    return f'dd if=/dev/urandom of="$d" bs=1k count=4 conv=notrunc {where}'


LUKS = 'echo key | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$d"'
ZFS = r"""printf '\014\261\272\0\0\0\0\0' >/tmp/one; truncate -s 1k /tmp/one
for n in $(seq 16); do cat /tmp/one; done | dd of="$d" bs=1k seek=128"""
"""16 uberblocks in the first label: libblkid believes in a pool from 4 on."""

WHOLE = (
    Exhibit("gpt", 'echo "label: gpt" | sfdisk -q "$d"', "a GPT partition table"),
    Exhibit("dos", 'echo "label: dos" | sfdisk -q "$d"', "a DOS partition table", serial=True),
    Exhibit("gpt-ext4", 'echo , | sfdisk -q -X gpt "$d"; udevadm settle; mkfs.ext4 -q "${d}1"', "a GPT partition table"),
    Exhibit("dos-ext4", 'echo , | sfdisk -q -X dos "$d"; udevadm settle; mkfs.ext4 -q "${d}1"', "a DOS partition table"),
    Exhibit(
        "gpt-backup",
        'echo "label: gpt" | sfdisk -q "$d"; dd if=/dev/zero of="$d" bs=1M count=1 conv=notrunc; blockdev --rereadpt "$d"',
        "a GPT partition table",
    ),
    Exhibit("first-mib", _random("seek=512"), "data of no known kind"),
    Exhibit("last-mib", _random("seek=65000"), "data of no known kind", serial=True),
    Exhibit("lvm-alone", 'pvcreate -q "$d"', "an LVM physical volume"),
    Exhibit("lvm-asleep", 'vgcreate -q asleep "$d"; lvcreate -q -L 8M -n store asleep; vgchange -an asleep', "an LVM physical volume"),
    Exhibit(
        "lvm-active",
        'vgcreate -q active "$d"; lvcreate -q -L 8M -n store active',
        "an LVM physical volume",
        used="/dev/mapper/active-store (lvm) is built on it",
    ),
    Exhibit("md-stopped", 'yes | mdadm --create /dev/md7 -q -l 1 -n 2 --run "$d" missing; mdadm --stop /dev/md7', "a member of an md RAID"),
    Exhibit("md-running", 'yes | mdadm --create /dev/md8 -q -l 1 -n 2 --run "$d" missing', "a member of an md RAID", used="raid1"),
    Exhibit("swap-on", 'mkswap "$d"; swapon "$d"', "swap space", used="it is swap space in use"),
    Exhibit("pool-first", "first=$d", "a btrfs file system", used="mounted at /mnt/pool"),
    Exhibit(
        "pool-second",
        'mkfs.btrfs -q -M "$first" "$d"; mkdir /mnt/pool; mount "$first" /mnt/pool',
        "a btrfs file system",
        used="it is part of the mounted btrfs file system",
    ),
    Exhibit("lvm-second", 'vgextend -q active "$d"', "an LVM physical volume", used="it is part of the volume group active"),
    Exhibit("looped", 'losetup /dev/loop7 "$d"', "", serial=True, used="it is what /dev/loop7 is made of"),
    Exhibit("written", 'systemd-run -q --unit=writer sh -c "exec 5<>$d; exec sleep 1d"', "", serial=True, used="it is opened by process"),
    Exhibit(
        "elsewhere",
        """mkfs.ext4 -q -E lazy_itable_init=0 "$d"
systemd-run -q --unit=elsewhere -p PrivateMounts=yes sh -c "mount $d /media; exec sleep 1d"
until grep -q ' /media ' /proc/$(systemctl show -P MainPID elsewhere)/mountinfo; do sleep 0.1; done""",
        "an ext4 file system",
        used="it is mounted at /media in a container or service",
    ),
    Exhibit("luks-open", f'{LUKS}; echo key | cryptsetup open "$d" opened', "LUKS encryption", used="crypt"),
)

PARTS = (
    Exhibit("luks", LUKS, "LUKS encryption"),
    Exhibit("swap", 'mkswap -L spare "$d"', "swap space named spare"),
    Exhibit("xfs", 'mkfs.xfs -q "$d"', "an xfs file system"),
    Exhibit("btrfs", 'mkfs.btrfs -q -L "two words" "$d"', "a btrfs file system named two words"),
    Exhibit("ext2", 'mkfs.ext2 -q "$d"', "an ext2 file system"),
    Exhibit("ext4-for-xfs", 'mkfs.ext4 -q "$d"', "an ext4 file system", filesystem="xfs"),
    Exhibit("ext4-for-btrfs", 'mkfs.ext4 -q "$d"', "an ext4 file system", filesystem="btrfs"),
    Exhibit("ntfs", 'mkntfs -q -f -F "$d"', "an ntfs file system"),
    Exhibit("vfat", 'mkfs.vfat "$d"', "a vfat file system"),
    Exhibit(
        "iso9660",
        r"""printf '\001CD001\001' | dd of="$d" bs=2k seek=16; printf '\377CD001\001' | dd of="$d" bs=2k seek=17""",
        "an ISO 9660 image",
    ),
    Exhibit("zfs", ZFS, "a member of a ZFS pool"),
    Exhibit("minix", 'mkfs.minix "$d"', "a minix file system"),
)

MIDDLE = Exhibit("middle", _random("seek=32k"), "")
KEPT = Exhibit("kept", 'mkfs.ext4 -q "$d"', "an ext4 file system")
"""The wanted kind: mounted as it is, and made anew only when its identity is given."""

ON_DISKS = (*WHOLE, MIDDLE)
ON_PARTS = (*PARTS, KEPT)
EXHIBITS = (*ON_DISKS, *ON_PARTS)


def device(exhibit: Exhibit) -> str:
    """Kernel names are sure here: virtio disks are named in the order they are plugged in."""
    if exhibit in ON_DISKS:
        return f"/dev/vd{'bcdefghijklmnopqrstuvwxyz'[ON_DISKS.index(exhibit)]}"
    return f"/dev/vd{'bcdefghijklmnopqrstuvwxyz'[len(ON_DISKS)]}{ON_PARTS.index(exhibit) + 1}"


def entry(exhibit: Exhibit, wipe: str = "") -> dict[str, str]:
    return {"device": device(exhibit), "path": f"/mnt/{exhibit.name}", "filesystem": exhibit.filesystem, "wipe": wipe}


def _preparation() -> str:
    disk = device(ON_PARTS[0])[:-1]
    sizes = "".join(f"size={320 if {e.name, e.filesystem} & {'xfs', 'btrfs'} else 64}M\n" for e in ON_PARTS)
    lines = [f"printf '{sizes}' | sfdisk -q -X gpt {disk}; udevadm settle"]
    lines += [f"d={device(e)}; {e.prepare}" for e in EXHIBITS]
    # Or udev puts the stopped array together again.
    lines.insert(0, "echo AUTO -all >/etc/mdadm/mdadm.conf")
    return "set -ex\nexec </dev/null 3>&2 >/dev/null\n" + "\n".join(lines) + "\nudevadm settle; sync\n"


@pytest.fixture(scope="module")
def warehouse(lab: Lab) -> Iterator[VirtualMachine]:
    """A VM with a disk or partition for each exhibit."""
    disks = [Disk("64M", serial=exhibit.name if exhibit.serial else "") for exhibit in ON_DISKS]
    host = lab.up("warehouse", "vm", disks=(*disks, Disk("4G")))
    assert isinstance(host, VirtualMachine)
    host.run(_preparation(), timeout_s=300)
    yield host
    lab.down(host.name)


def state(host: VirtualMachine) -> tuple[str, dict[str, int]]:
    """What a refused run must not change: fstab, mounts, folders, and not one write to any disk, as qemu counts them."""
    return host.run("cat /etc/fstab /proc/self/mountinfo /proc/swaps; ls -A /mnt"), written(host)


@pytest.fixture(scope="module")
def seen(warehouse: VirtualMachine) -> Facts:
    """One look at everything, for all tests that change nothing."""
    return look(warehouse, [entry(exhibit) for exhibit in EXHIBITS])


def printed_identities(facts: Facts, exhibits: Sequence[Exhibit]) -> dict[Exhibit, str]:
    """The `--wipe ID` of each refusal."""
    fixes = {e: refusal(plan).fix for e, plan in zip(exhibits, plans(facts, [entry(e) for e in exhibits]), strict=True)}
    return {e: match[1] for e, fix in fixes.items() if (match := re.search(r"--wipe (\S+)", fix))}


@pytest.mark.usefixtures("warehouse")
def test_disk_ls_says_what_is_there_and_what_is_idle(novaops: Novaops) -> None:
    said = novaops("disk", "ls", "warehouse", "--json").host
    listed = {disk["device"]: disk for disk in said["disks"]}
    for exhibit in EXHIBITS:
        disk = listed[device(exhibit)]
        assert disk["content"].startswith(exhibit.content), exhibit.name
        if exhibit in ON_DISKS:
            assert disk["idle"] is not bool(exhibit.used), exhibit.name
    states = {row[0].strip(): row[3] for row in rows(said)}
    assert states[device(WHOLE[0])] == "idle: nothing uses it"
    for exhibit in WHOLE:
        assert exhibit.used in states[device(exhibit)], exhibit.name


def test_whatever_is_there_is_refused(seen: Facts) -> None:
    exhibits = (*WHOLE, *PARTS)
    for exhibit, plan in zip(exhibits, plans(seen, [entry(e) for e in exhibits]), strict=True):
        what = refusal(plan).what
        if exhibit.used:
            assert re.match(rf"{device(exhibit)} \(.*\) is in use: ", what), exhibit.name
            assert exhibit.used in what, exhibit.name
        else:
            assert re.match(rf"{device(exhibit)} \(.*(64|320) MiB\) is not blank: it holds {exhibit.content}", what), exhibit.name
    assert [e.name for e in exhibits if not e.used] == [e.name for e in printed_identities(seen, exhibits)]


def test_another_identity_does_not_wipe(seen: Facts) -> None:
    idle = [e for e in (*WHOLE, *PARTS) if not e.used]
    for exhibit, plan in zip(idle, plans(seen, [entry(e, "another-disk") for e in idle]), strict=True):
        assert refusal(plan).what.startswith(f"--wipe another-disk is not the identity of {device(exhibit)}"), exhibit.name


def test_data_in_the_middle_only_counts_as_blank(seen: Facts) -> None:
    """The rule: no signature anywhere, and zeros in the first and the last MiB. More would mean reading whole disks."""
    (plan,) = plans(seen, [entry(MIDDLE)])
    assert [(change.before, change.after) for change in plan.steps[0].changes if change.field == "content"] == [(None, "ext4")]


def test_a_refused_run_leaves_everything_as_it_is(
    warehouse: VirtualMachine, seen: Facts, novaops: Novaops, inventory: Callable[[str, str], Path]
) -> None:
    """Wiping what is in use is refused too, and with it everything else that was asked for in the same run."""
    table = seen.known(BlockDevices())
    used = {e: found.identities[0] for e in WHOLE if e.used and (found := table.find(device(e)))}
    entries = [entry(MIDDLE), *(entry(e, used.get(e, "")) for e in (*WHOLE, *PARTS))]
    before = state(warehouse)
    refused = novaops("apply", "--json", inventory=inventory("warehouse", f"disk: {json.dumps(entries)}"))
    assert (refused.code, refused.host["status"], refused.host["execs"]) == (4, "refused", 1)
    for exhibit in (*WHOLE, *PARTS):
        assert f"{device(exhibit)} (" in refused.host["error"]["what"], exhibit.name
    assert state(warehouse) == before


@pytest.mark.long
def test_the_printed_identity_wipes_an_idle_disk(warehouse: VirtualMachine, seen: Facts, novaops: Novaops) -> None:
    """The file systems only: thirty mounts would take minutes here, and are mounts like any other."""
    wipes = printed_identities(seen, (*WHOLE, *PARTS))
    wanted = [resource for e, wipe in wipes.items() for resource in resources(entry(e, wipe)) if isinstance(resource, Filesystem)]
    outcome = carried_out(warehouse, wanted)
    assert outcome.end == "ok", outcome.said
    now = dict(line.split() for line in warehouse.run("udevadm settle; lsblk -r -n -p -o NAME,FSTYPE | grep ' .'").splitlines())
    assert {e.name: now.get(device(e)) for e in wipes} == {e.name: e.filesystem for e in wipes}

    kept = seen.known(BlockDevices()).find(device(KEPT))
    assert kept is not None
    words = ("disk", "mount", "warehouse", "--device", device(KEPT), "--path", "/mnt/kept")
    assert novaops(*words, "--wipe", kept.uuid).code == 0
    assert warehouse.run("findmnt -n -o UUID /mnt/kept").strip() not in {"", kept.uuid}
