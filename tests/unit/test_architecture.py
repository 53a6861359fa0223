"""scripts/architecture: what it leaves out, and that nothing is drawn over something else."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def script() -> Any:
    file = Path(__file__).parents[2] / "scripts/architecture"
    spec = spec_from_loader("architecture", SourceFileLoader("architecture", str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_arrows_that_follow_from_others_are_left_out(script: Any) -> None:
    imports = {"a": frozenset("bcd"), "b": frozenset("c"), "c": frozenset("d")}
    assert script.reduced(imports) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_boxes_and_passing_arrows_have_their_own_room(script: Any) -> None:
    names = ["a", "bc", "def", "gh"]
    rows = [[script.Place(name, number, script.BOX[0]) for name in row] for number, row in enumerate(names)]
    arrows = script.lay_out(rows, [("a", "b"), ("a", "f"), ("b", "g"), ("c", "d"), ("c", "h"), ("d", "h"), ("b", "e")])
    assert [[place.name for place in arrow] for arrow in arrows][1:3] == [["a", "a-f", "f"], ["b", "b-g", "g"]]
    for row in rows:
        for left, right in pairwise(row):
            assert right.x - left.x >= (left.width + right.width) / 2 + script.GAP - 0.001


def test_a_package_that_is_not_explained_is_an_error(script: Any) -> None:
    with pytest.raises(SystemExit, match="say in MEANING what novaops/new is"):
        script.draw(script.Code([["new"], ["errors"]], frozenset(), {}, [], {}))
