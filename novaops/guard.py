"""The dead man's switch: what could cut somebody off is taken back by the host itself, unless a fresh login confirms it.

Before the first step of a guarded stretch the run arms a timer of the host's own. After the last one it waits at its
door, a file that everybody may write to, for a word that only the operator's side knows and says over a fresh
connection. When the timer goes off first, the host is booted meanwhile, or a second word says that the login failed, the
stretch is taken back. Whoever removes the file `open` first has decided: that needs no room on a full disk.
Pure: this gives the sh for both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from novaops.journal import RUNS, STATE

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
        from novaops.shell import quote

        return f"[ ! -e {door(run)} ] || printf '%s\\n' {quote(self._said(stretch, answer))} >{door(run)}\n"

    def _said(self, stretch: int, answer: Answer) -> str:
        return f"{answer} {stretch} {self.word.reveal()}"

    def _expected(self, stretch: int, answer: Answer) -> str:
        from hashlib import sha256

        return sha256(f"{self._said(stretch, answer)}\n".encode()).hexdigest()

    def cases(self, stretches: int) -> str:
        """The patterns by which the run knows what was said, as branches of a sh case."""
        answers: tuple[tuple[Answer, str], ...] = (("keep", "keep"), ("take back", "back"))
        return "\n".join(f"    {n}:{self._expected(n, answer)}) echo {word} ;;" for n in range(stretches) for answer, word in answers)


def waits(run: str) -> str:
    """A script that ends well while the run still waits for the word."""
    return f"[ -e {door(run)} ]\n"


def door(run: str) -> str:
    """Where the run waits for the word."""
    return f"/run/novaops-{run}"


def library(run: str, guard: Guard, stretches: int) -> str:
    """The functions of the run's script: `arm`, `hold`, and `fire`, which is what the timer runs.

    They stand on the script's own event, take_back_all, born and finish. `$stretch` numbers the stretch at hand, and
    `$begin` is its first step.
    """
    return f"""\
door={door(run)}
arm() {{ # from now on the host takes the stretch back by itself
  rm -f "$door"; ( umask 0; : >"$door" ) && : >"$run/open.$stretch" && echo "$stretch $begin" >"$run/armed" || return
  if [ -d /run/systemd/system ]; then # no timer outlives a reboot, but this does
    mkdir -p {_WANTS} && printf '%s\n' '[Unit]' 'Description=novaops takes back what nobody confirmed' \
      'After=ssh.service sshd.service ssh.socket' '[Service]' Type=oneshot "ExecStart=/bin/sh $run/script fire $stretch" >{_AT_BOOT} &&
      ln -s -f {_AT_BOOT} {_WANTS}/ || return
  fi
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --unit="novaops-guard-{run}-$stretch" --description='novaops guard of run {run}' \\
      --on-active={guard.seconds} --timer-property=AccuracySec=100ms /bin/sh "$run/script" fire "$stretch"
  then :
  else
    setsid sh -c 'echo $$ >"$1/sleeper"; sleep {guard.seconds}; exec sh "$1/script" fire "$2"' sh "$run" "$stretch" \\
      </dev/null >/dev/null 2>&1 9>&- &
  fi
}}
disarm() {{
  [ ! -s "$run/sleeper" ] || kill -s TERM -- "-$(cat "$run/sleeper")" 2>/dev/null
  [ ! -d /run/systemd/system ] || systemctl --quiet stop "novaops-guard-{run}-$stretch.timer" 2>/dev/null
  forget; rm -f "$run/armed"
}}
forget() {{ rm -f "$door" "$run/sleeper" "$run/holding" {_AT_BOOT} {_WANTS}/{_AT_BOOT.rpartition("/")[2]}; }}
heard() {{
  [ -s "$door" ] || return
  case "$stretch:$(head -c 200 "$door" | sha256sum | cut -d ' ' -f 1)" in
{guard.cases(stretches)}
  esac
}}
hold() {{ # until a fresh login has said the word, or the stretch is taken back
  : >"$run/holding"; event "guarded $stretch {guard.seconds}"
  until [ ! -e "$run/open.$stretch" ]; do
    case "$(heard)" in
      keep) ! rm "$run/open.$stretch" 2>/dev/null || {{ disarm; event "confirmed $stretch"; return; }} ;;
      back) ! rm "$run/open.$stretch" 2>/dev/null || {{ take_back_all; disarm; finish rolled_back; }} ;;
      *) sleep 0.2 ;;
    esac
  done
  until grep -q '^end ' "$run/events"; do sleep 0.2; done # the host stays this run's until the guard has done its work
  exit
}}
fire() {{ # STRETCH: not a later one, when this one was confirmed at the last moment
  read -r stretch begin 2>/dev/null <"$run/armed" && [ "$stretch" = "$1" ] || exit 0
  rm "$run/open.$stretch" 2>/dev/null || ! {_SAME_BOOT.format(run="$run")} || exit 0
  event "fired $stretch"
  pid=$(cat "$run/pid")
  if [ "$(born "$pid")" = "$(cat "$run/born")" ] && [ -e "$run/holding" ]; then :
  else # it hangs, or it is dead
    [ "$(born "$pid")" != "$(cat "$run/born")" ] || kill -s KILL -- "-$pid" 2>/dev/null
    exec 9>>{STATE}/lock; flock 9
  fi
  take_back_all
  forget
  finish rolled_back
}}
"""


def fires(run: str) -> str:
    """A test in sh: whether the guard of a run still has something to decide, or is at work."""
    folder = f"{RUNS}/{run}"
    return f"{{ [ -e {folder}/armed ] && {{ {_SAME_BOOT.format(run=folder)} || [ -e {_AT_BOOT} ]; }}; }}"
