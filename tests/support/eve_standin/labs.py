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
        kind = self.nodes[node].get("type", "qemu")
        found = {number: {"name": name, "network_id": self.wires.get((node, number), 0)} for number, name in self.names(node).items()}
        return {"id": node, "sort": kind, "ethernet": list(found.values()) if kind == "qemu" else found, "serial": []}

    def names(self, node: int) -> dict[int, str]:
        """By number. Those of IOL and dynamips have slots of four ports: 0, 16, 32 and 48 are the first one's."""
        count = int(self.nodes[node]["ethernet"])
        if self.nodes[node].get("type", "qemu") == "qemu":
            return {number: f"e{number}" for number in range(count)}
        return {slot + 16 * port: f"e{slot}/{port}" for slot in range(count) for port in range(4)}

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
