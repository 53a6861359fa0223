from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from novaops.errors import HostFailed, Refused
from novaops.features.eve import lab_plan, lab_status, topology
from novaops.features.eve.api_answer import ApiFailed
from novaops.features.eve.lab_plan import FoundLab, FoundNetwork, FoundNode, FoundServer, Interface
from novaops.features.eve.lab_run import LabRun

LAB = topology.parse(
    """\
nodes:
  r1: {template: vyos, image: vyos-1}
  r2: {template: vyos}
  r3: {template: linux}
links:
  - r1:e1-r2
  - [r1, r2, r3]
  - r3-pnet0
""",
    "lab.yml",
)
SERVER = FoundServer(
    0, 63, {"vyos": "VyOS", "linux": "Linux", "vios": "vIOS.missing"}, {"vyos": ["vyos-1"], "linux": ["linux-1"]}, {"vyos": 2, "linux": 1}
)


def node(name: str, number: int, *networks: int, status: int = 2) -> FoundNode:
    template = "linux" if name == "r3" else "vyos"
    return FoundNode(
        number, name, template, f"{template}-1", status, "telnet://h:1", tuple(Interface(n, f"e{n}", net) for n, net in enumerate(networks))
    )


def lab(*nodes: FoundNode, networks: tuple[FoundNetwork, ...] = (), author: str = "novaops") -> FoundLab:
    return FoundLab(author, {one.name: one for one in nodes}, networks)


NETWORKS = (FoundNetwork(1, "r1-r2", "bridge"), FoundNetwork(2, "r1-r2-r3", "bridge"), FoundNetwork(3, "pnet0", "pnet0"))
COMPLETE = lab(node("r1", 1, 2, 1), node("r2", 2, 1, 2), node("r3", 3, 2, 3), networks=NETWORKS)


def test_what_is_as_the_file_says_is_left_alone() -> None:
    assert lab_plan.wires(LAB, COMPLETE) == [None, None, None]
    lab_plan.refuse_unfit(LAB, COMPLETE, replace(SERVER, running=63))


GI = ("Gi1", "Gi2", "Gi3", "Gi4")


@pytest.mark.parametrize(
    ("links", "names", "ends"),
    [
        ("r1:e1-r2, [r1, r2, r3], r3-pnet0", ("e0", "e1"), ["r1 e1, r2 e0", "r1 e0, r2 e1, r3 e0", "r3 e1"]),
        ("r1-r2, r1-r2", GI, ["r1 Gi1, r2 Gi1", "r1 Gi2, r2 Gi2"]),
        ("'r1:Gi1-r2:Gi1', r1-r3", GI, ["r1 Gi1, r2 Gi1", "r1 Gi2, r3 Gi1"]),
        ("r1-r3, 'r1:gi1-r2:Gi1'", GI, ["r1 Gi2, r3 Gi1", "r1 Gi1, r2 Gi1"]),
        ("'r1:Gi2-r2:1', r1-r2, r1-r2", GI, ["r1 Gi2, r2 Gi2", "r1 Gi1, r2 Gi1", "r1 Gi3, r2 Gi3"]),
        ("r1-r1", GI, ["r1 Gi1, r1 Gi2"]),
    ],
)
def test_ends_without_an_interface_take_the_next_that_no_link_names(links: str, names: tuple[str, ...], ends: list[str]) -> None:
    made = topology.parse(f"nodes: {{r1: x, r2: x, r3: x}}\nlinks: [{links}]\n", "lab.yml")
    wired = tuple(Interface(number, name, 0) for number, name in enumerate(names))
    found = lab(*(replace(node(name, number), interfaces=wired) for number, name in enumerate(made.nodes)))
    wires = lab_plan.wires(made, found)
    assert [", ".join(f"{name} {names[number]}" for name, number in wire.connect) for wire in wires if wire] == ends
    assert len(wires) == len(made.links)


@pytest.mark.parametrize(
    ("links", "what"),
    [
        ("'r1:Gi2-r2:Gi2', 'r1:e1-r3:e1'", "links: r1:Gi2 and r1:e1 are one interface"),
        ("'r1:Gi2-r1:1'", "links: r1:Gi2 and r1:1 are one interface"),
        ("r1-r2, r1-r2, r1-r2, r1-r2, r1-r2", "links: r1 has no interface left for the link r1 - r2"),
    ],
)
def test_an_interface_has_one_link(links: str, what: str) -> None:
    made = topology.parse(f"nodes: {{r1: x, r2: x, r3: x}}\nlinks: [{links}]\n", "lab.yml")
    wired = tuple(Interface(number, name, 0) for number, name in enumerate(GI))
    found = lab(*(replace(node(name, number), interfaces=wired) for number, name in enumerate(made.nodes)))
    with pytest.raises(Refused) as caught:
        lab_plan.wires(made, found)
    assert caught.value.what == what


def test_links_of_the_same_pair_are_told_apart() -> None:
    """One of them is made, and a cut run has left the network of the other one, or two."""
    made = topology.parse("nodes: {r1: vyos, r2: vyos}\nlinks: [r1-r2, r1-r2]\n", "lab.yml")
    left = tuple(FoundNetwork(number, "r1-r2", "bridge") for number in (1, 2))
    found = lab(node("r1", 1, 1, 0), node("r2", 2, 1, 0), networks=left)
    first, second = lab_plan.wires(made, found)
    assert first is None
    assert second is not None
    assert (second.network, second.connect) == (2, (("r1", 1), ("r2", 1)))
    found = lab(node("r1", 1, 0, 0), node("r2", 2, 0, 0), networks=left[:1])
    assert [wire and wire.network for wire in lab_plan.wires(made, found)] == [1, None]


def test_a_new_node_has_as_many_interfaces_as_its_links_need() -> None:
    assert "ethernet" not in lab_plan.node_body(LAB, "r1", SERVER)
    assert lab_plan.node_body(LAB, "r3", SERVER)["ethernet"] == 2


def test_only_the_ends_that_are_missing_are_connected() -> None:
    found = lab(node("r1", 1, 0, 1), node("r2", 2, 0, 0), node("r3", 3, 0, 0), networks=NETWORKS[:1])
    wires = lab_plan.wires(LAB, found)
    assert [(wire.network, wire.kind, wire.connect) for wire in wires if wire] == [
        (1, "bridge", (("r2", 0),)),
        (None, "bridge", (("r1", 0), ("r2", 1), ("r3", 0))),
        (None, "pnet0", (("r3", 1),)),
    ]


def test_a_network_that_a_cut_run_has_left_is_used() -> None:
    found = lab(node("r1", 1, 0, 0), node("r2", 2, 0, 0), node("r3", 3, 0, 0), networks=NETWORKS)
    assert [wire and wire.network for wire in lab_plan.wires(LAB, found)] == [1, 2, 3]


@pytest.mark.parametrize(
    "nodes",
    [
        (node("r1", 1, 2, 9), node("r2", 2, 1, 2), node("r3", 3, 2, 3)),
        (node("r1", 1, 2, 1), node("r2", 2, 1, 2), node("r3", 3, 2, 3), node("other", 4, 1)),
        (node("r1", 1, 2, 1), node("r2", 2, 1, 2), node("r3", 3, 2, 2)),
    ],
    ids=["two networks", "somebody else in it", "another cloud"],
)
def test_what_is_connected_elsewhere_is_not_pulled_out(nodes: tuple[FoundNode, ...]) -> None:
    with pytest.raises(Refused, match="cannot be made"):
        lab_plan.wires(LAB, lab(*nodes, networks=NETWORKS))


def test_an_interface_that_is_not_there() -> None:
    found = lab(node("r1", 1, 0), node("r2", 2, 0, 0), node("r3", 3, 0, 0))
    with pytest.raises(Refused, match="r1 has no interface e1"):
        lab_plan.wires(LAB, found)


@pytest.mark.parametrize(("wanted", "index"), [("e1", 1), ("E1", 1), ("eth1", 1), ("1", 1), ("Gi0/1", None), ("e7", None)])
def test_interfaces_by_name_or_number(wanted: str, index: int | None) -> None:
    found = node("r1", 1, 0, 0).interface(wanted)
    assert (found and found.number) == index


def test_interfaces_have_numbers_of_their_own() -> None:
    wired = tuple(Interface(number, f"e{number % 16}/{number // 16}", 7 if number == 16 else 0) for number in (0, 16, 32, 48, 1))
    r1 = FoundNode(1, "r1", "iol", "a.bin", 2, "", wired)
    assert [one and one.number for one in map(r1.interface, ("e0/1", "1", "e1/0", "4"))] == [16, 16, 1, 1]
    assert lab(r1).members(7) == {("r1", 16)}
    two = replace(r1, name="r2", interfaces=tuple(replace(one, network=0) for one in wired))
    links = topology.parse("nodes: {r1: iol, r2: iol}\nlinks: ['r1:e0/1-r2:e0/1', 'r1:e0/2-r2:e0/2']\n", "lab.yml")
    found = lab(r1, two, networks=(FoundNetwork(7, "r1-r2", "bridge"),))
    assert [(wire.network, wire.connect) for wire in lab_plan.wires(links, found) if wire] == [
        (7, (("r2", 16),)),
        (None, (("r1", 32), ("r2", 32))),
    ]


@pytest.mark.parametrize(
    ("found", "server", "what"),
    [
        (lab(author="somebody"), SERVER, "novaops has not made it"),
        (lab(author=""), SERVER, "novaops has not made it"),
        (FoundLab(None), replace(SERVER, templates={"linux": "Linux"}), "node r1: this EVE-NG has no template vyos"),
        (
            FoundLab(None),
            replace(SERVER, templates={**SERVER.templates, "vyos": "VyOS.missing"}, images={}),
            "no image for the template vyos",
        ),
        (FoundLab(None), replace(SERVER, images={"vyos": ["vyos-2"], "linux": ["linux-1"]}), "there is no image vyos-1"),
        (FoundLab(None), replace(SERVER, limit=2), "3 nodes are to be started, and 0 run: this EVE-NG runs 2 at once"),
        (FoundLab(None), replace(SERVER, running=5, limit=7), "3 nodes are to be started, and 5 run: this EVE-NG runs 7 at once"),
        (lab(replace(node("r1", 1, 0), image="vyos-9")), SERVER, "the lab has a node r1 of vyos-9, where the file says vyos-1"),
        (lab(replace(node("r2", 1, 0), template="vios")), SERVER, "the lab has a node r2"),
    ],
)
def test_what_cannot_come_to_run_is_refused_before_anything_is_made(found: FoundLab, server: FoundServer, what: str) -> None:
    with pytest.raises(Refused) as caught:
        lab_plan.refuse_unfit(LAB, found, server)
    assert what in caught.value.what


def test_running_nodes_do_not_count_twice() -> None:
    found = lab(node("r1", 1, 2, 1), node("r2", 2, 1, 2), node("r3", 3, 2, 3, status=0))
    lab_plan.refuse_unfit(LAB, found, replace(SERVER, running=2, limit=3))
    with pytest.raises(Refused):
        lab_plan.refuse_unfit(LAB, found, replace(SERVER, running=3, limit=3))


@pytest.mark.parametrize(("status", "is_running"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_locked_node_runs_or_not_as_any_other(*, status: int, is_running: bool) -> None:
    found = node("r1", 1, 2, 1, status=status)
    assert found.runs is is_running
    assert lab_plan.runs(str(status)) is is_running
    assert lab_status.is_up(lab_status.details(LAB, lab(found, node("r2", 2), node("r3", 3)))) is is_running


class Locked:
    """EVE-NG with one node that it has locked. It is stopped when it is told to stop, and stays locked."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.status = 3

    def lab(self, _: str) -> dict[str, str]:
        return {"author": "novaops"}

    def nodes(self, _: str) -> dict[int, dict[str, object]]:
        return {1: {"name": "r1", "template": "vyos", "image": "vyos-1", "status": self.status, "url": "telnet://h:1"}}

    def interfaces(self, _: str, __: int) -> dict[int, dict[str, object]]:
        return {}

    def networks(self, _: str) -> dict[int, dict[str, object]]:
        return {}

    def stop_node(self, _: str, __: int) -> None:
        self.told.append("stop")
        self.status = 1

    def delete_lab(self, _: str) -> None:
        self.told.append("delete")


def test_a_locked_node_is_stopped_before_its_lab_is_deleted() -> None:
    eve = Locked()
    one = topology.parse("nodes: {r1: {template: vyos}}", "lab.yml")
    LabRun(None, eve, one).down()  # type: ignore[arg-type]
    assert eve.told == ["stop", "delete"]


def test_a_command_on_a_lab_names_its_file_and_its_host() -> None:
    nothing: Any = SimpleNamespace(lab=lambda _: None)
    with pytest.raises(HostFailed) as error:
        LabRun(nothing, nothing, LAB, said=" other.yml --host a").console_port("r1")
    assert error.value.fix == "novaops eve lab up other.yml --host a makes it"


@pytest.mark.parametrize(
    ("template", "images"),
    [
        ({"options": {"image": {"list": {"a": "a", "b": "b"}}}}, ["a", "b"]),
        ({"options": {"image": {"list": []}}}, []),
        ({"options": {"image": {"list": None}}}, []),
        ({"options": {"image": ""}}, []),
        ({"options": {"image": None}}, []),
        ({"options": []}, []),
        ({"options": None}, []),
        ({}, []),
    ],
)
def test_the_images_of_a_template(template: dict[str, Any], images: list[str]) -> None:
    assert lab_plan.images_of(template) == images


@pytest.mark.parametrize("shape", [{"options": "x"}, {"options": {"image": 7}}, {"options": {"image": {"list": ["a"]}}}])
def test_a_template_of_another_form_is_an_answer_of_another_form(shape: dict[str, Any]) -> None:
    with pytest.raises(ApiFailed, match="of another form than it has"):
        lab_plan.images_of(shape)


@pytest.mark.parametrize(("status", "runs"), [(2, True), ("2", True), (3, True), (0, False), ("0", False), (None, False), ("", False)])
def test_a_status(status: Any, *, runs: bool) -> None:
    assert lab_plan.runs(status) == runs


@pytest.mark.parametrize("status", ["running", "1e9", [2], {"a": 1}, float("inf")])
def test_a_status_that_is_no_number(status: Any) -> None:
    with pytest.raises(ApiFailed, match="gives no number where it has one"):
        lab_plan.runs(status)
    with pytest.raises(ApiFailed, match="gives no number where it has one"):
        lab_plan.running_nodes({"qemu": status})
    assert lab_plan.running_nodes({"qemu": None, "iol": "3", "docker": ""}) == 3
