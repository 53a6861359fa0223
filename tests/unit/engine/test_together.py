"""Steps that are done together: which are undone when one of them fails."""

from __future__ import annotations

import pytest

from novaops.engine.planner import first_undone
from novaops.model.plan import Step


@pytest.mark.parametrize(
    ("words", "firsts"),
    [
        ([], []),
        (["", "", ""], [0, 1, 2]),
        (["", "a", "a", ""], [0, 1, 1, 3]),
        (["a", "", "a", "b", "b"], [0, 0, 0, 3, 3]),
        (["a", "b", "a", "b"], [0, 0, 0, 0]),
        (["b", "a", "b", "a"], [0, 0, 0, 0]),
    ],
)
def test_first_undone(words: list[str], firsts: list[int]) -> None:
    """Those between two that belong together are undone with them; and ranges that overlap are one."""
    assert first_undone([Step(str(number), (), (), together=word) for number, word in enumerate(words)]) == firsts
