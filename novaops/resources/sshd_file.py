"""A file of sshd's configuration: put in place only if `sshd -t` accepts it with all the others, then sshd is reloaded."""

from __future__ import annotations

from collections.abc import Iterable

from novaops.errors import Refused
from novaops.facts.file import FileState
from novaops.facts.sshd import SSHD, Sshd
from novaops.formats.sshd_drop_in import DROP_IN, FOLDER, MAIN
from novaops.model.action import Command
from novaops.resources.directory import taken_away
from novaops.resources.file import File

TESTS = f"""{SSHD}tests() {{ ask_sshd -t "$@" || {{ printf '%s\\n' "$said"; exit 1; }}; }}
"""

_ACCEPTS = rf"""{TESTS}candidate=$1; shift
whole=$(mktemp) || exit; trap 'rm -f "$whole"' EXIT
{{ echo "Include $candidate"; cat "$sshd_main"; }} >"$whole" && tests -f "$whole"
while [ $# -gt 0 ]; do
  said=$(as_started "$sshd" -T -f "$whole" -C "user=$1,host=$2,addr=$2,laddr=127.0.0.1,lport=22")
  for line in "passwordauthentication $3" "kbdinteractiveauthentication $4"; do
    printf '%s\n' "$said" | grep -qx "$line" || {{ echo "with this file sshd would not say $line for $1 from $2"; exit 1; }}
  done
  shift 4
done"""
"""Arguments: the candidate, then USER ADDRESS and yes|no for each of the two keywords, for what sshd must say with it. It is included where
the file will be."""

_MAIN_ACCEPTS = f'{TESTS}tests -f "$1"'

_RELOAD = f"""{TESTS}tests
for word do
  case $word in
    /*) kill -HUP "$(cat "$word")" ;;
    *) timeout 30 systemctl "${{word%%:*}}" "${{word#*:}}" ;;
  esac || exit
done"""
"""Open sessions go on. A service that was stopped meanwhile is started: it was running when the plan was made."""


def refuse_unusable(sshd: Sshd) -> None:
    """Raises Refused where no file of novaops' would count: there is no sshd, or it refuses its own configuration."""
    if not sshd.program:
        raise Refused("there is no OpenSSH sshd on the host")
    if sshd.complaint:
        raise Refused(
            "sshd does not accept its own configuration as it is, and nothing was changed",
            why=sshd.complaint,
            fix="mend that first: after a restart no login would be possible at all",
        )


def refuse_other_main(sshd: Sshd) -> None:
    """Raises Refused where sshd was started with a main file that does not include the folder: it is not ours to change."""
    if sshd.config.main != MAIN and not sshd.config.includes_early(DROP_IN):
        raise Refused(
            f"sshd was started with -f {sshd.config.main}, and does not read {MAIN}",
            why=f"That file does not include {FOLDER} before it decides about logins.",
            fix="take -f out of what starts it, which systemctl cat ssh.service sshd.service shows",
        )


def drop_in(sshd: Sshd, text: str, expected: Iterable[str]) -> File:
    """Novaops' own file. `expected` are words: USER ADDRESS yes|no yes|no, for what sshd must make of it."""
    return File(DROP_IN, text, "0600", check=("sh", "-c", _ACCEPTS, "sshd-accepts", "{}", *expected), then=taken_up(sshd))


def main(sshd: Sshd, text: str, found: FileState) -> File:
    """The main file, with the mode and owner that it has."""
    accepts = ("sh", "-c", _MAIN_ACCEPTS, "sshd-accepts", "{}")
    return File(MAIN, text, found.mode, found.owner, found.group, check=accepts, then=taken_up(sshd))


def folder() -> Command:
    """Creates the folder of the drop-ins, which an old host does not have."""
    there = f"[ -d {FOLDER} ]"
    return Command(("mkdir", "-m", "0755", "--", FOLDER), holds=there, undo=taken_away(FOLDER))


def taken_up(sshd: Sshd) -> tuple[str, ...]:
    """The command that makes sshd read its configuration again. Open sessions go on."""
    return ("sh", "-c", _RELOAD, "reload-sshd", *_reload(sshd))


def _reload(sshd: Sshd) -> list[str]:
    """VERB:UNIT for systemctl, in this order, so that active units run with the new configuration; without systemd a pid file.

    A socket with Accept=yes needs nothing: its sshd reads the configuration on each connection. Behind another socket sshd is
    not reloaded: on SIGHUP it would lose the socket, and end with "Cannot bind any address" (seen with 10.0). It is stopped, and
    started when the socket has the port again, which sshd would otherwise bind itself.
    """
    active = sorted(unit for unit, state in sshd.units.items() if state in {"active", "reloading"})
    sockets = [unit for unit in active if unit.endswith(".socket")]
    services = [unit for unit in active if unit not in sockets]
    if not sockets:
        return [f"reload-or-restart:{unit}" for unit in services] or ["/run/sshd.pid"]
    return [f"{verb}:{unit}" for verb, units in (("stop", services), ("start", sockets), ("start", services)) for unit in units]
