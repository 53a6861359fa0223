"""What a VM costs: the sums are those of the dated file, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from novaops.errors import UsageError
from novaops.features.eve.facts.site import EveSite
from novaops.features.eve.prices import Use, cheaper, cost, like, machine_types, named, prices
from novaops.features.eve.sizing import GIB, class_named, needed
from tests.unit.features.eve.support import found, host, wish


def use(machine: str, **fields: Any) -> Use:
    return replace(Use(named(machine), "pd-standard", 50, 3), **fields)


@pytest.mark.parametrize(
    ("machine", "hourly"),
    [("n2-standard-4", 0.194236), ("n1-standard-4", 0.189999), ("n2-highmem-4", 0.262028), ("n2-standard-8", 0.388472)],
)
def test_a_type_costs_its_processors_and_its_memory(machine: str, hourly: float) -> None:
    assert named(machine).hourly == pytest.approx(hourly, abs=1e-6)


@pytest.mark.parametrize("credit", [float("inf"), float("nan"), -1.0, 1e300])
def test_a_credit_is_a_number_to_reckon_with(credit: float) -> None:
    with pytest.raises(UsageError, match="--credit is no number to reckon with"):
        wish(credit=credit)


@pytest.mark.parametrize(
    ("of", "total"),
    [
        # 2160 h at 0.194236, less 20 %; 3 x 2.00 for the disk; 2160 x 0.005 for the address
        (use("n2-standard-4"), 352.52),
        # 2160 h at 0.189999, less 30 %
        (use("n1-standard-4"), 304.08),
        # a third of a month: the first quarter at the whole price, a twelfth at 86.78 %
        (use("n2-standard-4", hours_a_day=8), 144.83),
        # 6 h a day are a quarter of a month: no discount; 540 h in three months
        (use("n2-standard-4", hours_a_day=6), 540 * 0.194236 + 6 + 540 * 0.005),
        (use("n2-standard-4", months=1), 352.52 / 3),
        # the disk alone differs: 50 x (0.17 - 0.04) a month
        (use("n2-standard-4", disk="pd-ssd"), 352.52 + 3 * 6.5),
        (use("n2-standard-4", disk_gb=100), 352.52 + 6),
    ],
)
def test_the_cost(of: Use, total: float) -> None:
    assert cost(of).total == pytest.approx(total, abs=0.01)


NOTHING = needed(class_named(None), 0)


def test_the_seeds_vm_is_53_dollars_over_its_credit_and_what_saves_it() -> None:
    trial = prices().trial
    of = use("n2-standard-4")
    assert (trial.usd, trial.days) == (300, 90)
    assert round(cost(of).total - trial.usd) == 53
    assert cost(of).days(trial.usd) == 76
    assert [(how, round(one.total)) for how, one in cheaper(of, NOTHING)] == [
        ("n1-standard-4 (15 GB)", 304),
        ("stopped for 16 of 24 hours", 145),
    ]
    with_ssd = [(how, round(one.total)) for how, one in cheaper(replace(of, disk="pd-ssd"), NOTHING)]
    assert with_ssd[0] == ("with pd-standard instead of pd-ssd", 353)


def test_what_is_cheapest_is_not_called_dearer() -> None:
    of = use("n1-standard-4")
    assert all(one.total < cost(of).total for _, one in cheaper(of, NOTHING))


@pytest.mark.parametrize(
    ("processors", "memory", "machine"),
    [
        (4, 15.6, "n2-standard-4"),
        (4, 14.7, "n1-standard-4"),
        (4, 31.3, "n2-highmem-4"),
        (8, 31.3, "n2-standard-8"),
        (3, 15.6, None),
        (4, 7.7, None),
    ],
)
def test_the_type_of_a_host_that_does_not_say_it(processors: int, memory: float, machine: str | None) -> None:
    found_type = like(processors, int(memory * GIB))
    assert (found_type.name if found_type else None) == machine


def test_every_type_has_a_price_and_a_name_of_its_own() -> None:
    names = [one.name for one in machine_types()]
    assert len(names) == len(set(names)) == 24
    assert all(one.hourly > 0 for one in machine_types())


@pytest.mark.parametrize(
    ("fields", "wanted", "verdict", "text", "fix"),
    [
        (
            {"cloud": "google"},
            {"months": 3, "credit": 300.0},
            "note",
            "about 353 USD for 3 months of this, … n2-standard-4, … all the time: 53 over the credit of 300 (it lasts 76 days)",
            "cheaper: n1-standard-4 (15 GB): 304 USD, 4 over the credit of 300; stopped for 16 of 24 hours: 145 USD, 155 of 300 left",
        ),
        (
            {"cloud": "google"},
            {"credit": 300.0},
            "note",
            "about 353 USD for 3 months of this, which looks like Google's n2-standard-4",
            "cheaper: ",
        ),
        (
            {"cloud": "google"},
            {"months": 2, "credit": 300.0},
            "ok",
            "about 235 USD for 2 months of this, which looks like Google's n2-standard-4, with 50 GB",
            "",
        ),
        (
            {"cloud": "google"},
            {},
            "ok",
            "about 118 USD for a month of this, which looks like Google's n2-standard-4, … running all the time; an estimate",
            "",
        ),
        (
            {"cloud": "google"},
            {"nodes": 20, "months": 1},
            "ok",
            "about 229 USD for a month of Google's n2-standard-8, with 50 GB of pd-standard",
            "",
        ),
        (
            {"cloud": "google"},
            {"image_class": "firewall", "nodes": 60, "months": 1},
            "ok",
            "Google's n2-highmem-64, with 136 GB of pd-standard",
            "",
        ),
        (
            {"cloud": "azure"},
            {"months": 1},
            "ok",
            "about 118 USD for a month of Google's n2-standard-4, with 50 GB of pd-standard, running",
            "",
        ),
        (
            {"cloud": "google", "processors": 3},
            {},
            "ok",
            "about 118 USD for a month of Google's n2-standard-4, with 50 GB of pd-standard",
            "",
        ),
        (
            {"cloud": "google", "memory": int(14.7 * GIB)},
            {},
            "ok",
            "about 101 USD for a month of this, which looks like Google's n1-standard-4, with",
            "",
        ),
    ],
)
def test_what_a_host_costs(fields: dict[str, Any], wanted: dict[str, Any], verdict: str, text: str, fix: str) -> None:
    (finding,) = found("cost", host(**fields), wish(**wanted))
    assert finding.verdict == verdict
    assert all(part in finding.text for part in text.split(" … "))
    assert finding.text.endswith("an estimate, with prices of 2026-11-26")
    assert finding.fix.startswith(fix)
    assert bool(fix) == bool(finding.fix)


def test_what_is_cheaper_holds_the_nodes_too() -> None:
    """A machine that has more memory than the other may be cheaper."""
    of = use("n2-standard-4")
    for nodes, offered in ((10, True), (16, False)):
        ways = [how for how, _ in cheaper(of, needed(class_named(None), nodes))]
        assert any(how.startswith("n1-standard-4") for how in ways) == offered
        assert "stopped for 16 of 24 hours" in ways


def test_a_full_disk_is_no_reason_for_a_larger_machine() -> None:
    full = EveSite("", "", "/", 50 * GIB, 13 * GIB)
    (finding,) = found("cost", host(cloud="google", site=full), wish(nodes=20))
    assert "looks like Google's n2-standard-4" in finding.text


def test_elsewhere_a_cost_is_only_told_to_those_who_ask() -> None:
    assert found("cost", host(cloud="azure", site=EveSite("", "", "/", GIB, GIB))) == []
