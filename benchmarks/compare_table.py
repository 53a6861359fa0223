"""What benchmarks/run has measured, as tables: medians for each work and tool, and the goals with what was reached. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

BEGIN, END = "<!-- benchmarks/run --write -->\n", "<!-- end of benchmarks/run -->\n"
"""What is between them in benchmarks/README.md is written anew."""

LABELS = {
    "ssh": "`ssh host true`",
    "novaops": "novaops",
    "novaops-warm": "novaops, warm",
    "pyinfra": "pyinfra",
    "mitogen": "Ansible + Mitogen",
    "ansible": "Ansible",
    "typer": "`import typer`",
}
"""In the order of the columns."""


@dataclass(frozen=True)
class Case:
    """What is measured: on so many hosts, over a link with such a round trip; on no host, by its name alone."""

    work: str
    hosts: int = 1
    link_ms: int = 0

    def __str__(self) -> str:
        where = "1 host" if self.hosts == 1 else f"{self.hosts} hosts"
        return f"{self.work}, {where}, {self.link_ms} ms" if self.hosts else self.work


@dataclass
class Measurement:
    """How long a tool took, in seconds for each round; or why there is no such time."""

    case: Case
    tool: str
    seconds: list[float] = field(default_factory=list)
    failed: str = ""

    @property
    def median(self) -> float | None:
        """In seconds; None for what failed, or was not measured."""
        return statistics.median(self.seconds) if self.seconds and not self.failed else None


@dataclass
class Result:
    """One run. `about` says on what: machine, versions, load."""

    about: dict[str, str]
    measurements: list[Measurement]

    def dump(self) -> str:
        return json.dumps({"about": self.about, "measurements": [asdict(one) for one in self.measurements]}, indent=1) + "\n"

    @classmethod
    def load(cls, text: str) -> Result:
        """Raises ValueError, KeyError or TypeError for what `dump` has not written."""
        data: dict[str, Any] = json.loads(text)
        return cls(data["about"], [Measurement(**{**one, "case": Case(**one["case"])}) for one in data["measurements"]])

    def median(self, case: Case, tool: str) -> float | None:
        return next((one.median for one in self.measurements if (one.case, one.tool) == (case, tool)), None)

    @property
    def cases(self) -> list[Case]:
        return list(dict.fromkeys(one.case for one in self.measurements))

    def tools(self, case: Case | None = None) -> list[str]:
        """Those that were measured, in the order of the columns."""
        seen = {one.tool for one in self.measurements if case in {None, one.case}}
        return [tool for tool in LABELS if tool in seen]


@dataclass(frozen=True)
class Goal:
    """`tool` takes at most `limit` times as long as `against`; or, with `faster`, `against` at least `limit` times as long as `tool`."""

    case: Case
    against: str
    limit: float
    tool: str = "novaops"
    faster: bool = False

    def ratio(self, result: Result) -> float | None:
        """None where one of the two was not measured."""
        ours, theirs = result.median(self.case, self.tool), result.median(self.case, self.against)
        if ours is None or theirs is None:
            return None
        return theirs / ours if self.faster else ours / theirs

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.faster else ratio <= self.limit


FILES = "no-op of 13 resources"
"""Packages, folders and files alone. All endpoints of a fleet are one host, which would prove its sites once for each of them."""

NEAR, FAR, MANY, HELP = Case("no-op"), Case("no-op", link_ms=200), Case(FILES, hosts=100), Case("`novaops --help`", hosts=0)
FIRST = Case("first apply")
GOALS = (
    Goal(FAR, "ssh", 1.0),
    Goal(FAR, "ssh", 0.35, tool="novaops-warm"),
    Goal(NEAR, "ssh", 1.5),
    Goal(NEAR, "ssh", 1.0, tool="novaops-warm"),
    Goal(FAR, "pyinfra", 8, faster=True),
    Goal(FAR, "ansible", 16, faster=True),
    Goal(NEAR, "pyinfra", 7, faster=True),
    Goal(NEAR, "ansible", 25, faster=True),
    Goal(FIRST, "ansible", 5, faster=True),
    Goal(FIRST, "pyinfra", 2, faster=True),
    Goal(MANY, "ssh", 0.4),
    Goal(MANY, "pyinfra", 5, faster=True),
    Goal(HELP, "typer", 1.3),
)


def times(result: Result) -> Iterator[str]:
    """A row for each case: medians in seconds. What failed is named below the table."""
    tools = result.tools()
    yield f"| seconds, medians | {' | '.join(LABELS[tool] for tool in tools)} |"
    yield "|---|" + "---|" * len(tools)
    for case in result.cases:
        yield f"| {case} | {' | '.join(_cell(result, case, tool) for tool in tools)} |"
    failed = [one for one in result.measurements if one.failed]
    if failed:
        yield ""
        yield from (f"- {LABELS[one.tool]}, {one.case}: failed: {one.failed}" for one in failed)


def _cell(result: Result, case: Case, tool: str) -> str:
    found = next((one for one in result.measurements if (one.case, one.tool) == (case, tool)), None)
    if found is None:
        return ""
    return "failed" if found.median is None else f"{found.median:.2f}"


def goals(result: Result, wanted: Sequence[Goal] = GOALS) -> Iterator[str]:
    """A row for each goal whose two sides were measured."""
    yield "| work | | against | goal | ratio | met |"
    yield "|---|---|---|---|---|---|"
    for goal in wanted:
        ratio = goal.ratio(result)
        if ratio is not None:
            aim = f"≥ {goal.limit:g} × faster" if goal.faster else f"≤ {goal.limit:g} ×"
            met = "yes" if goal.met(ratio) else "no"
            yield f"| {goal.case} | {LABELS[goal.tool]} | {LABELS[goal.against]} | {aim} | {ratio:.2f} × | {met} |"


def text(result: Result) -> str:
    """Both tables, and on what they were measured."""
    about = "; ".join(f"{key} {value}" for key, value in result.about.items())
    return "\n".join([*times(result), "", *goals(result), "", f"{about}.", ""])


def written(readme: str, result: Result) -> str:
    """The page with the tables of this run. Raises ValueError where it has no place for them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"it has no place for the tables: the lines {BEGIN.strip()} and {END.strip()}")
    return before + begin + "\n" + text(result) + "\n" + end + after


def missed(result: Result, wanted: Iterable[Goal] = GOALS) -> list[Goal]:
    """The goals that were measured and not met."""
    return [goal for goal in wanted if (ratio := goal.ratio(result)) is not None and not goal.met(ratio)]
