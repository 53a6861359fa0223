"""`eve lab status`: the nodes of a lab, for people and for machines. Pure."""

from __future__ import annotations

from typing import Any

from novaops.features.eve.lab_plan import FoundLab
from novaops.features.eve.topology import Topology

HEADERS = ("NODE", "TEMPLATE", "IMAGE", "STATE", "CONSOLE")
_STATES = {0: "stopped", 1: "stopped, locked", 2: "running", 3: "running, locked"}


def details(topology: Topology, found: FoundLab) -> dict[str, Any]:
    """Under `lab` its path, and whether it is there; under `nodes` those of the file, then the lab's others."""
    named = [(name, found.nodes.get(name)) for name in topology.nodes]
    others = [(name, node) for name, node in found.nodes.items() if name not in topology.nodes]
    return {
        "lab": {"path": topology.path, "there": found.exists, "author": found.author or ""},
        "nodes": [
            {
                "node": name,
                "template": node.template if node else str(topology.node(name).template),
                "image": node.image if node else topology.node(name).image or "",
                "state": _STATES.get(node.status, str(node.status)) if node else "not there",
                "console": node.url if node else "",
                "in_file": name in topology.nodes,
            }
            for name, node in [*named, *others]
        ],
    }


def is_up(found: dict[str, Any]) -> bool:
    """Whether each node of the file runs."""
    return all(node["state"].startswith("running") for node in found["nodes"] if node["in_file"])


def rows(found: dict[str, Any]) -> list[list[str]]:
    keys = ("node", "template", "image", "state", "console")
    return [
        [node[key] + (" (not in the file)" if key == "node" and not node["in_file"] else "") for key in keys] for node in found["nodes"]
    ]


def advice(found: dict[str, Any], said: str) -> str:
    """What to type next; `said` is as in LabRun."""
    if is_up(found):
        return f"novaops eve lab connect NODE{said} opens a console"
    return f"novaops eve lab up{said} starts what does not run"
