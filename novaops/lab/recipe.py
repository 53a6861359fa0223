"""What a root file system of the lab is made of, as data; its content hash names the directory it is cached in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from novaops.errors import NovaopsError, UsageError
from novaops.lab.initrd import INIT

Kind = Literal["vm", "container"]
KINDS: tuple[Kind, ...] = ("vm", "container")

RELEASES = ("bookworm", "trixie")
LOCALE = "fr_FR.ISO-8859-15"
"""Hostile on purpose: what reads English or assumes UTF-8 fails here first."""

USERS = ("nova", "operator", "plain")
"""nova: sudo without a password; operator: sudo with one; plain: no sudo. All have the lab's key, as root has, and none a password."""

_PACKAGES = (
    "btrfs-progs", "ca-certificates", "dbus", "e2fsprogs", "fdisk", "iproute2", "iputils-ping", "kmod", "libpam-systemd",
    "locales", "netbase", "openssh-server", "procps", "sudo", "systemd", "systemd-sysv", "udev", "util-linux", "xfsprogs",
)  # fmt: skip
_VM_PACKAGES = (
    "busybox-static", "cryptsetup-bin", "dosfstools", "gdisk", "linux-image-cloud-amd64", "lvm2", "mdadm", "ntfs-3g",
    "parted",
)  # fmt: skip

_IDLE_UNITS = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty@tty1.service", "ldconfig.service", "serial-getty@ttyS0.service", "systemd-binfmt.service",
    "systemd-firstboot.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service",
    "systemd-networkd-wait-online.service", "systemd-pstore.service", "systemd-update-done.service",
    "systemd-update-utmp-runlevel.service", "systemd-update-utmp.service", "proc-sys-fs-binfmt_misc.automount",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "lvm2-monitor.service", "console-getty.service",
)  # fmt: skip
"""Masked: a throwaway host has no use for them, and under software emulation each costs a tenth of a second or more."""

_VM_NETWORK = """\
[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
IPv6AcceptRA=no
LinkLocalAddressing=no
"""

_MAKE_ROOT_DISK = 'exec mke2fs -q -t ext4 -L root -m 0 -E lazy_itable_init=0,lazy_journal_init=0 -d /mnt "$SCRATCH/root.ext4" 8G'
_STARTS_SERVICES = (
    'rm -f "$1/usr/sbin/policy-rc.d"; '
    '! [ -e "$1/sbin/start-stop-daemon.REAL" ] || mv "$1/sbin/start-stop-daemon.REAL" "$1/sbin/start-stop-daemon"'
)
_VM_COMMANDS = (
    'cp "$1"/boot/vmlinuz-* "$SCRATCH/vmlinuz"',
    'cp "$1/bin/busybox" "$SCRATCH/busybox"',
    'mkdir "$SCRATCH/modules" && cp -r "$1"/usr/lib/modules/*/. "$SCRATCH/modules"',
    # An unprivileged build runs under another uid: who started it must be able to read this, and to delete it.
    'chmod -R a+rwX "$SCRATCH/modules"',
    'rm -rf "$1"/boot/initrd.img-* "$1"/var/lib/apt/lists/*_Packages "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb',
    # What keeps services from starting in the tree while it is made: mmdebstrap takes it out only after the disk is.
    _STARTS_SERVICES,
    # A bind mount of the tree shows what is under /proc and /sys, which mmdebstrap has mounted in there.
    f'unshare -m sh -ec \'mount --bind "$1" /mnt && {_MAKE_ROOT_DISK}\' sh "$1"',
    'chmod a+r "$SCRATCH/vmlinuz" "$SCRATCH/busybox" "$SCRATCH/root.ext4"',
)
"""The root disk is a sparse file: it takes what is written to it, not 8 GB."""

_SUDOERS = "nova ALL=(ALL:ALL) NOPASSWD: ALL\noperator ALL=(ALL:ALL) ALL\n"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a root file system holds: two equal recipes make the same image.

    `sources` is apt's deb822 text; `commands` run as root when the packages are in: the tree is `$1`, a directory for
    what is to be kept is `$SCRATCH`, with `files` in it; `init` is what runs first in a VM.
    """

    kind: Kind
    release: str
    sources: str
    packages: tuple[str, ...]
    commands: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    init: str = ""

    @property
    def digest(self) -> str:
        """Twelve hex digits; a changed recipe has another one, and therefore another directory."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The cache directory's name, for example `vm-bookworm-1a2b3c4d5e6f`."""
        return f"{self.kind}-{self.release}-{self.digest}"


def kind_named(text: str) -> Kind:
    """The kind of that name; raises UsageError when there is none."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise UsageError(f"the lab makes no {text!r}", fix=f"--kind {' or --kind '.join(KINDS)}")


def recipe_for(kind: Kind, release: str) -> Recipe:
    """The lab's recipe for a kind of host and a Debian release; raises UsageError for a release it does not know."""
    if release not in RELEASES:
        raise UsageError(f"the lab has no release {release!r}", fix=f"one of: {', '.join(RELEASES)}")
    files = {
        "etc/default/locale": f"LANG={LOCALE}\n",
        "etc/fstab": "",
        "etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\n",
        "etc/locale.conf": f"LANG={LOCALE}\n",
        "etc/locale.gen": "fr_FR ISO-8859-15\nfr_FR.UTF-8 UTF-8\n",
        "etc/sudoers.d/lab": _SUDOERS,
    }
    if kind == "vm":
        files["etc/resolv.conf"] = "nameserver 10.0.2.3\n"
        files["etc/systemd/network/10-lab.network"] = _VM_NETWORK
    return Recipe(
        kind=kind,
        release=release,
        sources=debian_sources(_machine_sources(), release),
        packages=tuple(sorted(_PACKAGES + (_VM_PACKAGES if kind == "vm" else ()))),
        commands=_commands(kind),
        init=INIT if kind == "vm" else "",
        files=files,
    )


def debian_sources(machine: str, release: str) -> str:
    """The machine's Debian sources (deb822 text) for another release: the same places, the suites renamed.

    Only `main`, and no comments: a snapshot's date in a comment must not make another image.
    """
    stanzas: list[str] = []
    for stanza in machine.split("\n\n"):
        fields = dict(line.split(":", 1) for line in stanza.splitlines() if ":" in line and not line.startswith(("#", " ")))
        if "deb" not in fields.get("Types", "").split() or "Suites" not in fields:
            continue
        suites = (suite.partition("-") for suite in fields["Suites"].split())
        fields["Suites"] = " " + " ".join(f"{release}{dash}{rest}" for _, dash, rest in suites)
        fields["Types"] = " deb"
        fields["Components"] = " main"
        stanzas.append("\n".join(f"{name}:{value}" for name, value in fields.items()))
    return "\n\n".join(stanzas) + "\n"


def _machine_sources() -> str:
    path = Path("/etc/apt/sources.list.d/debian.sources")
    try:
        return path.read_text()
    except OSError as error:
        raise NovaopsError(
            f"the lab cannot read where this machine gets Debian packages: {path}: {error.strerror}",
            why="lab hosts are Debian, and the lab names no mirror of its own",
            fix=f"write Debian's deb822 sources to {path} (man sources.list)",
        ) from error


def _commands(kind: Kind) -> tuple[str, ...]:
    users = " && ".join(f"groupadd -f {user} && useradd -m -g {user} -s /bin/bash {user}" for user in USERS)
    masked = " ".join(_IDLE_UNITS)
    return (
        'cp -rT "$SCRATCH/files" "$1"',
        f'chroot "$1" sh -ec "{users}"',
        'chroot "$1" locale-gen >&2',
        'chmod 0440 "$1/etc/sudoers.d/lab"',
        # xfsprogs wants Python for one of its scripts; a host of novaops has none, so neither has the lab's.
        """sed -i '/^Package: xfsprogs$/,/^$/s/, python3[a-z-]*\\(:any\\)\\?//g' "$1/var/lib/dpkg/status\"""",
        """chroot "$1" sh -ec 'dpkg --purge $(dpkg-query --show --showformat="\\${Package}\\n" | grep python)' >&2""",
        'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/machine-id" "$1/etc/hostname"',
        f'chroot "$1" systemctl mask --quiet {masked}',
        'chroot "$1" systemctl enable --quiet systemd-networkd ssh',
        'chroot "$1" systemctl set-default --quiet multi-user.target',
        *(_VM_COMMANDS if kind == "vm" else ()),
    )
