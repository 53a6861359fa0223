"""An EVE-NG host as it shows itself without its API: kernel, templates, and whether default passwords still stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from novaops.features.eve import paths
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import assign, lines_of, sh_file

Password = Literal["default", "other", "unknown"]

_PASSWORDS: dict[str, Password] = {"default": "default", "other": "other"}
ROOT = assign(password=paths.DEFAULT_PASSWORD) + sh_file(__package__, "default_root.sh")

_SCRIPT = ROOT + assign(configured=paths.CONFIGURED, templates=paths.TEMPLATES) + sh_file(__package__, "installation.sh")


@dataclass(frozen=True)
class Installation:
    kernel: str
    configured: bool
    """Whether the wizard of the first login is over, or is to be skipped."""
    templates: tuple[str, ...]
    """Names."""
    root: Password
    """Of the system's root."""


class EveInstallation(Singleton[Installation]):
    family: ClassVar[str] = "eve-installation"

    @classmethod
    def script_one(cls) -> str:
        return _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> Installation | Missing:
        lines = [line.split("\t") for line in lines_of(section.stdout)]
        if not lines or lines[-1][0] != "end":
            return Missing.UNKNOWN
        said = {line[0]: line[1] for line in lines if len(line) > 1}
        return Installation(
            kernel=said.get("kernel", ""),
            configured="configured" in said,
            templates=tuple(line[1] for line in lines if line[0] == "template"),
            root=_PASSWORDS.get(said.get("root", ""), "unknown"),
        )
