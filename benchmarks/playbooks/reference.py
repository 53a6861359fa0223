"""reference: the host that benchmarks measure. 13 resources of every kind that a small server has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.package import Package

_TEXT = "# reference\n" + "".join(f"key_{number} = {number}\n" for number in range(40))


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    packages: tuple[str, ...] = ("sudo", "procps", "openssh-server")
    copies: int = 1
    """How many times over: 13 resources each."""


def desired(host: Any, settings: Settings, peers: Mapping[str, Any]) -> Iterator[Resource]:
    del host, peers
    yield from map(Package, settings.packages)
    for copy in range(settings.copies):
        top = f"/etc/reference-{copy}"
        yield Directory(top)
        for folder in ("conf.d", "keys", "state"):
            yield Directory(f"{top}/{folder}", mode="0750")
        for number in range(6):
            yield File(f"{top}/conf.d/{number}.conf", _TEXT, mode="0640", check=("test", "-s", "{}"))
