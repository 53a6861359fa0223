"""Which file verifies a section: one that comes with novaops, or the user's own."""

from __future__ import annotations

from pathlib import Path

from novaops.engine import report
from novaops.features.disk import checks as disk
from novaops.verify import claims as features
from novaops.verify.claims import Feature


def test_machinery_is_no_feature() -> None:
    assert list(features.known(Path())) == ["disk", "eve", "login", "proxy", "tunnel", "vpn"]
    assert features.find("running", Path()) is None
    assert features.find("__init__", Path()) is None
    assert features.find("../verify/disk", Path()) is None


def test_feature_is_hashable_although_it_remembers_its_module() -> None:
    feature = Feature("disk", Path(disk.__file__))
    assert feature.module is disk
    assert hash(feature) == hash(Feature("disk", Path(disk.__file__)))
    assert report.EXIT_CODES["unreachable"] == 5
