"""Earlier runs of novaops on the host: the journal below /var/lib/novaops/runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from novaops.model.journal import BORN, RUNS, STATE, UNCONFIRMED
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of


@dataclass(frozen=True)
class Newest:
    """The newest run on the host."""

    id: str = ""
    """"" when there was none."""
    at_work: bool = False
    unconfirmed: bool = False
    """Whether something that was done under guard may still be rolled back."""

    @property
    def after(self) -> str:
        """The id of the run after which a plan holds that was made now. While a run changes the host, it holds after none."""
        return NO_RUN if self.at_work or self.unconfirmed else self.id


NO_RUN = "-"
"""The id of no run."""


class LastRun(Singleton[Newest]):
    """The newest run, asked before everything else. A plan holds only while it stays the newest one, and is not at work."""

    family: ClassVar[str] = "last-run"
    when: ClassVar[Literal["first", "meanwhile", "last"]] = "first"

    @classmethod
    def script_one(cls) -> str:
        return f"""\
{BORN}last=
[ ! -e {STATE}/last ] || last=$(cat {STATE}/last) || exit
echo "$last"
[ ! -e "{RUNS}/$last/script" ] || ! lives "{RUNS}/$last" || echo at work
! {UNCONFIRMED} || echo unconfirmed
"""

    @classmethod
    def parse_one(cls, section: Section) -> Newest | Missing:
        if section.status or not section.stdout:
            return Missing.UNKNOWN
        last, *words = lines_of(section.stdout)
        return Newest(last, at_work="at work" in words, unconfirmed="unconfirmed" in words)


class LastRunStill(LastRun):
    """The same, asked after everything else: a run may have begun meanwhile, of which `LastRun` knows nothing."""

    family: ClassVar[str] = "last-run-still"
    when: ClassVar[Literal["first", "meanwhile", "last"]] = "last"


@dataclass(frozen=True)
class PastRun:
    manifest: Mapping[str, Any]
    """As `run_script.manifest` wrote it."""
    events: tuple[str, ...]
    running: bool

    @property
    def id(self) -> str:
        return str(self.manifest["id"])

    @property
    def end(self) -> str:
        """ok, failed, refused, rolled_back, locked, stale; "running"; "cut" for a run that was killed, as by a reboot."""
        ends = [event.removeprefix("end ") for event in self.events if event.startswith("end ")]
        return ends[0] if ends else "running" if self.running else "cut"

    @property
    def applied(self) -> tuple[tuple[int, int], ...]:
        """The actions, as (step, action), that began, changed something, and were not undone by the run itself."""
        pairs = [tuple(event.split(" ")[:3]) for event in self.events]
        began = [(int(p[1]), int(p[2])) for p in pairs if p[0] == "action"]
        undone = {(int(p[1]), int(p[2])) for p in pairs if p[0] == "there"}
        undone |= {(int(e[1]), int(e[2])) for e in map(str.split, self.events) if e[0] == "undone" and e[3:] == ["0"]}
        return tuple(pair for pair in dict.fromkeys(began) if pair not in undone)


def _with_words(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the words in their places, which it has by number where they are long."""
    words = manifest.get("words", ())
    for step in manifest.get("steps", ()) if words else ():
        for action in step["actions"]:
            if "then" in action:
                action["then"] = [words[word] if isinstance(word, int) else word for word in action["then"]]
    return manifest


class Runs(Singleton[tuple[PastRun, ...]]):
    """Every run in the journal, oldest first: by the host's own count, which each run gets under its lock. Ids have the operator's clock."""

    family: ClassVar[str] = "runs"

    @classmethod
    def script_one(cls) -> str:
        return f"""\
{BORN}for run in {RUNS}/*/; do
  [ -e "$run/plan.json" ] || continue
  place=0; [ ! -s "$run/place" ] || read -r place <"$run/place"
  printf 'run\\t%s\\t' "$place"; base64 <"$run/plan.json" | tr -d '\\n'; echo
  ! {{ [ -e "$run/script" ] && lives "$run"; }} || echo running
  [ ! -e "$run/events" ] || {{ sed 's/^/event\\t/' "$run/events"; echo; }}
done
echo end
"""

    @classmethod
    def parse_one(cls, section: Section) -> tuple[PastRun, ...] | Missing:
        """Raises ValueError for what the script does not print: whoever prints nothing must not pass for a host without runs."""
        runs: list[tuple[Any, list[str], list[bool], int]] = []
        lines = [line for line in lines_of(section.stdout) if line]
        if lines[-1:] != ["end"]:
            raise ValueError("the list of runs is cut off")
        for line in lines[:-1]:
            word, _, rest = line.partition("\t")
            if word == "run":
                place, _, plan = rest.rpartition("\t")
                runs.append((_with_words(json.loads(base64.b64decode(plan))), [], [], int(place or 0)))
            elif word == "event":
                runs[-1][1].append(rest)
            elif word == "running":
                runs[-1][2].append(True)
            else:
                raise ValueError(f"this is no run: {line[:200]}")
        return tuple(PastRun(m, tuple(e), bool(r)) for m, e, r, _ in sorted(runs, key=lambda run: run[3]))
