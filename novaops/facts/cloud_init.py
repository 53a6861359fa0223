"""What cloud-init does to a host at each boot."""

from __future__ import annotations

from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import sh_file

TEMPLATES = {family: f"/etc/cloud/templates/hosts.{family}.tmpl" for family in ("debian", "redhat", "suse")}
"""What it makes /etc/hosts of, by the distribution's family. Packages bring those of other families along, which it never reads."""


class HostsTemplate(Singleton[str]):
    """The path of TEMPLATES that it makes /etc/hosts of at each boot (manage_etc_hosts); ABSENT where it leaves that file's lines alone."""

    family: ClassVar[str] = "hosts_template"

    @classmethod
    def script_one(cls) -> str:
        return sh_file(__package__, "hosts_template.sh")

    @classmethod
    def parse_one(cls, section: Section) -> str | Missing:
        said = section.stdout.strip()
        return Missing.ABSENT if said == "none" else TEMPLATES.get(said, Missing.UNKNOWN)
