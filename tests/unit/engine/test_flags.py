"""What flags say of an entry of the inventory."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.engine.playbooks import with_flags


@pytest.mark.parametrize(
    ("entry", "flags", "both"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        (
            {"auth": {"basic": {"anna": "env:A"}}},
            {"auth": {"basic": {"bert": "env:B"}}},
            {"auth": {"basic": {"anna": "env:A", "bert": "env:B"}}},
        ),
        (
            {"auth": {"basic": {"anna": "env:A"}}},
            {"auth": {"from": "192.0.2.1"}},
            {"auth": {"basic": {"anna": "env:A"}, "from": "192.0.2.1"}},
        ),
        ({"auth": {"basic": {"anna": "env:A"}}}, {"auth": None}, {"auth": None}),
        ({"auth": None}, {"auth": {"token": "env:T"}}, {"auth": {"token": "env:T"}}),
    ],
)
def test_a_part_is_said_and_the_rest_stays(entry: dict[str, Any], flags: dict[str, Any], both: dict[str, Any]) -> None:
    assert with_flags(entry, flags) == both
