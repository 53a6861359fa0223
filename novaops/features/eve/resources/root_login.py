"""How root may log in over ssh. The packages write `PermitRootLogin yes` into sshd's main file, with each upgrade
anew. A file that is read first outweighs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.file import FileAt, text_at
from novaops.facts.sshd import Sshd, SshdEffective, SshdState
from novaops.features.eve.paths import SSHD
from novaops.formats.sshd_drop_in import MAIN
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.resources.sshd_file import TESTS, refuse_other_main, refuse_unusable, taken_up
from novaops.shell import lines_of

_KEYWORD = "PermitRootLogin"
_OTHER_NAMES = {"without-password": "prohibit-password"}

BACK = rf"""
main={MAIN}; back=$(mktemp) || exit; trap 'rm -f "$back"' EXIT
lines=$lines awk '
  BEGIN {{ count = split(ENVIRON["lines"], was, "\n") }}
  /^#?{_KEYWORD}/ {{ n++; if ($0 == "{_KEYWORD} yes") {{ if (n <= count) print was[n]; next }} }}
  {{ print }}' "$main" >"$back" || exit
cmp -s "$back" "$main" || {{ cat "$back" >"$main" && systemctl try-reload-or-restart ssh; }}
"""
"""Sh that takes back what an upgrade of the packages wrote into sshd's main file. $lines: what `main_lines` said before the packages came."""


def main_lines(sshd: Sshd) -> str:
    """The lines of sshd's main file in the place of which the packages write `PermitRootLogin yes`."""
    return "\n".join(line for line in lines_of(sshd.files.get(MAIN, "")) if line.removeprefix("#").startswith(_KEYWORD))


@dataclass(frozen=True)
class RootLogin(Resource):
    wanted: str
    """as-is: what counts now. Once the file is there: what it says."""

    @property
    def id(self) -> str:
        return "eve:root-login"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (SshdState(), SshdEffective("root"), FileAt(SSHD))

    def plan(self, facts: Facts) -> Iterator[Step]:
        sshd = facts.known(SshdState())
        refuse_unusable(sshd)
        refuse_other_main(sshd)
        if not sshd.directory:
            raise Refused(
                f"sshd of this host reads no {SSHD.rpartition('/')[0]}",
                why=f"The packages set {_KEYWORD} yes, and nothing would outweigh it.",
            )
        effective = _effective(facts)
        wanted = self._value(facts)
        text = f"# managed by novaops (novaops eve install): the packages write {_KEYWORD} yes into {MAIN}\n{_KEYWORD} {wanted}\n"
        file = File(SSHD, text, "0600", check=("sh", "-c", f'{TESTS}tests -f "$1"', "sshd-accepts", "{}"), then=taken_up(sshd))
        for step in file.plan(facts):
            yield replace(
                step, resource=self.id, changes=(Change(_KEYWORD, None if effective == wanted else effective, wanted),), risk=Risk.LOCKOUT
            )

    def verify_works(self, facts: Facts) -> None:
        wanted, found = self._value(facts), _effective(facts)
        if found != wanted:
            raise HostFailed(
                f"sshd has {_KEYWORD} {found} for root, though {SSHD} says {wanted}", fix=f"look for {_KEYWORD} in the other files of sshd"
            )

    def _value(self, facts: Facts) -> str:
        if self.wanted != "as-is":
            return self.wanted
        said = [line.split(" ")[1] for line in lines_of(text_at(SSHD, facts)) if line.startswith(f"{_KEYWORD} ")]
        return said[0] if said else _effective(facts)


def _effective(facts: Facts) -> str:
    settings = facts[SshdEffective("root")]
    said = "" if settings is Missing.ABSENT else settings.get(_KEYWORD.lower(), ("",))[0]
    return _OTHER_NAMES.get(said, said)
