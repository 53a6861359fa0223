"""once: a file named after the host, and a line in a list for each time that a run put it there. For a fleet that is one host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from novaops.engine import run_script
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.file import File

LIST = "/srv/once/list"

run_script.KEPT_RUNS = 1000  # type: ignore[attr-defined] # the host's journal has the runs of the whole fleet


class Settings(BaseModel):
    pass


def desired(host: Any, settings: Settings, peers: Mapping[str, Any]) -> Iterator[Resource]:
    del settings, peers
    yield Directory("/srv/once", "0755", "root", "root")
    yield File(f"/srv/once/{host.name}", b"here", "0644", "root", "root", (), ("sh", "-c", f"echo {host.name} >>{LIST}"))
