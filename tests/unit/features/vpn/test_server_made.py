"""`vpn serve` by flags: what no flag names of a server stays as its files on the host have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from novaops.cli.options import Options
from novaops.engine import inventory
from novaops.engine.desired import HostView
from novaops.engine.own_file import shipped
from novaops.engine.planner import make_plan
from novaops.engine.playbooks import Playbooks
from novaops.engine.templates import Templates
from novaops.errors import UsageError
from novaops.facts.file import FileState
from novaops.features.vpn import server_made
from novaops.features.vpn.resources.server_kept import ServerKept
from novaops.features.vpn.server import Renewal, resources
from novaops.features.vpn.server_actions import ServeOptions
from novaops.features.vpn.settings import Server
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing
from novaops.resources.file import File

A, B = "192.0.2.0/24", "198.51.100.7/32"
ODD = {"port": "1195", "protocol": "tcp", "network": "10.9.8.0/25", "address": "vpn.example.com", "reaches": [A, B]}
HOSTS = f"""
hosts:
  none: {{address: 203.0.113.5}}
  one: {{address: 203.0.113.6, vpn: [{{name: vpn, serve: true, port: 1200, reaches: ['{A}']}}]}}
"""


def files(**values: Any) -> dict[str, str]:
    host = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path())
    entry = Server.model_validate({"name": "vpn", "serve": True, **values})
    return {one.path: str(one.content) for one in resources(entry, host) if isinstance(one, File)}


def facts(there: Mapping[str, str]) -> Facts:
    asked = server_made.questions("vpn")
    return Facts(
        {one: FileState("regular file", content=there[one.path].encode()) if one.path in there else Missing.ABSENT for one in asked}, {}
    )


DEFAULT = {"port": "1194", "protocol": "udp", "network": "10.86.0.0/24", "address": "203.0.113.5", "reaches": []}


@pytest.mark.parametrize("values", [{}, ODD, {**DEFAULT, "reaches": [A]}, {**DEFAULT, "address": "2001:db8::1"}])
def test_a_server_is_read_back_as_it_was_made(values: dict[str, Any]) -> None:
    assert server_made.settings("vpn", facts(files(**values))) == {**DEFAULT, **values}


def test_of_a_removed_server_its_address_and_port_are_left() -> None:
    remote, configuration, script = (one.path for one in server_made.questions("vpn"))
    made = files(**ODD)
    assert server_made.settings("vpn", facts({})) == {}
    assert server_made.settings("vpn", facts({remote: made[remote]})) == {key: ODD[key] for key in ("address", "port", "protocol")}
    broken = {remote: "a b c d\n", configuration: "server 10.0.0.0 255.0.255.0\n", script: "true\n"}
    assert server_made.settings("vpn", facts(broken)) == {"reaches": []}


@pytest.mark.parametrize(
    ("now", "more", "less", "after"),
    [
        (None, [A], [], [A]),
        (None, ["0.0.0.0/0"], [], []),
        ([A], [B], [], [A, B]),
        ([A], [A], [], [A]),
        ([A, B], [], [A], [B]),
        ([A, B], [], ["203.0.113.0/24"], [A, B]),
        ([A], [B], [A], [B]),
        ([A], ["192.0.2.128/25"], [], [A]),
        ([A], ["192.0.0.0/16"], [], ["192.0.0.0/16"]),
        ([A], [], ["192.0.2.128/25"], ["192.0.2.0/25"]),
        ([A], ["0.0.0.0/0"], [], []),
        ([], [A], ["0.0.0.0/0"], [A]),
        ([], [], ["128.0.0.0/1"], ["0.0.0.0/1"]),
        ([], ["0.0.0.0/0"], [], []),
        ([], [A], [], "clients may go everywhere now"),
        ([A], [], [A], "clients could go nowhere"),
        (None, [], [A], "where clients may go now is not known"),
        (None, [B], [A], "where clients may go now is not known"),
    ],
)
def test_by_flags_one_adds_and_takes_away_what_is_named(
    now: list[str] | None, more: list[str], less: list[str], after: list[str] | str
) -> None:
    if isinstance(after, str):
        with pytest.raises(UsageError, match=after):
            server_made.reaching(now, more, less)
    else:
        assert server_made.reaching(now, more, less) == after


def wanted(
    tmp_path: Path, host: str, made: Mapping[str, Any], without: Sequence[str] = (), renewal: Renewal | None = None, **flags: str
) -> Any:
    """The files that are wanted of the host's server, and its settings as they say."""
    playbooks = Playbooks(tmp_path)
    known = inventory.parse(HOSTS, "inventory.yaml", list(playbooks.by_name))
    serving = ServeOptions("vpn", add=True, flags={"state": "present", **flags}, without=tuple(without), made={host: made}, renewal=renewal)
    own = serving.desired(known, playbooks, known.hosts[host]).own
    found = server_made.settings("vpn", facts({one.path: str(one.content) for one in own if isinstance(one, File)}))
    for one in own:
        assert not isinstance(one, ServerKept) or one.wanted == {key: value for key, value in found.items() if key != "address"}
    return found


@pytest.mark.parametrize("renewal", [None, Renewal(100, "abc")])
@pytest.mark.parametrize(
    ("flags", "without", "changed"),
    [
        ({}, (), {}),
        ({"port": "1196"}, (), {"port": "1196"}),
        ({"reaches": "203.0.113.0/24"}, (), {"reaches": [A, B, "203.0.113.0/24"]}),
        ({}, (A,), {"reaches": [B]}),
        ({"reaches": "0.0.0.0/0"}, (), {"reaches": []}),
    ],
)
def test_what_no_flag_names_stays(
    tmp_path: Path, flags: dict[str, str], without: tuple[str, ...], changed: dict[str, Any], renewal: Renewal | None
) -> None:
    assert wanted(tmp_path, "none", ODD, without, renewal, **flags) == {**ODD, **changed}


def test_an_entry_of_the_inventory_counts_and_not_the_host(tmp_path: Path) -> None:
    assert wanted(tmp_path, "one", ODD) == {**DEFAULT, "address": "203.0.113.6", "port": "1200", "reaches": [A]}
    assert wanted(tmp_path, "one", {}, reaches=B)["reaches"] == [A, B]
    with pytest.raises(UsageError, match="clients could go nowhere"):
        wanted(tmp_path, "one", {}, (A,))


def planned(there: Mapping[str, str], made: Mapping[str, Any], said: Sequence[str] = (), **values: Any) -> Plan:
    wanted = {key: value for key, value in {**DEFAULT, **values}.items() if key != "address"}
    return make_plan([ServerKept("vpn", wanted, made, says_reaches="reaches" in said)], facts(there))


SCRIPT = server_made.questions("vpn")[-1].path


@pytest.mark.parametrize(
    ("there", "made", "said", "values", "refusal"),
    [
        ({}, {}, (), {}, ""),
        (files(**ODD), ODD, (), ODD, ""),
        (files(**ODD), ODD, (), {**ODD, "port": "1196", "reaches": [A]}, ""),
        (files(**ODD, state="present"), {**ODD, "port": "1194"}, (), ODD, ""),
        (files(**ODD), {}, (), {**ODD, "reaches": []}, "reaches 192.0.2.0/24, 198.51.100.7/32, which was not known"),
        (files(**ODD), {}, ["reaches"], {**ODD, "reaches": [A]}, "reaches 192.0.2.0/24, 198.51.100.7/32, which was not known"),
        (files(), {}, (), {"reaches": [A]}, "reaches 0.0.0.0/0, which was not known"),
        (files(**ODD), {}, (), {**ODD, "port": "1194"}, "port 1195, which was not known"),
        ({path: text for path, text in files(**ODD).items() if path != SCRIPT}, {}, (), ODD, "may go is not known"),
        ({path: text for path, text in files(**ODD).items() if path != SCRIPT}, {}, ["reaches"], ODD, ""),
    ],
)
def test_nothing_is_opened_or_closed_that_was_not_known(
    there: dict[str, str], made: dict[str, Any], said: Sequence[str], values: dict[str, Any], refusal: str
) -> None:
    plan = planned(there, made, said, **values)
    assert not plan.steps
    assert [refusal in error.what for _, error in plan.refusals] == ([True] if refusal else [])


def test_nobody_is_asked_twice_for_the_sudo_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hosts are asked before they are converged."""
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "word"

    monkeypatch.setattr("getpass.getpass", answer)
    options = Options(ask_sudo_password=True)
    assert [options.targets([]), options.targets([]), len(asked)] == [{}, {}, 1]
