"""Whether EVE-NG's page and API answer, asked on the host itself and without a login."""

from __future__ import annotations

from typing import ClassVar

from novaops.features.eve.api_answer import Answer
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import sh_file


class PageSays(Singleton[str]):
    """Why the API does not answer as it does to one who is not logged in; "" where it does.

    EVE-NG connects to its database before it looks at anything else: so that works too.
    """

    family: ClassVar[str] = "eve-page"

    @classmethod
    def script_one(cls) -> str:
        return sh_file(__package__, "page.sh")

    @classmethod
    def parse_one(cls, section: Section) -> str | Missing:
        first, _, rest = section.stdout.partition("\n")
        status, _, body = rest.partition("\n")
        if first == "no curl":
            return "The host has no curl to ask it with."
        if not first.isdecimal():
            return Missing.UNKNOWN
        if first != "0" or not status.isdecimal():
            return f"{' '.join(rest.split())}.".removesuffix("..") if rest.strip() else f"curl ended with {first}."
        answer = Answer("GET /api/status", int(status), "", body.encode("utf-8", "surrogateescape"))
        return "" if answer.asks_for_login else answer.described
