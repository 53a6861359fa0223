"""The host keys of a tunnel's gateway, pinned on its client: as the gateway's own sshd names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.features.tunnel.facts.ends import HostKeys
from novaops.features.tunnel.paths import head, own
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.file import File

ALIAS = "gateway"


@dataclass(frozen=True)
class PinnedHostKeys(Resource):
    name: str
    via: str
    then: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"file:{self._path}"

    @property
    def _path(self) -> str:
        return own(self.name, "known_hosts")

    def questions(self) -> Iterable[Question[Any]]:
        return File(self._path, "", then=self.then).questions()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.via, HostKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        keys = facts.of(self.via).known(HostKeys())
        if not keys:
            raise HostFailed(f"{self.via} has no host key that could be pinned")
        text = "".join(f"{line}\n" for line in (head(self.name), *(f"{ALIAS} {key}" for key in keys)))
        return File(self._path, text, then=self.then).plan(facts)
