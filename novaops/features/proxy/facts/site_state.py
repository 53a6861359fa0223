"""The sites that novaops set up on a host: what their files say, and what they and their upstreams answer."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.providers.proof import WITHOUT_KEY
from novaops.shell import sh_file


@dataclass(frozen=True)
class Reached:
    """An answer to a request of the host itself: an upstream's, or a site's own."""

    address: str
    status: int
    """The HTTP status it answered; 0 when it did not."""
    error: str
    exit_code: int = 0
    """curl's."""
    content_type: str = ""
    redirect: str = ""
    body: str = ""
    """The first bytes of it."""
    site: str = ""
    """The site of novaops' that says the answer is its own."""


@dataclass(frozen=True)
class SiteState:
    name: str
    bases: tuple[str, ...]
    """What clients' URLs begin with."""
    certificate: str
    """Its path; "" without TLS."""
    chain: str = field(repr=False)
    """The content of the certificate file."""
    upstreams: tuple[Reached, ...]
    errors: tuple[str, ...]
    """The last lines of its error log."""
    probe: str = ""
    """What the first upstream was asked for, where that is an API; "" for a site with servers of one's own."""
    without_key: tuple[int, ...] = WITHOUT_KEY
    """How the API answers to a request without a key."""
    expects: frozenset[str] = frozenset()
    """What is known of the API beyond its status: it answers with `json`, a provider's file `described` it."""
    shown: str = field(default="", repr=False)
    """The certificate that clients are shown; "" where that could not be seen."""
    answer: Reached | None = None
    """What the site answers to a stranger; None where it could not be asked."""


@dataclass(frozen=True)
class HostSites:
    running: bool
    now: int
    """The host's time, in seconds of 1970."""
    sites: tuple[SiteState, ...]


class SiteStates(Singleton[HostSites]):
    family: ClassVar[str] = "sites"

    @classmethod
    def script_one(cls) -> str:
        return sh_file(__package__, "site_state.sh")

    @classmethod
    def parse_one(cls, section: Section) -> HostSites | Missing:
        lines = [line.split("\t") for line in section.stdout.split("\n")]
        begins = [number for number, line in enumerate(lines) if line[0] == "site"]
        sites = [_site(lines[begin:end]) for begin, end in zip(begins, [*begins[1:], len(lines)], strict=False)]
        now = next((int(line[1]) for line in lines if line[0] == "now"), None)
        return Missing.UNKNOWN if now is None else HostSites(["running"] in lines, now, tuple(sites))


def _site(lines: Sequence[Sequence[str]]) -> SiteState:
    def all_of(word: str) -> list[str]:
        return ["\t".join(line[1:]) for line in lines if line[0] == word]

    said = next(iter(all_of("without-key")), "")
    return SiteState(
        name=lines[0][1],
        bases=tuple(all_of("base")),
        certificate=next(iter(all_of("certificate")), ""),
        chain=_text("".join(all_of("chain"))),
        shown=_text("".join(all_of("shown"))),
        upstreams=tuple(_reached(line[1:]) for line in lines if line[0] == "upstream"),
        errors=tuple(_text(line) for line in all_of("error")),
        answer=next((_answer(line[1:]) for line in lines if line[0] == "answer"), None),
        probe=next(iter(all_of("probe")), ""),
        without_key=tuple(map(int, said.split())) or WITHOUT_KEY,
        expects=frozenset(" ".join(all_of("expects")).split()),
    )


def _reached(fields: Sequence[str]) -> Reached:
    """Raises ValueError where it is no answer."""
    address, exit_code, measured, body = fields
    status, content_type, redirect, error = _text(measured).split("\t", 3)
    return Reached(address, int(status or 0), error, int(exit_code), content_type, redirect, _text(body))


def _answer(fields: Sequence[str]) -> Reached:
    *fields, site = fields
    return replace(_reached(["", *fields]), site=_text(site).partition(" ")[0])


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "replace")
