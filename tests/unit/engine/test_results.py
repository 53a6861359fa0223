"""How the report of a host says what a run came to."""

from __future__ import annotations

import pytest

from novaops.engine.results import rolled_back
from novaops.engine.run import Outcome, new_run
from novaops.errors import NovaopsError, Unreachable
from novaops.model.plan import Plan

CUT = Unreachable("box: no ssh session with 192.0.2.1:22", why="Connection reset by peer", fix="look at the firewall")


@pytest.mark.parametrize(
    ("fired", "error", "what", "why"),
    [
        (False, CUT, CUT.what, CUT.why),
        (False, None, "nobody confirmed it within 10 s", "All of it"),
        (True, None, "nobody confirmed it within 10 s", "All of it"),
        (True, CUT, "nobody confirmed it within 10 s", CUT.what),
    ],
)
def test_why_a_host_put_itself_back(*, fired: bool, error: NovaopsError | None, what: str, why: str) -> None:
    """What the host says of it is the same whether novaops had begun to log in when the link was cut, or not."""
    outcome = Outcome(new_run((), "", wait=True, guard=10), "rolled_back", fired=fired, not_confirmed=error)
    report = rolled_back("box", Plan((), (), (), (), (), ()), outcome, (), 1, as_before=True)
    assert report.error is not None
    assert report.error.what == f"the fresh login did not work, and the host rolled it back: {what}"
    assert report.error.why.startswith(why)
