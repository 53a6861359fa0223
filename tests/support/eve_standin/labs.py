"""Labs: nodes, networks, and which interface is in which network. Each is a .unl file as well, which names its images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

CHOSEN = ("name", "template", "image", "type", "console", "cpu", "ram", "ethernet", "left", "top", "icon", "delay", "config")


@dataclass
class Lab:
    path: str
    texts: dict[str, str]
    nodes: dict[int, dict[str, Any]] = field(default_factory=dict)
    networks: dict[int, dict[str, Any]] = field(default_factory=dict)
    wires: dict[tuple[int, int], int] = field(default_factory=dict)
    """By node and interface the network."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2].removesuffix(".unl")

    def add_node(self, said: dict[str, Any]) -> int:
        number = max(self.nodes, default=0) + 1
        self.nodes[number] = {
            "name": f"Node{number}",
            "console": "telnet",
            "ethernet": 4,
            "cpu": 1,
            "ram": 64,
            "delay": 0,
            **said,
            "id": number,
        }
        return number

    def add_network(self, said: dict[str, Any]) -> int:
        number = max(self.networks, default=0) + 1
        self.networks[number] = {"name": f"Net{number}", "type": "bridge", "visibility": 1, **said, "id": number}
        return number

    def remove_node(self, number: int) -> None:
        del self.nodes[number]
        self.wires = {end: network for end, network in self.wires.items() if end[0] != number}

    def remove_network(self, number: int) -> None:
        del self.networks[number]
        self.wires = {end: network for end, network in self.wires.items() if network != number}

    def interfaces(self, node: int) -> dict[str, Any]:
        count = int(self.nodes[node]["ethernet"])
        ethernet = [{"name": f"e{index}", "network_id": self.wires.get((node, index), 0)} for index in range(count)]
        return {"id": node, "sort": self.nodes[node].get("type", "qemu"), "ethernet": ethernet, "serial": []}

    def write(self, root: Path) -> None:
        """The lab file, as far as anybody reads it: which node is of which image."""
        file = root / "labs" / self.path.strip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        nodes = "".join(
            f"      <node {' '.join(f'{key}={quoteattr(str(node[key]))}' for key in ('id', *CHOSEN) if node.get(key) is not None)}/>\n"
            for node in self.nodes.values()
        )
        lab = f"<lab name={quoteattr(self.name)}>\n  <topology>\n    <nodes>\n{nodes}    </nodes>\n  </topology>\n</lab>\n"
        file.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{lab}', "utf-8")

    def erase(self, root: Path) -> None:
        (root / "labs" / self.path.strip("/")).unlink(missing_ok=True)
