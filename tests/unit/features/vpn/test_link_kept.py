"""`vpn up` by flags: what goes through a link leaves it only where a flag says so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from novaops.engine.planner import make_plan
from novaops.facts.file import FileAt, FileState
from novaops.features.vpn.resources.link_kept import LinkKept
from novaops.model.question import Facts, Missing

FILE = "/etc/novaops/vpn/canada.routes"
MADE = "# managed by novaops\ndevice vpn-canada\nkeep 86400\nwhen_down direct\nname a.example\nname b.example\nnetwork 192.0.2.0/24\n"
ALL = ("a.example", "b.example", "192.0.2.0/24")


@pytest.mark.parametrize(
    ("made", "routes", "removed", "when_down", "said", "refusal"),
    [
        (None, ALL, (), "unreachable", (), ""),
        (MADE, ALL, (), "direct", (), ""),
        (MADE, (*ALL, "c.example"), (), "direct", (), ""),
        (MADE, ALL[:1], (), "direct", (), "b.example, 192.0.2.0/24 would go through canada no more"),
        (MADE, ALL[:2], ("192.0.2.0/24",), "direct", (), ""),
        (MADE, ALL, (), "unreachable", (), "canada has when_down direct"),
        (MADE, ALL, (), "unreachable", ("when_down",), ""),
    ],
)
def test_nothing_leaves_a_link_by_leaving_a_flag_out(
    made: str | None, routes: tuple[str, ...], removed: tuple[str, ...], when_down: str, said: Sequence[str], refusal: str
) -> None:
    there = Missing.ABSENT if made is None else FileState("regular file", content=made.encode())
    resource = LinkKept("canada", routes, removed, when_down, says_when_down="when_down" in said)
    plan = make_plan([resource], Facts({FileAt(FILE): there}, {}))
    assert not plan.steps
    assert [refusal in error.what for _, error in plan.refusals] == ([True] if refusal else [])


def test_the_next_command_says_all_of_it() -> None:
    resource = LinkKept("canada", ("b.example", "c.example"), (), "direct", says_when_down=False)
    plan = make_plan([resource], Facts({FileAt(FILE): FileState("regular file", content=MADE.encode())}, {}))
    assert [error.fix for _, error in plan.refusals] == [
        "--routes a.example,b.example,192.0.2.0/24,c.example; or --remove-routes a.example,192.0.2.0/24"
    ]
