"""The sites that novaops set up on a host, as they are now: what their files say of them, and what their upstreams answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section

SECONDS = 8
"""How long an upstream may take."""

_ERRORS = 3
"""The last lines of the error log that are of interest."""


@dataclass(frozen=True)
class Reached:
    """An upstream, asked by the host itself."""

    address: str
    status: int
    """The HTTP status it answered; 0 when it did not."""
    trouble: str


@dataclass(frozen=True)
class SiteState:
    name: str
    bases: tuple[str, ...]
    """What clients' URLs begin with."""
    certificate: str
    """Where it is, "" without TLS."""
    chain: str = field(repr=False)
    """What is in there."""
    upstreams: tuple[Reached, ...]
    errors: tuple[str, ...]
    """The last lines of its error log."""


@dataclass(frozen=True)
class Served:
    running: bool
    now: int
    """The host's time, in seconds of 1970."""
    sites: tuple[SiteState, ...]


@dataclass(frozen=True)
class SiteStates(Question[Served]):
    family: ClassVar[str] = "sites"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """All upstreams of all sites are asked at the same time."""
        del questions
        return f"""\
printf 'now\\t%s\\n' "$(date +%s)"
! systemctl is-active -q nginx.service || echo running
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file"); certificate=$(sed -n 's/^# certificate //p' "$file"); probe=$(sed -n 's/^# probe //p' "$file")
  number=0
  for upstream in $(sed -n 's/^# upstream //p' "$file"); do
    number=$((number + 1))
    case $upstream in
      unix:*) set -- --unix-socket "${{upstream#unix:}}" http://localhost/ ;;
      *) if [ -n "$probe" ]; then set -- "https://$upstream$probe"; else set -- "http://$upstream/"; fi ;;
    esac
    {{
      said=$(curl -q -s -o /dev/null --noproxy '*' -m {SECONDS} -w '%{{http_code}}|%{{errormsg}}' "$@" 2>/dev/null)
      printf 'upstream\\t%s\\t%s\\t%s\\n' "$upstream" "${{said%%|*}}" "${{said#*|}}" >"$folder/$site.$number"
    }} &
  done
done
wait
for file in /etc/nginx/conf.d/novaops-*.conf; do
  case $file in *.http.conf) continue ;; esac
  [ -e "$file" ] || continue
  site=$(sed -n 's/^# site //p' "$file")
  printf 'site\\t%s\\n' "$site"
  sed -n 's/^# \\(base\\|certificate\\) /\\1\\t/p' "$file"
  certificate=$(sed -n 's/^# certificate //p' "$file")
  [ ! -r "$certificate" ] || printf 'chain\\t%s\\n' "$(base64 -w 0 <"$certificate")"
  for answer in "$folder/$site".[0-9]*; do [ ! -e "$answer" ] || cat "$answer"; done
  tail -n {_ERRORS} "/var/log/nginx/novaops-$site.error.log" 2>/dev/null | sed 's/^/error\\t/'
done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Served | Missing]:
        lines = [line.split("\t") for line in section.stdout.splitlines()]
        begins = [number for number, line in enumerate(lines) if line[0] == "site"]
        sites = [_site(lines[begin:end]) for begin, end in zip(begins, [*begins[1:], len(lines)], strict=False)]
        now = next((int(line[1]) for line in lines if line[0] == "now"), None)
        return {} if now is None else dict.fromkeys(questions, Served(["running"] in lines, now, tuple(sites)))


def _site(lines: Sequence[Sequence[str]]) -> SiteState:
    def all_of(word: str) -> list[str]:
        return ["\t".join(line[1:]) for line in lines if line[0] == word]

    answers = [line for line in lines if line[0] == "upstream"]
    return SiteState(
        name=lines[0][1],
        bases=tuple(all_of("base")),
        certificate=next(iter(all_of("certificate")), ""),
        chain=base64.b64decode("".join(all_of("chain"))).decode("utf-8", "replace"),
        upstreams=tuple(Reached(address, int(status or 0), trouble) for _, address, status, trouble in answers),
        errors=tuple(all_of("error")),
    )
