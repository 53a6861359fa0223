"""Every verb of every section against every declared state: which entries it acts on, which it leaves, what it says of both."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.engine.scope import Scope
from novaops.errors import InventoryError, UsageError
from novaops.features.disk.cli import GROW, MOUNT, UNMOUNT
from novaops.features.proxy import cli as proxy
from novaops.features.tunnel import cli as tunnel
from novaops.features.vpn import cli as vpn
from novaops.features.vpn import cli_server
from novaops.features.vpn.server_actions import names_of

DISK_STATES = ("mounted", "defined", "unmounted", "absent")

ENTRIES: dict[str, dict[str, Any]] = {
    "disk": {"path": "/{}"},
    "proxy": {"name": "{}", "domain": "{}.example", "tls": "off", "upstreams": ["10.0.0.1:80"]},
    "tunnel": {"name": "{}", "via": "gate", "to": "{}.example:443", "listen": "127.0.0.1:1{}"},
    "vpn": {"name": "n{}", "profile": "x.ovpn", "routes": ["r{}.example"]},
    "vpn serve": {"name": "n{}", "serve": "true", "port": "1{}", "network": "10.86.{}.0/24"},
}
VERBS = [
    pytest.param("disk", MOUNT, {"state": "mounted"}, {"mounted", "defined"}, id="disk mount"),
    pytest.param("disk", UNMOUNT, {"state": "absent"}, {"unmounted", "absent"}, id="disk unmount"),
    pytest.param("disk", GROW, {}, {"mounted"}, id="disk grow"),
    pytest.param("proxy", proxy.DEPLOY, {}, {"present", "absent"}, id="proxy deploy"),
    pytest.param("proxy", proxy.REMOVE, {"state": "absent"}, {"present", "absent"}, id="proxy remove"),
    pytest.param("tunnel", tunnel.UP, {}, {"present", "absent"}, id="tunnel up"),
    pytest.param("tunnel", tunnel.DOWN, {"state": "absent"}, {"present", "absent"}, id="tunnel down"),
    pytest.param("vpn", vpn.UP, {}, {"present", "absent"}, id="vpn up"),
    pytest.param("vpn", vpn.DOWN, {"state": "absent"}, {"present", "absent"}, id="vpn down"),
    pytest.param("vpn serve", cli_server.SERVE, {}, {"present", "absent"}, id="vpn serve"),
    pytest.param("vpn serve", cli_server.REMOVE, {"state": "absent"}, {"present", "absent"}, id="vpn serve --remove"),
]


class Section:
    """A section of a host, with an entry for each state."""

    def __init__(self, kind: str, states: tuple[str | None, ...]) -> None:
        """`kind` is a key of ENTRIES: a section, and what of it where there are several things."""
        entries = [self._entry(kind, str(number), state) for number, state in enumerate(states, 101)]
        name = kind.partition(" ")[0]
        self.playbooks = Playbooks(Path())
        text = f"hosts: {{box: {{address: 192.0.2.1, {name}: {entries}}}, gate: {{address: 192.0.2.2}}}}"
        self.known = inventory.parse(text, "inventory.yaml", list(self.playbooks.by_name))
        self.book = self.playbooks.by_name[name]
        self.key = "path" if name == "disk" else "name"

    @staticmethod
    def _entry(name: str, number: str, state: str | None) -> dict[str, Any]:
        def filled(value: Any) -> Any:
            return [filled(each) for each in value] if isinstance(value, list) else value.format(number)

        return {**{key: filled(value) for key, value in ENTRIES[name].items()}, **({"state": state} if state else {})}

    def chosen(self, scope: Scope, flags: dict[str, Any], value: str | None = None) -> list[Any]:
        return list(self.book.overridden(self.known, self.known.hosts["box"], self.key, value, flags, scope))

    def remarks(self, scope: Scope, flags: dict[str, Any], value: str | None = None) -> list[str]:
        return [f"{note.resource} {note.text}" for note in self.book.remarks(self.known.hosts["box"], value, flags, scope)]


@pytest.mark.parametrize(("section", "scope", "flags", "fitting"), VERBS)
def test_a_verb_over_a_whole_section(section: str, scope: Scope, flags: dict[str, Any], fitting: set[str]) -> None:
    states = DISK_STATES if section == "disk" else ("present", "absent")
    for declared in itertools.permutations(states):
        on = Section(section, declared)
        chosen = on.chosen(scope, flags)
        left = [state for state in declared if state not in fitting]
        assert len(chosen) == len(declared) - len(left)
        if section == "disk":  # each as it is declared, and never otherwise
            assert [one.state for one in chosen] == [state for state in declared if state in fitting]
        if section == "vpn serve":
            assert [one.name for one in chosen] == names_of(on.known.hosts["box"])
        else:
            assert names_of(on.known.hosts["box"]) == []
        said = on.remarks(scope, flags)
        against = [f"has state: {state} for it" for state in declared if section != "disk" and flags.get("state", state) != state]
        assert [text.partition("inventory ")[2].partition(",")[0] for text in said if "makes it so again" in text] == against
        assert [text for text in said if "left as it is" in text] == [
            f"disk:/{101 + declared.index(state)} left as it is: its state is {state}" for state in left
        ]


@pytest.mark.parametrize(
    ("verb", "states"),
    [("mount", ("absent", "unmounted")), ("grow", ("absent",)), ("unmount", (None,)), ("unmount", ("mounted", "defined"))],
)
def test_a_verb_that_fits_no_entry_says_so(verb: str, states: tuple[str | None, ...], tmp_path: Path, capfd: Any) -> None:
    entries = [{"path": f"/{number}", **({"state": state} if state else {})} for number, state in enumerate(states)]
    file = tmp_path / "inventory.yaml"
    file.write_text(f"hosts: {{box: {{address: 192.0.2.1, disk: {entries}}}}}")
    assert run(["-i", str(file), "disk", verb, "box"]) == 2
    said = capfd.readouterr().err
    assert "no entry of the inventory is for this verb" in said
    for number, state in enumerate(states):
        assert f"box  disk:/{number}  left as it is: its state is {state or 'mounted'}" in said


def test_servers_are_not_for_the_verbs_of_links(tmp_path: Path, capfd: Any) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("hosts: {box: {address: 192.0.2.1, vpn: [{name: gate, serve: true}]}}")
    for verb in ("up", "down"):
        assert run(["-i", str(file), "vpn", verb]) == 2
        assert "box  vpn:gate  left as it is: it is a server" in capfd.readouterr().err
    file.write_text("hosts: {box: {address: 192.0.2.1, vpn: [{name: out, profile: x.ovpn, routes: [a.example]}]}}")
    for words in (["serve"], ["serve", "--remove"]):
        assert run(["-i", str(file), "vpn", *words]) == 2
        assert "box  vpn:out  left as it is: it is a link" in capfd.readouterr().err


def test_an_entry_that_is_named_is_taken_and_the_contradiction_is_said() -> None:
    on = Section("disk", ("absent", None, "defined"))
    (entry,) = on.chosen(MOUNT, {"state": "mounted"}, "/101/")
    assert entry.state == "mounted"
    assert on.remarks(MOUNT, {"state": "mounted"}, "/101/") == [
        "disk:/101 the inventory has state: absent for it, and apply makes it so again"
    ]
    assert on.remarks(UNMOUNT, {"state": "absent"}, "/102") == [
        "disk:/102 the inventory has state: mounted for it, and apply makes it so again"
    ]
    assert on.remarks(MOUNT, {"state": "mounted"}, "/103") == []
    assert on.remarks(MOUNT, {"state": "mounted"}, "/104") == []
    assert on.remarks(MOUNT, {"state": "mounted"}, "/102") == []
    assert on.remarks(GROW, {}, "/101") == []


def test_flags_that_the_inventory_does_not_have_are_said() -> None:
    on = Section("disk", (None, "absent"))
    flags = {"state": "mounted", "options": "noatime", "filesystem": "ext4", "label": "x", "wipe": "X1"}
    said = ["disk:/101 the inventory has another options and another label for it, and apply makes it so again"]
    assert on.remarks(MOUNT, flags, "/101") == said
    assert on.remarks(MOUNT, {"state": "mounted", "options": "defaults"}, "/101") == []
    tunnels = Section("tunnel", (None,))
    assert tunnels.remarks(tunnel.UP, {"state": "present", "listen": "9000"}, "101") == [
        "tunnel:101 the inventory has another listen for it, and apply makes it so again"
    ]
    assert tunnels.remarks(tunnel.UP, {"state": "present", "listen": "127.0.0.1:1101"}, "101") == []


def test_a_verb_that_takes_all_away_says_what_the_inventory_wants() -> None:
    on = Section("tunnel", (None, "absent"))
    assert [one.state for one in on.chosen(tunnel.DOWN, {"state": "absent"})] == ["absent", "absent"]
    assert on.remarks(tunnel.DOWN, {"state": "absent"}) == [
        "tunnel:101 the inventory has state: present for it, and apply makes it so again"
    ]
    assert on.remarks(tunnel.UP, {}) == []


@pytest.mark.parametrize(("value", "flags"), [("/102", {"device": "/dev/vdb"}), ("/103", {"device": "/dev/vdb"})])
def test_a_flag_that_contradicts_another_entry(value: str, flags: dict[str, Any]) -> None:
    on = Section("disk", (None, None))
    on.known.hosts["box"].sections["disk"][0]["device"] = "/dev/vdb"
    with pytest.raises(UsageError, match=r"/101 and /10[23] both have the device /dev/vdb"):
        on.chosen(MOUNT, {"state": "mounted", **flags}, value)


def test_a_contradiction_of_other_entries_is_found_too() -> None:
    on = Section("disk", (None, None, None))
    for entry in on.known.hosts["box"].sections["disk"][:2]:
        entry["label"] = "data"
    with pytest.raises(InventoryError, match="/101 and /102 both have the label data"):
        on.chosen(MOUNT, {"state": "mounted"}, "/103")
