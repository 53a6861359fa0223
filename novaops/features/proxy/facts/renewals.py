"""What runs certbot on a host by itself, and so renews its certificates."""

from __future__ import annotations

from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, sh_file


class Renewals(Singleton[tuple[str, ...]]):
    """Timers of systemd that run and are enabled, by their names, and files of cron, by their paths."""

    family: ClassVar[str] = "renewals"

    @classmethod
    def script_one(cls) -> str:
        return sh_file(__package__, "renewals.sh")

    @classmethod
    def parse_one(cls, section: Section) -> tuple[str, ...] | Missing:
        *found, end = lines_of(section.stdout) or [""]
        return tuple(found) if end == "end" else Missing.UNKNOWN
