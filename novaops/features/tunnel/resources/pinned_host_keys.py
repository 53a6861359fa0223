"""The known_hosts file of a tunnel: exactly the host keys that the gateway's sshd has, under a name of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.features.tunnel.facts.ends import HostKeys
from novaops.features.tunnel.paths import config_file, header
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.file import File

ALIAS = "gateway"


@dataclass(frozen=True)
class PinnedHostKeys(Resource):
    name: str
    gateway: str
    then: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    @property
    def path(self) -> str:
        return config_file(self.name, "known_hosts")

    def questions(self) -> Iterable[Question[Any]]:
        return File(self.path, "", then=self.then).questions()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        yield self.gateway, HostKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        keys = facts.of(self.gateway).known(HostKeys())
        if not keys:
            raise HostFailed(f"{self.gateway} has no host key that could be pinned")
        text = "".join(f"{line}\n" for line in (header(self.name), *(f"{ALIAS} {key}" for key in keys)))
        return File(self.path, text, then=self.then).plan(facts)
