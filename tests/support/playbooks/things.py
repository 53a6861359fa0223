"""things: files and directories as a test wants them. Copied beside an inventory, which makes `things:` a section there."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from novaops.model.plan import Resource, Risk, Step
from novaops.model.question import Facts
from novaops.resources.directory import Directory
from novaops.resources.file import File


@dataclass(frozen=True)
class Guarded(File):
    def plan(self, facts: Facts) -> Iterator[Step]:
        yield from (replace(step, risk=Risk.LOCKOUT) for step in super().plan(facts))


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    directory: bool = False
    content: str | None = None
    base64: str | None = None
    """The content, where it is no text."""
    mode: str | None = None
    owner: str = "root"
    group: str = "root"
    check: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    guarded: bool = False
    """Whether it could lock somebody out."""


Settings = list[Thing]


def desired(host: Any, settings: Settings, peers: Mapping[str, Any]) -> Iterator[Resource]:
    del host, peers
    for thing in settings:
        if thing.directory:
            yield Directory(thing.path, thing.mode or "0755", thing.owner, thing.group)
        else:
            content = base64.b64decode(thing.base64) if thing.base64 is not None else thing.content
            kind = Guarded if thing.guarded else File
            yield kind(thing.path, content, thing.mode or "0644", thing.owner, thing.group, thing.check, thing.then)
