"""Files of fail2ban that outweigh the one of novaops: of several for one jail, each key counts as the last file has it."""

from __future__ import annotations

from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of

JAIL_FILE = "/etc/fail2ban/jail.d/novaops.local"

_SCRIPT = r"""
for file in /etc/fail2ban/jail.d/*.local; do
  [ ! -f "$file" ] || awk '/^\[/ { own = /^\[sshd\]/ }
    own && /^(enabled|backend|journalmatch|filter|banaction|action|port|logpath)[ \t]*[=:]/ { print FILENAME; exit }' "$file"
done
"""


class LaterJails(Singleton[tuple[str, ...]]):
    """Those that say for the jail sshd whether it runs, what it reads or how it bans."""

    family: ClassVar[str] = "later-jails"

    @classmethod
    def script_one(cls) -> str:
        return _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> tuple[str, ...] | Missing:
        """fail2ban reads them last, in the order of their names (jail.conf(5))."""
        return tuple(sorted(path for path in lines_of(section.stdout) if path > JAIL_FILE))
