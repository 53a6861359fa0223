"""What has to be done so that EVE-NG has the lab that a file describes. Pure: facts in, changes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from novaops.errors import Refused
from novaops.features.eve.api_answer import mapping_of, number_of
from novaops.features.eve.topology import PLACE, End, Link, Topology

AUTHOR = "novaops"
"""The author of the labs that `lab up` makes. A lab of another author is somebody's own."""
_RUNNING = {2, 3}
"""3 is one that EVE-NG has locked, as while it puts a configuration into it. 0 and 1 are the same of one that does not run."""
MISSING = ".missing"
_KINDS = ("iol", "dynamips", "qemu", "docker", "vpcs")


@dataclass(frozen=True)
class Interface:
    number: int
    """EVE-NG's own: its place among the node's, but 0, 16, 32, 48, 1, … where a node has slots (IOL, dynamips)."""
    name: str
    network: int
    """Its number, 0 for none."""


@dataclass(frozen=True)
class FoundNode:
    number: int
    name: str
    template: str
    image: str
    status: int
    url: str
    interfaces: tuple[Interface, ...]

    @property
    def runs(self) -> bool:
        return runs(self.status)

    def interface(self, wanted: str) -> Interface | None:
        """That of this name or place: `e1`, `eth1` and `1` are the second one where none is called so."""
        named = next((one for one in self.interfaces if one.name.lower() == wanted.lower()), None)
        plain = PLACE.fullmatch(wanted.lower())
        if named or not plain or int(plain[1]) >= len(self.interfaces):
            return named
        return self.interfaces[int(plain[1])]


@dataclass(frozen=True)
class FoundNetwork:
    number: int
    name: str
    kind: str


@dataclass(frozen=True)
class FoundLab:
    """The lab as it is now."""

    author: str | None
    """None: there is no such lab."""
    nodes: Mapping[str, FoundNode] = field(default_factory=dict)
    networks: Sequence[FoundNetwork] = ()

    @property
    def exists(self) -> bool:
        return self.author is not None

    def members(self, network: int) -> set[tuple[str, int]]:
        """The interfaces in a network: node and number."""
        return {
            (node.name, interface.number) for node in self.nodes.values() for interface in node.interfaces if interface.network == network
        }


@dataclass(frozen=True)
class FoundServer:
    """What the whole EVE-NG says of itself."""

    running: int
    limit: int
    templates: Mapping[str, str]
    """Titles by name; one that ends in MISSING has no image."""
    images: Mapping[str, Sequence[str]]
    """By the templates that the file names."""
    ethernets: Mapping[str, int]
    """How many interfaces a node of each of these templates has."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """qemu, iol, dynamips or docker, by template."""


def runs(status: Any) -> bool:
    """Whether a node runs that has this status in EVE-NG."""
    return number_of(status) in _RUNNING


def running_nodes(status: Mapping[str, Any]) -> int:
    """How many nodes run on the whole server."""
    return sum(number_of(status.get(kind)) for kind in _KINDS)


def images_of(template: Mapping[str, Any]) -> list[str]:
    """The images that EVE-NG has for a template."""
    options = mapping_of(template.get("options") or {})
    return list(mapping_of(mapping_of(options.get("image") or {}).get("list") or {}))


def refuse_foreign(topology: Topology, found: FoundLab) -> None:
    """Raises Refused for a lab that novaops has not made."""
    if found.exists and found.author != AUTHOR:
        raise Refused(
            f"there is a lab {topology.path} already, and novaops has not made it",
            why=f"Its author is {found.author or 'nobody'}.",
            fix="give this one another name: in the file",
        )


def refuse_unfit(topology: Topology, found: FoundLab, server: FoundServer) -> None:
    """Raises Refused for what cannot come to run: before anything is made or started."""
    refuse_foreign(topology, found)
    for name in topology.nodes:
        node = topology.node(name)
        _refuse_image(name, str(node.template), node.image, server)
        there = found.nodes.get(name)
        if there and (there.template != node.template or (node.image and there.image != node.image)):
            raise Refused(
                f"the lab has a node {name} of {there.image or there.template}, where the file says {node.image or node.template}",
                why="A node keeps its image, and what is on its disks would be lost with it.",
                fix="take the lab down first, or give the node another name",
            )
    starting = sum(not (name in found.nodes and found.nodes[name].runs) for name in topology.nodes)
    if starting and server.running + starting > server.limit:
        raise Refused(
            f"{starting} nodes are to be started, and {server.running} run: this EVE-NG runs {server.limit} at once",
            why="Nothing was started.",
            fix="stop others, take fewer nodes; or with a licence of EVE-NG 7 write licensed: true into the file",
        )


def _refuse_image(node: str, template: str, image: str | None, server: FoundServer) -> None:
    title = server.templates.get(template)
    if title is None:
        raise Refused(f"node {node}: this EVE-NG has no template {template}", fix=f"it has {', '.join(sorted(server.templates))}")
    have = server.images.get(template, ())
    if title.endswith(MISSING) or (image and image not in have):
        what = f"there is no image {image}" if image and have else f"there is no image for the template {template}"
        why = f"It has {', '.join(have)}." if have else ""
        raise Refused(f"node {node}: {what}", why=why, fix=f"novaops eve image add FILE HOST --template {template}")


def node_body(topology: Topology, name: str, server: FoundServer) -> dict[str, Any]:
    """What EVE-NG is told of a new node: with as many interfaces as its links need."""
    node = topology.node(name)
    said = {"type": server.kinds.get(str(node.template), "qemu"), **node.given(), "name": name}
    ends = [end.interface or "" for link in topology.links for end in link.ends if end.node == name]
    places = [int(found[1]) for found in (PLACE.fullmatch(one.lower()) for one in ends) if found]
    needed = max([len(ends), *(place + 1 for place in places)])
    if "ethernet" not in said and needed > server.ethernets.get(str(node.template), 0):
        said["ethernet"] = needed
    place = list(topology.nodes).index(name)
    return {"left": 100 + 200 * (place % 5), "top": 100 + 200 * (place // 5), **said}


@dataclass(frozen=True)
class Wire:
    """A link that is to be made: these interfaces into that network."""

    network: int | None
    """None: a new one."""
    kind: str
    name: str
    connect: tuple[tuple[str, int], ...]
    """Node and number of the interface."""


def wires(topology: Topology, found: FoundLab) -> list[Wire | None]:
    """For each link what is to be made, once every node is there; None where it is as the file says. Raises Refused."""
    given: set[int | None] = set()
    made: list[Wire | None] = []
    for link, inner in zip(topology.links, _inner(topology, found), strict=True):
        cloud = next((end.node for end in link.ends if topology.is_cloud(end)), None)
        network = _network(link, cloud, inner, found, given)
        given.add(network)
        connect = tuple((node, interface.number) for node, interface in inner if interface.network != network)
        made.append(Wire(network, cloud or "bridge", cloud or link.name, connect) if network is None or connect else None)
    return made


Inner = list[tuple[str, Interface]]
"""The ends of a link that are at nodes."""


def _inner(topology: Topology, found: FoundLab) -> list[Inner]:
    """For each link the interfaces that its ends name; those that name none take the next of the node that no link names.

    Raises Refused.
    """
    taken: dict[tuple[str, int], End] = {}
    for end in (end for link in topology.links for end in link.ends if end.interface is not None and not topology.is_cloud(end)):
        number = _interface(found.nodes[end.node], end).number
        if (first := taken.setdefault((end.node, number), end)) is not end:
            raise Refused(f"links: {first} and {end} are one interface", why="An interface has one link.", fix="take another one")
    return [
        [(end.node, _taken(found.nodes[end.node], end, link, taken)) for end in link.ends if not topology.is_cloud(end)]
        for link in topology.links
    ]


def _taken(node: FoundNode, end: End, link: Link, taken: dict[tuple[str, int], End]) -> Interface:
    if end.interface is not None:
        return _interface(node, end)
    free = next((one for one in node.interfaces if (node.name, one.number) not in taken), None)
    if free is None:
        raise Refused(f"links: {node.name} has no interface left for the link {link}", why=_has(node), fix="give it more: ethernet")
    taken[node.name, free.number] = end
    return free


def _interface(node: FoundNode, end: End) -> Interface:
    found = node.interface(end.interface or "")
    if found is None:
        fix = "name one of these, or give it more: ethernet"
        raise Refused(f"links: {end.node} has no interface {end.interface}", why=_has(node), fix=fix)
    return found


def _has(node: FoundNode) -> str:
    return f"It has {', '.join(one.name for one in node.interfaces) or 'none'}."


def _network(link: Link, cloud: str | None, inner: Inner, found: FoundLab, given: set[int | None]) -> int | None:
    """The network that the ends are to be in; None where it has to be made. Raises Refused where one of them is elsewhere.

    `given` are those of the links before it.
    """
    now = {interface.network for _, interface in inner} - {0}
    if cloud is not None:
        known = next((one.number for one in found.networks if one.kind == cloud), None)
        if now - {known}:
            raise _elsewhere(link)
        return known
    if not now:
        left = (one.number for one in found.networks if one.name == link.name and not found.members(one.number))
        return next((number for number in left if number not in given), None)
    if len(now) > 1 or found.members(min(now)) - {(node, interface.number) for node, interface in inner}:
        raise _elsewhere(link)
    return min(now)


def _elsewhere(link: Link) -> Refused:
    return Refused(
        f"the link {link} cannot be made",
        why="One of its interfaces is connected to something else in that lab.",
        fix="take that link away in the lab, or give it other interfaces in the file",
    )
