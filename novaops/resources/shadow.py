"""The password of an account as a value that is set: its hash in the table of shadow(5), with the day of the last change."""

from __future__ import annotations

from novaops.shell import quote

_SET = """\
IFS= read -r value || exit
printf '%s:%s\\n' "$1" "${value%%:*}" | chpasswd -e || exit
case $value in
  *:*) day=${value#*:}; chage -d "${day:--1}" -- "$1" ;;
esac"""


def entry(user: str, fields: str) -> str:
    """Sh that prints these fields of the entry: 2 is the hash, 3 the day."""
    return f"getent shadow -- {quote(user)} | cut -d : -f {fields}"


def setting(user: str) -> tuple[str, ...]:
    """A command that reads HASH, or HASH:DAY to restore the day of the last change too: chpasswd(8) sets it to today."""
    return ("sh", "-c", _SET, "set-password", user)
