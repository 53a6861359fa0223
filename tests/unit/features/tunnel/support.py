"""A tunnel, its inventory and what its two ends say, for the tests beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from novaops.engine import inventory
from novaops.engine.desired import DesiredState
from novaops.engine.playbooks import Playbooks
from novaops.facts.cloud_init import TEMPLATES, HostsTemplate
from novaops.facts.file import FileAt, FileState
from novaops.features.tunnel.facts.ends import (
    KeyFacts,
)
from novaops.features.tunnel.settings import Tunnel
from novaops.model.action import payload
from novaops.model.question import Facts, Missing
from novaops.resources.etc_hosts import HOSTS
from novaops.resources.file import File as FileResource

BOOKS = Playbooks(Path())
API = {"name": "api", "via": "gate", "to": "api.openai.com:443", "listen": "127.0.0.1:8443"}
SOCKS = {"name": "any", "via": "gate", "socks": "127.0.0.1:1080", "check": "https://api.openai.com/v1/models"}
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkU"


def tunnel(**more: Any) -> Tunnel:
    return Tunnel(**{key: value for key, value in {**API, **more}.items() if value is not None})


def known(tunnels: Sequence[Mapping[str, Any]], **gate: Any) -> inventory.Inventory:
    hosts = {"box": {"address": "192.0.2.1", "tunnel": list(tunnels)}, "gate": {"address": "192.0.2.2", "port": 2222, **gate}}
    return inventory.parse(json.dumps({"hosts": hosts}), "inventory.yaml", list(BOOKS.by_name))


def wishes(*tunnels: Mapping[str, Any], **gate: Any) -> DesiredState:
    found = known(tunnels, **gate)
    return BOOKS.desired(found, found.hosts["box"], ["tunnel"])


def file_of(wanted: DesiredState, path: str) -> str:
    files = [getattr(one, "resource", one) for one in wanted.own]
    (found,) = [one for one in files if isinstance(one, FileResource) and one.path == path]
    assert found.content is not None
    return payload(found.content).decode()


def facts(answers: Mapping[Any, Any], **peers: Mapping[Any, Any]) -> Facts:
    return Facts(answers, {}, {name: Facts(of_it, {}) for name, of_it in peers.items()})


KEY = KeyFacts(PUBLIC, PUBLIC, private=True)
HOME = "/var/lib/novaops-tunnel/.ssh/authorized_keys"
LINE = f"opts {PUBLIC} novaops:box/api"


def hosts(text: bytes, template: bytes | None = None, *, managed: bool = False) -> dict[Any, Any]:
    """The file, and the template that cloud-init has of it, which it reads at each boot where that is its to do."""
    answers: dict[Any, Any] = {FileAt(path): Missing.ABSENT for path in TEMPLATES.values()}
    if template is not None:
        answers[FileAt(TEMPLATES["debian"])] = FileState("regular file", "0644", "root", "root", template)
    answers[HostsTemplate()] = TEMPLATES["debian"] if managed else Missing.ABSENT
    return {**answers, FileAt(HOSTS): FileState("regular file", "0644", "root", "root", text)}
