"""Where Apache is configured to listen, whether it runs or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of


@dataclass(frozen=True)
class Listen:
    unit: str
    port: int
    address: str = ""
    """"" for all of the host."""


class ApacheListens(Singleton[tuple[Listen, ...]]):
    """What stands under a condition, such as <IfModule ssl_module>, is left out: whether that holds is not known here."""

    family: ClassVar[str] = "apache-listens"

    @classmethod
    def script_one(cls) -> str:
        return """\
listens() { # UNIT FILE...
  unit=$1; shift
  awk -v unit="$unit" 'FNR == 1 { inside = 0 } tolower($1) ~ /^<if/ { inside++ } tolower($1) ~ /^<\\/if/ { inside-- }
    !inside && tolower($1) == "listen" { print unit, $2 }' "$@" 2>/dev/null
}
listens apache2.service $(ls -d /etc/apache2/*.conf /etc/apache2/*-enabled/*.conf 2>/dev/null) </dev/null
listens httpd.service $(ls -d /etc/httpd/conf/httpd.conf /etc/httpd/conf.d/*.conf 2>/dev/null) </dev/null
echo end
"""

    @classmethod
    def parse_one(cls, section: Section) -> tuple[Listen, ...] | Missing:
        *lines, end = lines_of(section.stdout) or [""]
        return tuple(_listen(line) for line in lines if line[-1:].isdecimal()) if end == "end" else Missing.UNKNOWN


def _listen(line: str) -> Listen:
    unit, place = line.split(" ")
    address, _, port = place.rpartition(":")
    return Listen(unit, int(port), "" if address == "*" else address.strip("[]"))
