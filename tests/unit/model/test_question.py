"""Questions with one answer."""

from __future__ import annotations

from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton


class Kernel(Singleton[str]):
    family: ClassVar[str] = "kernel"

    @classmethod
    def script_one(cls) -> str:
        return "uname -r\n"

    @classmethod
    def parse_one(cls, section: Section) -> str | Missing:
        return section.stdout.strip() or Missing.UNKNOWN


class Machine(Kernel):
    family: ClassVar[str] = "machine"


def test_one_question_is_as_good_as_another_of_its_class() -> None:
    assert Kernel() == Kernel()
    assert len({Kernel(), Kernel(), Machine()}) == 2
    assert str(Kernel()) == "Kernel()"


def test_its_one_answer_is_that_of_the_family() -> None:
    assert Kernel.script([Kernel()]) == "uname -r\n"
    assert Kernel.parse([Kernel()], Section("6.1\n", "", 0)) == {Kernel(): "6.1"}
    assert Kernel.parse([Kernel()], Section("\n", "", 0)) == {}, "what is not known is left out"
