"""The installed versions of packages, by one call of dpkg-query or rpm for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, sh_file

OF_DPKG = """\
of_dpkg() { command -v dpkg-query >/dev/null && { dpkg-query -W dpkg >/dev/null 2>&1; [ $? != 1 ]; }; }
"""
"""sh: whether the host's packages are dpkg's. Its program alone does not tell: debootstrap brings it to a Fedora, where it knows no package."""


@dataclass(frozen=True)
class PackageNamed(Question[str]):
    """The installed version; ABSENT when the package is not installed, or only its configuration is left."""

    name: str
    family: ClassVar[str] = "package"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"set -- {join(q.name for q in questions)}\n{sh_file(__package__, 'package.sh')}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, str | Missing]:
        if section.status:
            return {}
        installed = {}
        for line in lines_of(section.stdout):
            match line.split("\t"):
                case [name, "installed", version]:
                    installed[name.split(":")[0]] = version
        return {question: installed.get(question.name, Missing.ABSENT) for question in questions}
