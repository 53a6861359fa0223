"""Requests that a host makes to its own sites, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from novaops.features.proxy.facts.nginx import NO_AUTHORITY, TRUST_FOLDERS
from novaops.formats import curl
from novaops.model.question import Missing, Question, Section
from novaops.secret import Secret
from novaops.shell import assign, lines_of, quote, sh_file

SECONDS = 15
"""How long an answer may take, in seconds."""


ASKS = "X-Novaops-Asks: yes"
"""A header to which a site says in X-Novaops-Site which one it is."""

OUTSIDE = "outside"
"""In place of an address: the host's own one, at which others reach it. A request to it does not come from a loopback address."""

_MOST = 2000
"""How many bytes of a body are read."""


@dataclass(frozen=True)
class Answered:
    status: int
    """The HTTP status; 0 when there was no answer."""
    body: str
    """The first bytes of it."""
    error: str
    """curl's error, for a request without an answer, and for an answer that broke off."""
    logged: str
    """The last line that the error log got while it was asked."""
    exit_code: int = 0
    """curl's. An answer is whole with 0, and with TOO_LONG as far as it was read."""
    content_type: str = ""
    redirect: str = ""
    site: str = ""
    """Which site of novaops' it says it is, which every site says to who asks; "" for anybody else's answer."""
    passed: bool = False
    """Whether the site says that the request came to an upstream, and so is not answered by nginx alone."""

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    @property
    def whole(self) -> bool:
        """A stream of events may go on for as long as it likes."""
        return self.status > 0 and (self.exit_code in {0, curl.TOO_LONG} or (self.exit_code == curl.TIMED_OUT and self.is_stream))


@dataclass(frozen=True)
class SiteAnswer(Question[Answered]):
    """ABSENT where the file `after` does not exist, so that a site is asked only once it is set up; and where there is no curl."""

    url: str
    to: str
    """ADDRESS:PORT to connect to, whatever the name in the URL resolves to, ADDRESS may be OUTSIDE; "" for what the name resolves to, which is no site."""
    after: str
    certificate: str = ""
    """The only certificate file that is trusted; "" for the authorities that the host trusts."""
    headers: tuple[tuple[str, str | Secret], ...] = ()
    login: Secret | None = None
    """USER:PASSWORD."""
    log: str = ""
    """The error log, of which the last new line is read."""
    family: ClassVar[str] = "answer"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """Curl reads its options from standard input: every user of the host can read the arguments of a process."""
        values = assign(folders=" ".join(TRUST_FOLDERS), none=NO_AUTHORITY, most=str(_MOST))
        alike: dict[SiteAnswer, list[str]] = {}  # many sites may lead to one API: it is asked once
        for question in questions:
            alike.setdefault(replace(question, after=""), []).append(question.after)
        asked = "".join(_one(number, question, files) for number, (question, files) in enumerate(alike.items()))
        numbers = {question: number for number, question in enumerate(alike)}
        shown = "".join(f"show {numbers[replace(question, after='')]} {quote(question.after)}\n" for question in questions)
        return f"{values}{sh_file(__package__, 'answer.sh')}{asked}wait\n{shown}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Answered | Missing]:
        if section.status:
            return dict.fromkeys(questions, Missing.ABSENT) if section.status == 7 else {}  # noqa: PLR2004 - see script
        answers: dict[Self, Answered | Missing] = {}
        for question, line in zip(questions, lines_of(section.stdout), strict=False):
            if line == "absent":
                answers[question] = Missing.ABSENT
                continue
            exit_code, encoded = line.split("\t")
            measured, site, logged, body = _text(encoded).split("\0", 3)
            status, content_type, redirect, error = measured.split("\t", 3)
            name, _, passed = site.strip().partition(" ")
            answers[question] = Answered(
                *(int(status), body.strip(), error.strip(), logged.strip(), int(exit_code), content_type, redirect, name),
                passed=passed == "passed",
            )
        return answers


def _one(number: int, question: SiteAnswer, files: Sequence[str]) -> str:
    """The request, where one of the files is there."""
    place, _, port = question.to.rpartition(":")
    to = f'--connect-to "::$outside:{int(port)}"' if place == OUTSIDE else ""
    trusts = "host" if question.url.startswith("https:") and not question.certificate else "file"
    there = " || ".join(f"[ -e {quote(file)} ]" for file in files)
    return f"""\
if {there}; then request {number} {trusts} {quote(question.log)} {to} <<'novaops-curl' &
{_curl_config(question)}novaops-curl
fi
"""


def _curl_config(question: SiteAnswer) -> str:
    """A config file for curl: one option a line, its value in double quotes."""
    options: list[tuple[str, str]] = [
        ("url", question.url),
        ("write-out", "\t".join(f"%{{{name}}}" for name in ("http_code", "content_type", "redirect_url", "errormsg"))),
        ("max-time", str(SECONDS)),
    ]
    options += [("noproxy", "*"), ("max-filesize", "1000000")]
    if question.to and not question.to.startswith(f"{OUTSIDE}:"):
        options.append(("connect-to", f"::{question.to}"))
    if question.certificate:
        options.append(("cacert", question.certificate))
    if question.login:
        options.append(("user", question.login.reveal()))
    if question.to:
        options.append(("header", ASKS))
    for name, value in question.headers:
        options.append(("header", f"{name}: {value.reveal() if isinstance(value, Secret) else value}"))
    return curl.config(options)


def _text(encoded: str) -> str:
    import base64

    return base64.b64decode(encoded).decode("utf-8", "replace")
