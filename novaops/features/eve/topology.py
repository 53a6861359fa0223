"""The file of a lab: nodes and links. Pure.

Users of netlab and containerlab find their forms: `device` and `kind` are other names of `template`, `topology:` may stand around
it, and a link is `r1-r2`, `[r1, r2]`, `["r1:eth1", "r2:eth1"]` or `{endpoints: [...]}`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from novaops.errors import InventoryError
from novaops.features.eve import api_paths
from novaops.features.eve.data import StrictModel
from novaops.features.eve.ping import answered
from novaops.formats import yaml_text

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_ -]{0,62}"
_CLOUD = re.compile(r"pnet[0-9]|nat0|internal[0-9]?|private[0-9]?")
"""Networks that EVE-NG has of itself: pnet0 is the host's own, nat0 is there on EVE-NG 7."""
PLACE = re.compile(r"(?:e|eth|ethernet)?(\d+)")
"""An interface by its place among the node's, in lower case."""
_OTHER_NAMES = {"kind": "template", "device": "template", "memory": "ram", "cpus": "cpu"}
"""Keys of containerlab and netlab, and what they are here."""

Name = Annotated[str, Field(pattern=rf"^{_NAME}$")]


def _renamed(value: Any) -> Any:
    if not isinstance(value, dict):
        return {"template": value} if isinstance(value, str) else {} if value is None else value
    return {key if _OTHER_NAMES.get(key, key) in value else _OTHER_NAMES.get(key, key): one for key, one in value.items()}


class Node(StrictModel):
    """A node. What is None, EVE-NG's template decides."""

    template: str | None = None
    image: str | None = None
    cpu: Annotated[int | None, Field(ge=1, le=64)] = None
    ram: Annotated[int | None, Field(ge=1)] = None
    """MiB."""
    ethernet: Annotated[int | None, Field(ge=1, le=128)] = None
    console: Literal["telnet", "vnc"] | None = None
    icon: str | None = None
    left: Annotated[int | None, Field(ge=0)] = None
    top: Annotated[int | None, Field(ge=0)] = None
    delay: Annotated[int | None, Field(ge=0)] = None

    def over(self, defaults: Node) -> Node:
        return Node(**{**defaults.given(), **self.given()})

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


AnyNode = Annotated[Node, BeforeValidator(_renamed)]


class End(StrictModel):
    """Where a link ends: at a node's interface, or at a network of EVE-NG's own."""

    node: str
    interface: str | None = None
    """Its name or number; None is the next one that no link names."""

    @property
    def place(self) -> str:
        """The interface, written in one way: `e1`, `eth1` and `1` are one."""
        name = str(self.interface).lower()
        plain = PLACE.fullmatch(name)
        return plain[1] if plain else name

    def __str__(self) -> str:
        return self.node if self.interface is None else f"{self.node}:{self.interface}"


class Link(StrictModel):
    ends: tuple[End, ...]

    @property
    def name(self) -> str:
        return "-".join(end.node for end in self.ends)

    def __str__(self) -> str:
        return " - ".join(map(str, self.ends))


def _pattern(text: str) -> str:
    try:
        always = re.search(text, "")
    except (re.error, OverflowError) as error:  # the latter for a{99999999999}
        raise ValueError(f'"{text}" is no regular expression: {error}') from None
    if always:
        raise ValueError(f'"{text}" is found in every answer, and in none: it asserts nothing')
    return text


class Assertion(StrictModel):
    """What is typed on a node's console, and what must come back."""

    node: Name = Field(alias="from")
    ping: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9.:_-]+$")] = None
    send: str | None = None
    expect: Annotated[str | None, AfterValidator(_pattern)] = None
    within: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Assertion:
        if (self.ping is None) == (self.send is None):
            raise ValueError("one of ping and send is needed")
        if self.send is not None and self.expect is None:
            raise ValueError("send needs expect: what must come back")
        return self

    @property
    def typed(self) -> str:
        return f"ping {self.ping}" if self.send is None else self.send

    @property
    def pattern(self) -> str:
        return self.expect or answered(str(self.ping))

    def __str__(self) -> str:
        return f"{self.node}: {self.typed}"


def _folder(text: str) -> str:
    api_paths.encoded(text)
    return "/" + text.strip("/")


class Topology(StrictModel):
    name: Name
    host: str | None = None
    folder: Annotated[str, AfterValidator(_folder)] = "/"
    description: str = ""
    licensed: bool = False
    """Whether this EVE-NG 7 has a licence: without one few nodes run at once."""
    defaults: AnyNode = Node()
    nodes: dict[Name, AnyNode]
    links: tuple[Link, ...] = ()
    assertions: tuple[Assertion, ...] = Field(default=(), alias="validate")

    @property
    def path(self) -> str:
        return api_paths.lab_file(self.folder, self.name)

    def node(self, name: str) -> Node:
        return self.nodes[name].over(self.defaults)

    def is_cloud(self, end: End) -> bool:
        return end.node not in self.nodes

    @model_validator(mode="before")
    @classmethod
    def _our_form(cls, data: Any) -> Any:
        """As containerlab and netlab write it, as we do."""
        if not isinstance(data, dict):
            return data
        inner = data.get("topology")
        data = {**{key: value for key, value in data.items() if key != "topology"}, **inner} if isinstance(inner, dict) else dict(data)
        nodes = data.get("nodes")
        if isinstance(nodes, list) and all(isinstance(one, str) for one in nodes):
            nodes = data["nodes"] = dict.fromkeys(nodes)
        if isinstance(data.get("links"), list) and isinstance(nodes, dict):
            data["links"] = [_link(link, nodes) for link in data["links"]]
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Topology:
        if not self.nodes:
            raise ValueError("a lab needs a node")
        if bare := [name for name in self.nodes if self.node(name).template is None]:
            raise ValueError(f"nodes/{bare[0]}: template is needed, here or in defaults")
        if unknown := [one.node for one in self.assertions if one.node not in self.nodes]:
            raise ValueError(f"validate: there is no node {unknown[0]}")
        for link in self.links:
            self._check(link)
        named = [end for link in self.links for end in link.ends if end.interface is not None and not self.is_cloud(end)]
        twice = Counter((end.node, end.place) for end in named)
        if again := [str(end) for end in named if twice[end.node, end.place] > 1]:
            raise ValueError(f"links: {again[0]} has two links")
        return self

    def _check(self, link: Link) -> None:
        for end in link.ends:
            if end.node not in self.nodes and not _CLOUD.fullmatch(end.node):
                raise ValueError(f"links: {end} is neither a node nor a network of EVE-NG such as pnet0")
        if len(link.ends) < 2:  # noqa: PLR2004 - a link has two ends
            raise ValueError(f"links: {link.name or 'a link'} has fewer than two ends")
        if sum(self.is_cloud(end) for end in link.ends) > 1:
            raise ValueError(f"links: {link.name} joins two networks of EVE-NG")


def _link(value: Any, nodes: Mapping[str, Any]) -> Any:
    """A link in any of its forms as {ends: [...]}; another value as it is, for the schema to refuse."""
    if isinstance(value, dict) and set(value) == {"endpoints"}:
        value = value["endpoints"]
    if isinstance(value, dict) and value and set(value) <= {*nodes} | {key for key in value if _CLOUD.fullmatch(key)}:
        value = list(value)  # netlab: {r1: {...}, r2: {...}}, whose addresses are a matter of the nodes' own configuration
    if isinstance(value, str):
        value = next(_halves(value, nodes), [value])
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return {"ends": [dict(zip(("node", "interface"), one.split(":", 1), strict=False)) for one in value]}
    return value


def _halves(text: str, nodes: Mapping[str, Any]) -> Iterator[list[str]]:
    """`r1-r2` and `r1:e0-r2:e1` in two, where both halves begin with a name. Names may have hyphens."""
    for at in (found.start() for found in re.finditer("-", text)):
        halves = [text[:at].strip(" -"), text[at + 1 :].strip(" -")]
        if all(half.partition(":")[0] in nodes or _CLOUD.fullmatch(half) for half in halves):
            yield halves


def parse(text: str, file: str) -> Topology:
    """Raises InventoryError with the file, the line and the path of what is wrong."""
    from novaops.engine import inventory

    document = yaml_text.load(text, file)
    if not isinstance(document.data, dict):
        raise InventoryError(f"{file}: a lab is a mapping with nodes: and links:", fix="docs/eve.md has an example")
    stem = re.sub(r"(\.clab)?\.ya?ml$", "", file.rpartition("/")[2])
    try:
        return Topology.model_validate({"name": stem, **document.data})
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(document, first["loc"])
        where = "/".join(map(str, place))
        raise InventoryError(f"{file}:{document.line(place)}: {where + ': ' if where else ''}{inventory.message(first)}") from None


def _place(document: yaml_text.Document, loc: tuple[int | str, ...]) -> yaml_text.Path:
    """The path as it was written: what stands within `topology:`, and keys that have another name here."""
    path = tuple(part for part in loc if not (isinstance(part, str) and part.startswith("function-")))
    for prefix in ((), ("topology",)):
        for known in (path, (*path[:-1], *(other for other, ours in _OTHER_NAMES.items() if path and ours == path[-1]))):
            if (*prefix, *known) in document.lines:
                return (*prefix, *known)
    return path
