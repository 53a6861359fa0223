"""novaops and its peers at the same work on the same lab hosts, side by side in one run: benchmarks/run. Root and Linux.

First each tool sets up a host of its own; then all find nothing to do, by turns. A goal is a ratio of medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from benchmarks.compare_hosts import HERE, Place, Way, laboratory
from benchmarks.compare_picture import draw
from benchmarks.compare_table import FILES, HELP, Case, Measurement, Result, missed, text, written
from benchmarks.compare_tools import PEERS, TOOLS, Command, Done, Tool, by_ssh, run
from novaops import __version__
from novaops.errors import NovaopsError

README, RECORDED, PICTURE = HERE / "README.md", HERE / "result.json", HERE.parent / "docs/pictures/benchmark.svg"
WORKS = ("help", "first", "no-op")
MOST_HOSTS = {"ansible": 10, "mitogen": 10}
"""A round of 100 hosts takes Ansible longer than all the rest together."""

TIMEOUT_S = 900

Turn = tuple[str, Callable[[], Command], Callable[[Done], str]]
"""A tool's name, what it is told, and who judges what it printed."""


class Run:
    """One run: what it has measured so far."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.began = time.monotonic()
        self.tools: dict[str, Tool] = {}
        self.result = Result({}, [])

    def say(self, line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self.began:6.0f} s  {line}\n")
        sys.stderr.flush()

    def whole(self) -> Result:
        """All parts that are wanted. Ctrl-C ends it early, with what was measured until then."""
        load = os.getloadavg()[0]
        try:
            self._parts()
        except KeyboardInterrupt:
            self.say("interrupted: what follows was measured until then")
        self.result.about = {
            "novaops": __version__,
            "peers": ", ".join(dict.fromkeys(package for tool in self.tools.values() for package in tool.packages)),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors",
            "rounds": str(self.given.rounds),
            "load": f"{load:.1f} before, {os.getloadavg()[0]:.1f} after",
            "took": f"{(time.monotonic() - self.began) / 60:.0f} minutes",
        }
        return self.result

    def _parts(self) -> None:
        for name in self.given.only or TOOLS:
            self._install(TOOLS[name])
        if "help" in self.given.work:
            self._help()
        if set(self.given.work) & {"first", "no-op"} and self.tools:
            with tempfile.TemporaryDirectory() as folder, laboratory(Path(folder), self.hosts_for, self.say) as place:
                self._on_hosts(place)

    @property
    def hosts_for(self) -> tuple[str, ...]:
        """The tools that get a host of their own."""
        return tuple(dict.fromkeys(tool.on for tool in self.tools.values()))

    def _install(self, tool: Tool) -> None:
        self.say(f"install {tool.name}")
        try:
            tool.install()
            self.tools[tool.name] = tool
        except (LookupError, OSError, subprocess.CalledProcessError) as error:
            self._record(Case("installation", hosts=0), tool.name, failed=_reason(getattr(error, "stderr", "") or str(error)))

    def _help(self) -> None:
        words = {"typer": ["-c", "import typer"], "novaops": ["-m", "novaops", "--help"]}
        for _ in range(2 * self.given.rounds + 1):
            for name, more in words.items():
                self._timed(HELP, name, Command([sys.executable, *more], HERE.parent, {}), lambda _: "")
        self.say(f"{HELP}: done")

    def _on_hosts(self, place: Place) -> None:
        first = [Case("first apply", link_ms=link) for link in self.given.links] if "first" in self.given.work else []
        for case in first or [Case("first apply")]:
            for _ in range(self._rounds(case) if first else 1):
                for name in self.hosts_for:
                    self._first(place, case, name, kept=bool(first))
        if "no-op" not in self.given.work:
            return
        for link in self.given.links if 1 in self.given.hosts else []:
            self._nothing_to_do(place, Case("no-op", link_ms=link))
        for hosts in self.given.hosts:
            for link in self.given.links if hosts == 1 else self.given.links[:1]:
                self._nothing_to_do(place, Case(FILES, hosts, link))

    def _first(self, place: Place, case: Case, name: str, *, kept: bool) -> None:
        """Set the tool's host up anew. `kept`: its time counts."""
        try:
            place.reset(name)
            self.say(f"{case}: the host of {name} is as before")
            with self._way(place, name, case) as way:
                done = self._timed(case, name, self._command(place, TOOLS[name], way), lambda _: place.lacks(name), kept=kept)
        except (AssertionError, NovaopsError, OSError, subprocess.SubprocessError) as error:
            done = self._record(case, name, failed=_reason(str(error)))
        self.say(f"{case}: {name} {done}")

    def _nothing_to_do(self, place: Place, case: Case) -> None:
        """By turns. A round before them opens the connections that are to be warm; peers have none."""
        tools = [tool for tool in self.tools.values() if case.hosts <= MOST_HOSTS.get(tool.name, case.hosts)]
        with ExitStack() as links:
            ways = {name: links.enter_context(self._way(place, name, case)) for name in self.hosts_for}
            turns: list[Turn] = [("ssh", lambda: by_ssh(ways[self.hosts_for[0]]), lambda _: "")]
            turns += [(tool.name, partial(self._command, place, tool, ways[tool.on]), tool.changes) for tool in tools]
            for number in range(self._rounds(case) + 1):
                for name, command, judge in turns if number else [turn for turn in turns if turn[0] not in PEERS]:
                    done = self._timed(case, name, command(), judge, kept=number > 0)
                    self.say(f"{case}, {f'round {number}' if number else 'warm-up'}: {name} {done}")

    def _rounds(self, case: Case) -> int:
        rounds: int = self.given.rounds
        return rounds if case.work != "first apply" and case.hosts == 1 else (rounds + 1) // 2

    def _way(self, place: Place, name: str, case: Case) -> AbstractContextManager[Way]:
        delay_s = case.link_ms / 2000
        return place.many(name, case.hosts, delay_s) if case.work == FILES else place.way(name, delay_s)

    def _command(self, place: Place, tool: Tool, way: Way) -> Command:
        folder = place.folder / f"of-{tool.on}-{len(way.places)}"
        folder.mkdir(exist_ok=True)
        (folder / "office.ovpn").write_text((place.folder / "office.ovpn").read_text("utf-8"), "utf-8")
        return tool.command(way, folder, place.gateway.address)

    def _timed(self, case: Case, name: str, command: Command, judge: Callable[[Done], str], *, kept: bool = True) -> str:
        """Run it once, unless it failed before. `judge` says of what it printed why it does not count, "" for nothing."""
        found = next((one for one in self.result.measurements if (one.case, one.tool) == (case, name)), None)
        if found and found.failed:
            return "left out: it failed"
        began = time.perf_counter()
        try:
            done = run(command, TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return self._record(case, name, failed=f"no end after {TIMEOUT_S} s")
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            return self._record(case, name, failed=f"exit {done.returncode}: {_reason(done.stderr or done.stdout)}")
        if complaint := judge(done):
            return self._record(case, name, failed=complaint)
        return self._record(case, name, seconds if kept else None) or f"{seconds:.2f} s"

    def _record(self, case: Case, tool: str, seconds: float | None = None, failed: str = "") -> str:
        found = next((one for one in self.result.measurements if (one.case, one.tool) == (case, tool)), None)
        if found is None and (failed or seconds is not None):
            self.result.measurements.append(found := Measurement(case, tool))
        if found and seconds is not None:
            found.seconds.append(seconds)
        if found and failed:
            found.failed = failed
        return failed and f"failed: {failed}"


def _reason(said: str) -> str:
    """The last line that says something, as one cell of a table."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200].replace("|", "/") if lines else "it said nothing"


def _listed(text: str, allowed: Sequence[str]) -> list[str]:
    found = text.split(",")
    if wrong := next((one for one in found if one not in allowed), None):
        raise argparse.ArgumentTypeError(f"{wrong!r} is not one of {', '.join(allowed)}")
    return found


def _numbers(text: str) -> list[int]:
    try:
        found = [int(one) for one in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,10") from None
    if min(found) < 0:
        raise argparse.ArgumentTypeError(f"{min(found)} is negative")
    return found


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of no-ops on one host; first applies and many hosts get half as many")
    parser.add_argument("--hosts", type=_numbers, default=[1, 10, 100], metavar="1,10,100", help="for no-ops")
    parser.add_argument(
        "--links", type=_numbers, default=[0, 200], metavar="0,200", help="round trips in ms; many hosts have the first one"
    )
    parser.add_argument("--only", type=lambda text: _listed(text, list(TOOLS)), default=[], metavar=",".join(TOOLS))
    parser.add_argument("--work", type=lambda text: _listed(text, WORKS), default=list(WORKS), metavar=",".join(WORKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was measured")
    parser.add_argument("--recorded", type=Path, metavar="FILE", help="measure nothing: take what --json has kept")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into benchmarks/README.md and draw docs/pictures/benchmark.svg"
    )
    return parser


def main(words: Sequence[str] | None = None) -> int:
    parser = arguments()
    given = parser.parse_args(words)
    if given.rounds < 1:
        parser.error("--rounds: at least one")
    result = Result.load(given.recorded.read_text("utf-8")) if given.recorded else Run(given).whole()
    if given.json:
        given.json.write_text(result.dump(), "utf-8")
    if given.write:
        README.write_text(written(README.read_text("utf-8"), result), "utf-8")
        RECORDED.write_text(result.dump(), "utf-8")
        PICTURE.write_text(draw(result), "utf-8")
    print(text(result))
    return 1 if missed(result) or any(one.failed for one in result.measurements) else 0


if __name__ == "__main__":
    sys.exit(main())
