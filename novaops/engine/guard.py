"""The dead man's switch: what could cut somebody off is taken back by the host itself, unless a fresh login confirms it.

Before the first step of a guarded stretch the run arms a timer of the host's own. After the last one it waits at its
door, a folder in which everybody may make a file but nobody can look, for one whose name only the operator's side knows and
makes over a fresh connection. When the timer goes off first, the host is booted meanwhile, or a second word says that the login failed, the
stretch is taken back. Whoever removes the file `open` first decides, as long as he lives: that needs no room on a full disk.
Pure: this gives the sh for both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from novaops.model.journal import RUNS, STATE

if TYPE_CHECKING:  # and more is imported where it is needed: the command line's help names the seconds below
    from novaops.secret import Secret

SECONDS = 90
"""How long the host waits for the fresh login, unless told otherwise."""

LEAST = 10
"""Seconds. With less, a login over a slow link would come too late."""

_AT_BOOT = "/etc/systemd/system/novaops-guard.service"
"""One name for all: only one run at a time has the host."""

_WANTS = "/etc/systemd/system/multi-user.target.wants"

_SAME_BOOT = '[ "$(cut -d " " -f 1 {run}/born)" = "$(cat /proc/sys/kernel/random/boot_id)" ]'

Answer = Literal["keep", "take back"]


@dataclass(frozen=True)
class Guard:
    word: Secret
    """What confirms: made for one run, and known to the operator's side alone until it is said."""
    seconds: int = SECONDS

    def answer(self, run: str, stretch: int, answer: Answer) -> str:
        """The script that says so at the door, while there is one. It needs no rights: the one who has just logged in can run it."""
        return f"[ ! -d {confirm_dir(run)} ] || : >{confirm_dir(run)}/{self.name(stretch, answer)}\n"

    def name(self, stretch: int, answer: Answer) -> str:
        """The file at the door that means this answer. Nobody can list them, and nobody else can guess one."""
        from hashlib import sha256

        return sha256(f"{answer} {stretch} {self.word.reveal()}".encode("utf-8", "surrogateescape")).hexdigest()

    def names(self, stretches: int) -> str:
        """Both answers of each stretch, as branches of a sh case."""
        return "\n".join(f"    {n}) keep={self.name(n, 'keep')} back={self.name(n, 'take back')} ;;" for n in range(stretches))


def confirm_dir(run: str) -> str:
    """Where the run waits for the word."""
    return f"/run/novaops-{run}"


def waits(run: str) -> str:
    """A test in sh: whether the run still waits there. It needs no rights."""
    return f"[ -d {confirm_dir(run)} ]"


def library(run: str, guard: Guard, stretches: int) -> str:
    """The functions of the run's script: `arm`, `hold`, and `fire`, which is what the timer runs.

    They stand on the script's own event, take_back_all, born and finish. `$stretch` numbers the stretch at hand, and
    `$begin` is its first step.
    """
    return f"""\
door={confirm_dir(run)}
arm() {{ # from now on the host takes the stretch back by itself
  rm -rf "$door"; mkdir -m 1733 "$door" && : >"$run/open.$stretch" && echo "$stretch $begin" >"$run/armed" || return
  if [ -d /run/systemd/system ]; then # no timer outlives a reboot, but this does
    mkdir -p {_WANTS} && printf '%s\n' '[Unit]' 'Description=novaops takes back what nobody confirmed' \
      'After=ssh.service sshd.service ssh.socket' '[Service]' Type=oneshot "ExecStart=/bin/sh $run/script fire $stretch" >{_AT_BOOT} &&
      ln -s -f {_AT_BOOT} {_WANTS}/ && flush {_AT_BOOT} || return
  fi
  flush "$run" # a reset loses what is not on disk, and a guard without its script, or with an empty one, takes nothing back
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --unit="novaops-guard-{run}-$stretch" --description='novaops guard of run {run}' \\
      --on-active={guard.seconds} --timer-property=AccuracySec=100ms /bin/sh "$run/script" fire "$stretch"
  then :
  else
    setsid sh -c 'echo $$ >"$1/sleeper"; sleep {guard.seconds}; exec sh "$1/script" fire "$2"' sh "$run" "$stretch" \\
      </dev/null >/dev/null 2>&1 9>&- &
  fi
}}
disarm() {{ forget; rm -f "$run/armed"; }}
forget() {{
  [ ! -s "$run/sleeper" ] || [ "$(cat "$run/sleeper")" = $$ ] || kill -s TERM -- "-$(cat "$run/sleeper")" 2>/dev/null
  [ ! -d /run/systemd/system ] || systemctl --quiet stop "novaops-guard-{run}-$stretch.timer" 2>/dev/null
  rm -rf "$door"; rm -f "$run/sleeper" "$run/holding" {_AT_BOOT} {_WANTS}/{_AT_BOOT.rpartition("/")[2]}
}}
hold() {{ # until a fresh login has said the word, or the stretch is taken back
  case $stretch in
{guard.names(stretches)}
  esac
  : >"$run/holding"; event "guarded $stretch {guard.seconds}"
  until [ ! -e "$run/open.$stretch" ]; do
    if [ -e "$door/$keep" ]; then ! rm "$run/open.$stretch" 2>/dev/null || {{ event "confirmed $stretch"; disarm; return; }}
    elif [ -e "$door/$back" ]; then ! rm "$run/open.$stretch" 2>/dev/null || {{ take_back_all; disarm; finish rolled_back; }}
    else sleep 0.2
    fi
  done
  until grep -q '^end ' "$run/events"; do sleep 0.2; done # the host stays this run's until the guard has done its work
  exit
}}
fire() {{ # STRETCH: not a later one, when this one was confirmed at the last moment
  read -r stretch begin 2>/dev/null <"$run/armed" && [ "$stretch" = "$1" ] || exit 0
  pid=$(cat "$run/pid"); lives() {{ [ "$(born "$pid")" = "$(cat "$run/born")" ]; }}
  rm "$run/open.$stretch" 2>/dev/null || ! lives || exit 0
  if ! lives || [ ! -e "$run/holding" ]; then # it is dead, or it hangs
    ! lives || kill -s KILL -- "-$pid" 2>/dev/null
    exec 9>>{STATE}/lock; flock 9
    [ -e "$run/armed" ] || exit 0 # another guard was at it
    if grep -q "^confirmed $stretch\\$" "$run/events"; then disarm; exit 0; fi
  fi
  event "fired $stretch"
  take_back_all
  forget
  finish rolled_back
}}
"""


LATE = f"""\
for armed in {RUNS}/*/armed; do
  [ -e "$armed" ] || continue
  other=${{armed%/armed}}
  [ -e "$other/script" ] || {{ rm -f "$armed"; continue; }}
  flock -u 9; sh "$other/script" fire "$(cut -d ' ' -f 1 "$armed")" 9>&- </dev/null >/dev/null 2>&1; finish stale
done
"""
"""What a run does first when it has the host: whoever has died under guard is taken back now, and not after this run's work."""

OPEN = f"ls {RUNS}/*/armed >/dev/null 2>&1"
"""A test in sh: whether something on the host is not yet confirmed, and may still be taken back."""


def fires(run: str) -> str:
    """A test in sh: whether the guard of a run still has something to decide, or is at work."""
    folder = f"{RUNS}/{run}"
    return f"{{ [ -e {folder}/armed ] && {{ {_SAME_BOOT.format(run=folder)} || [ -e {_AT_BOOT} ]; }}; }}"
