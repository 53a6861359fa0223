"""The machine itself: what runs on it, whose cloud it is, and whether it can run virtual machines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, quote, sh_file

TOOLS = (
    *("systemd-run", "flock", "lsblk", "wipefs", "blkid", "findmnt", "base64", "sha256sum", "stat", "readlink", "cmp", "tail"),
    *("mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "apt-get", "dnf", "sshd", "nginx", "openvpn", "autossh"),
)

KVM_NUMBER = "10:232"
"""The numbers of the device KVM, of linux/miscdevice.h."""

_SCRIPT = sh_file(__package__, "machine.sh")


@dataclass(frozen=True)
class MachineFacts:
    hostname: str
    login: str
    """The user who logged in; root, or one who became root by sudo."""
    os: str
    """PRETTY_NAME of os-release."""
    os_id: str
    os_version: str
    kernel: str
    architecture: str
    cloud: str
    """google, alibaba, oracle, …; "" when the DMI strings name none."""
    virtualization: str
    """What systemd-detect-virt says: kvm, systemd-nspawn, none."""
    processors: int
    memory: int
    """Bytes."""
    boot_id: str
    booted_with_systemd: bool
    cpu_flag: str
    """vmx, svm, or "" when the processor offers neither to this host."""
    kvm_module: str
    """kvm_intel or kvm_amd when loaded, else ""."""
    kvm_nested: str
    """Whether the guests of this host may have guests themselves: Y, N, or "" when not told."""
    kvm_device: str
    """"character", "absent", or what stands at /dev/kvm instead."""
    kvm_number: str
    """Of a character device MAJOR:MINOR, else ""."""
    kvm_access: str
    """OWNER:GROUP MODE of what stands at /dev/kvm, else ""."""
    kvm_module_file: str
    """Where the processor could and no module is loaded: whether the running kernel has it, "there" or "absent"; else ""."""
    kvm_answer: str
    """The API version /dev/kvm gave, "cannot open: …", or "unasked" when the host has nothing to ask with."""
    tools: frozenset[str]
    root_free: int
    """Bytes free for root in /var/lib, where the journal of a run is kept."""


class Machine(Singleton[MachineFacts]):
    family: ClassVar[str] = "machine"

    @classmethod
    def script_one(cls) -> str:
        return f"tools={quote(' '.join(TOOLS))}\n{_SCRIPT}"

    @classmethod
    def parse_one(cls, section: Section) -> MachineFacts | Missing:
        pairs = [line.partition("=")[::2] for line in lines_of(section.stdout)]
        said = {key: value.strip() for key, value in pairs}

        def number(key: str) -> int:
            return int(said[key]) if said.get(key, "").isdecimal() else 0

        def release(key: str) -> str:
            return " ".join(shlex.split(said.get(key, "")))

        facts = MachineFacts(
            hostname=said.get("hostname", ""),
            os=release("os_PRETTY_NAME"),
            os_id=release("os_ID"),
            os_version=release("os_VERSION_ID"),
            login=said.get("login", ""),
            kernel=said.get("kernel", ""),
            architecture=said.get("architecture", ""),
            cloud=cloud({key.removeprefix("dmi_"): value for key, value in said.items() if key.startswith("dmi_")}),
            virtualization=said.get("virtualization", ""),
            processors=number("processors"),
            memory=number("memory"),
            boot_id=said.get("boot_id", ""),
            booted_with_systemd=said.get("systemd") == "yes",
            cpu_flag=said.get("cpu_flag", ""),
            kvm_module=said.get("kvm_module", ""),
            kvm_nested={"1": "Y", "0": "N"}.get(said.get("kvm_nested", ""), said.get("kvm_nested", "")),
            kvm_device=said.get("kvm_device", ""),
            kvm_number=said.get("kvm_number", ""),
            kvm_access=said.get("kvm_access", ""),
            kvm_module_file=said.get("kvm_module_file", ""),
            kvm_answer=said.get("kvm_answer", ""),
            tools=frozenset(value for key, value in pairs if key == "tool"),
            root_free=number("free"),
        )
        return facts if facts.kernel else Missing.UNKNOWN


_CLOUDS = (
    ("chassis_asset_tag", "OracleCloud.com", "oracle"),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "azure"),
    ("chassis_asset_tag", "HUAWEICLOUD", "huawei"),
    ("chassis_asset_tag", "Amazon EC2", "aws"),
    ("product_name", "Google Compute Engine", "google"),
    ("product_name", "Alibaba Cloud ECS", "alibaba"),
    ("product_name", "OpenStack Nova", "openstack"),
    ("product_name", "OpenStack Compute", "openstack"),
    ("sys_vendor", "Google", "google"),
    ("sys_vendor", "Alibaba Cloud", "alibaba"),
    ("sys_vendor", "Amazon EC2", "aws"),
    ("sys_vendor", "DigitalOcean", "digitalocean"),
    ("sys_vendor", "Hetzner", "hetzner"),
    ("sys_vendor", "Tencent Cloud", "tencent"),
    ("sys_vendor", "Vultr", "vultr"),
    ("sys_vendor", "UpCloud", "upcloud"),
    ("sys_vendor", "Scaleway", "scaleway"),
    ("sys_vendor", "Akamai", "akamai"),
    ("sys_vendor", "Linode", "akamai"),
)
"""Asset tags first: an Oracle VM says QEMU everywhere else. The strings are those cloud-init's ds-identify tests."""


def cloud(dmi: Mapping[str, str]) -> str:
    """The provider that the DMI strings name, or ""."""
    return next((name for key, value, name in _CLOUDS if dmi.get(key) == value), "")
