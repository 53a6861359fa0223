"""inventory.yaml: what is in it is what was meant, and what is wrong is said with its place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.engine import inventory
from novaops.engine.inventory import Inventory
from novaops.engine.own_file import shipped
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError, UsageError
from novaops.formats import yaml_text

SECTIONS = ["disk", "proxy"]
ERRORS = yaml.safe_load((Path(__file__).parents[2] / "cases" / "inventory" / "errors.yaml").read_text("utf-8"))


def parse(text: str) -> Inventory:
    return inventory.parse(text, "inventory.yaml", SECTIONS)


def read(text: str, folder: Path) -> Any:
    known = parse(text)
    return Playbooks(folder).by_name["disk"].settings(known, known.hosts["a"])


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["says"])
def test_error(case: Mapping[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as error:
        read(case["inventory"], tmp_path)
    assert error.value.what == case["says"]
    if "line" in case:
        assert error.value.why == f"inventory.yaml:{case['line']}"


def test_texts_stay_what_they_are() -> None:
    """I05: YAML itself would make False, 0, 18 and 1.1 of them."""
    written = "{tls: off, name: no, flag: False, zero: 0, mode: 022, version: 1.10, time: 12:30:45"
    written += ", tilde: ~, none: null, empty: , quoted: '~', 5: five}"
    entry = parse(f"hosts: {{a: {{proxy: [{written}]}}}}").hosts["a"].sections["proxy"][0]
    assert entry == {
        "tls": "off",
        "name": "no",
        "flag": "False",
        "zero": "0",
        "mode": "022",
        "version": "1.10",
        "time": "12:30:45",
        "tilde": None,
        "none": None,
        "empty": None,
        "quoted": "~",
        "5": "five",
    }


def test_a_number_as_the_name_of_a_host() -> None:
    assert parse("hosts: {5: {address: 192.0.2.1}}").hosts["5"].address == "192.0.2.1"


def test_a_byte_order_mark_is_no_letter() -> None:
    assert list(parse("\ufeffhosts: {a: {}}").hosts) == ["a"]


def test_anchors_and_merges() -> None:
    text = (
        "groups:\n  x: &x {user: root, port: 23}\nhosts:\n  a:\n    <<: *x\n    port: 24\n  b: {<<: [{user: one}, {user: two, port: 2}]}\n"
    )
    known = parse(text)
    assert (known.hosts["a"].access.user, known.hosts["a"].access.port) == ("root", 24)
    assert (known.hosts["b"].access.user, known.hosts["b"].access.port) == ("one", 2)


def test_lines_of_values() -> None:
    document = yaml_text.load("a:\n  - b\n  - c:\n      d\n", "x")
    assert [document.line(path) for path in ((), ("a",), ("a", 0), ("a", 1, "c"), ("a", 1, "nowhere"))] == [1, 1, 2, 3, 3]


GROUPS = """
defaults: {user: everyone, port: 22}
groups:
  parent: {user: parent, disk: [{path: /parent}]}
  first: {groups: [parent]}
  second: {groups: [parent], user: second, known_hosts: keys}
hosts:
  plain: {address: 192.0.2.1}
  child: {address: 192.0.2.2, groups: [first, second]}
  own: {address: 192.0.2.3, groups: [second], user: own, disk: [{path: /own}]}
"""


def test_the_nearest_counts() -> None:
    """I03: a child group wins over its parent, also over the parent of another one; a host over all groups."""
    known = parse(GROUPS)
    assert {name: host.access.user for name, host in known.hosts.items()} == {"plain": "everyone", "child": "second", "own": "own"}
    assert {name: host.sections.get("disk") for name, host in known.hosts.items()} == {
        "plain": None,
        "child": [{"path": "/parent"}],
        "own": [{"path": "/own"}],
    }
    assert known.hosts["child"].places["disk"] == ("groups", "parent", "disk")
    assert known.hosts["child"].groups == {"first", "second", "parent"}


def test_of_two_groups_the_first_named_counts() -> None:
    known = parse("groups: {a: {user: aa}, b: {user: bb}}\nhosts: {h: {groups: [b, a]}}")
    assert known.hosts["h"].access.user == "bb"


def test_redundant_membership_is_no_circle() -> None:
    known = parse("groups: {a: {groups: [b, c]}, b: {groups: [c]}, c: {}}\nhosts: {h: {groups: [c, a, b]}}")
    assert known.hosts["h"].groups == {"a", "b", "c"}


def test_a_host_in_two_groups_runs_once() -> None:
    known = parse(GROUPS)
    assert [host.name for host in known.find(["second", "first", "own", "parent"])] == ["child", "own"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["own", "plain"], ["plain", "own"]),
        (["own", "first", "plain"], ["plain", "child", "own"]),
        (["second"], ["child", "own"]),
        (["root@192.0.2.9", "own", "root@192.0.2.8", "plain"], ["plain", "own", "root@192.0.2.9", "root@192.0.2.8"]),
    ],
)
def test_hosts_are_in_the_order_of_the_inventory(words: list[str], found: list[str]) -> None:
    assert [host.name for host in parse(GROUPS).find(words)] == found


def test_without_words_every_host_with_the_section() -> None:
    known = parse(GROUPS)
    assert [host.name for host in known.find([], "disk")] == ["child", "own"]
    assert [host.name for host in known.find([])] == ["plain", "child", "own"]


def test_two_names_with_one_address_and_two_ports_are_two_hosts() -> None:
    known = parse("hosts: {a: {address: '192.0.2.1:23'}, b: {address: 192.0.2.1, port: 24}}")
    targets = [host.target(1.0) for host in known.find(["a", "b"])]
    assert [(t.address, t.port) for t in targets] == [("192.0.2.1", 23), ("192.0.2.1", 24)]


@pytest.mark.parametrize(
    ("text", "section", "what"),
    [
        ("", None, "inventory.yaml has no hosts"),
        ("# only a comment\n", None, "inventory.yaml has no hosts"),
        ("hosts:\n", None, "inventory.yaml has no hosts"),
        ("hosts: {}\ngroups: {web: {}}", "disk", "inventory.yaml has no hosts"),
        ("hosts: {a: {}}", "disk", "inventory.yaml has no host with a disk: section"),
    ],
)
def test_no_hosts(text: str, section: str | None, what: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text).find([], section)
    assert error.value.what == what
    assert error.value.fix


@pytest.mark.parametrize(
    ("word", "why"), [("chlid", "Did you mean child?"), ("secnod", "Did you mean second?"), ("zzz", "It has plain, child, own.")]
)
def test_an_unknown_host_with_a_suggestion(word: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(GROUPS).find([word])
    assert (error.value.what, error.value.why) == (f"inventory.yaml has no host or group {word}", why)
    assert error.value.fix == f"user@{word} reaches a host that is not in the inventory"


@pytest.mark.parametrize(
    ("word", "user", "address", "port"),
    [
        ("root@192.0.2.1", "root", "192.0.2.1", None),
        ("root@192.0.2.1:2222", "root", "192.0.2.1", 2222),
        ("root@[::1]:442", "root", "::1", 442),
        ("root@::1", "root", "::1", None),
    ],
)
def test_a_host_without_an_inventory(word: str, user: str, address: str, port: int | None) -> None:
    [host] = Inventory("", {}, frozenset()).find([word])
    target = host.target(1.0)
    assert (target.name, target.user, target.address, target.port) == (word, user, address, port)


@pytest.mark.parametrize(
    "word", ["@192.0.2.1", "root@", "-oProxyCommand=id@h", "root@a b", "root@h:0", "root@h:x", "root@[h]", "a@b@", "root@$(id)"]
)
def test_what_is_no_host(word: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(GROUPS).find([word])
    assert error.value.what == f"{word} is not a host"
    assert error.value.why


@pytest.mark.parametrize(
    "word",
    ["box.example.com", "192.0.2.1", "192.0.2.1:22", "localhost", "localhost:22", "2001:db8::1", "[2001:db8::1]:22", "root@box:2222"],
)
def test_what_can_only_be_an_address(word: str) -> None:
    assert [host.name for host in Inventory("", {}, frozenset()).find([word])] == [word]


def test_a_name_of_ssh_may_have_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "ssh_knows", lambda word: word == "box")
    [host] = Inventory("", {}, frozenset()).find(["box:2222"])
    assert (host.name, host.address, host.port) == ("box:2222", "box", 2222)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("nosuch", "there is no host nosuch"),
        ("nosuch:22", "there is no host nosuch:22"),
        *((empty, "the name of a host is empty") for empty in ("", " ")),
    ],
)
def test_a_bare_word_is_no_address(word: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        Inventory("", {}, frozenset()).find([word])
    assert error.value.what == what


def test_a_group_without_hosts_means_nobody() -> None:
    with pytest.raises(UsageError) as error:
        parse("groups: {web: {}}\nhosts: {a: {}}").find(["a", "web"])
    assert (error.value.what, error.value.fix) == ("the group web has no hosts", "give a host of inventory.yaml groups: [web]")


def test_nobody_named_and_no_inventory() -> None:
    with pytest.raises(UsageError) as error:
        Inventory("", {}, frozenset()).find([])
    assert (error.value.what, error.value.fix) == (
        "no host was named, and there is no inventory",
        "name one as user@address, or write one: novaops init",
    )


def test_files_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I05: a path with a comma, a folder, an empty folder, a folder in place of the file, no UTF-8, none at all."""
    odd = tmp_path / "a, b.yaml"
    odd.write_text("hosts: {a: {identity: key, known_hosts: ~/known, address: 192.0.2.1}}")
    host = inventory.load(odd, SECTIONS).hosts["a"]
    assert host.access.identity == str(tmp_path / "key")
    assert host.access.known_hosts == str(Path("~/known").expanduser())
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, what in (
        (folder, f"there is no inventory {folder}/inventory.yaml"),
        (tmp_path / "none.yaml", f"there is no inventory {tmp_path}/none.yaml"),
        (tmp_path / "no folder", f"there is no inventory {tmp_path}/no folder"),
    ):
        with pytest.raises(InventoryError) as error:
            inventory.load(path, SECTIONS)
        assert error.value.what == what
        place = tmp_path if path.suffix else path
        assert error.value.fix == f"novaops init {shlex.quote(str(place))} writes {place}/inventory.yaml to begin with"
    (folder / "inventory.yaml").mkdir()
    with pytest.raises(InventoryError, match="cannot read the inventory"):
        inventory.load(folder, SECTIONS)
    (folder / "inventory.yaml").rmdir()
    (folder / "inventory.yaml").write_bytes(b"hosts: {caf\xe9: {}}")
    with pytest.raises(InventoryError, match="cannot read the inventory"):
        inventory.load(folder, SECTIONS)
    (folder / "inventory.yaml").write_text("hosts: {a: {}}")
    assert list(inventory.load(folder, SECTIONS).hosts) == ["a"]
    monkeypatch.chdir(tmp_path)
    assert inventory.load(None, SECTIONS).file == ""
    monkeypatch.chdir(folder)
    assert inventory.load(None, SECTIONS).file == "inventory.yaml"


def test_the_example_is_right() -> None:
    """The commented inventory.yaml is documentation, schema and test at once."""
    example = Path(inventory.__file__).parents[2] / "inventory.yaml"
    playbooks = Playbooks(example.parent)
    known = inventory.load(example, list(playbooks.by_name))
    for host in known.hosts.values():
        for section in host.sections:
            playbooks.by_name[section].settings(known, host)


def test_the_example_fits_the_schema_for_editors() -> None:
    playbooks = Playbooks(Path())
    schema = playbooks.schema()
    layer = schema["$defs"]["layer"]["properties"]
    example = yaml.safe_load(shipped("inventory.yaml").read_text("utf-8"))
    written = [example["defaults"], *example["groups"].values(), *example["hosts"].values()]
    assert {key for part in written for key in part} <= set(layer)
    entries = schema["$defs"]["Disk"]["properties"]
    assert {key for part in written for disk in part.get("disk", []) for key in disk} <= set(entries)
    assert schema["$defs"]["Disk"]["additionalProperties"] is False


def test_aliases_of_aliases_are_not_followed_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some three hundred bytes can stand for more values than a machine has memory for."""
    monkeypatch.setattr(yaml_text, "_MOST", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    with pytest.raises(InventoryError, match=r"inventory.yaml:1: this has more than 10000 values, by aliases of aliases"):
        yaml_text.load("\n".join(lines), "inventory.yaml")
    assert len(yaml_text.load("\n".join(lines[:4]), "inventory.yaml").lines) > 4096
