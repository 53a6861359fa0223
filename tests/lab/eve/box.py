"""A container that says it is Ubuntu, and the stand-in for EVE-NG's repository, which this machine serves."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novaops.features.eve.facts.database import script
from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.support.eve_repository.repository import Repository
from tests.support.things import write_inventory

PW = {"WEB": "wired-Fjord-8-kite"}
OS = "rm /etc/os-release; printf 'ID=ubuntu\\nVERSION_ID=\"%s\"\\nPRETTY_NAME=\"Ubuntu %s\"\\n' '{0}' '{0}' >/etc/os-release"
KEYS = "cat /etc/ssh/ssh_host_*.pub | sha256sum"
FROM_A_VM = "10.0.2.2"
"""This machine, as qemu's network for users has it."""

DATABASE = f"{script()}state"


@dataclass
class Box:
    """A container that says it is Ubuntu, and the repository that it is told of."""

    host: LabHost
    repository: Repository
    port: int
    folder: Path
    novaops: Novaops

    def inventory(self, repository: dict[str, Any] | None = None, **more: Any) -> Path:
        return self.inventory_at({}, repository, **more)

    def inventory_at(self, access: dict[str, Any], repository: dict[str, Any] | None = None, **more: Any) -> Path:
        """`access`: keys of the host that lead another way to it."""
        bridge = str(ipaddress.ip_network(f"{self.host.address}/24", strict=False)[1])
        here = FROM_A_VM if self.host.address == "127.0.0.1" else bridge
        at = {**self.repository.settings(here, self.port), **(repository or {})}
        section = {"web_password": "env:WEB", "nested": "not-required", "room": 1, "repository": at, **more}
        return write_inventory(self.folder, self.host, eve=section, **access)

    def __call__(self, *words: str, repository: dict[str, Any] | None = None, **section: Any) -> Done:
        return self.novaops(*words, self.host.name, "--json", inventory=self.inventory(repository, **section), env=PW, timeout=580)


def served(folder: Path, **how: Any) -> Iterator[tuple[Repository, int]]:
    made = Repository(folder / "repository", **how)
    try:
        with made.served() as port:
            yield made, port
    finally:
        made.close()
