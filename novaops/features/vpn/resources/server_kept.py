"""What no flag has named of a server stays as it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from novaops.errors import Refused
from novaops.features.vpn import server_made
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class ServerKept(Resource):
    """Nothing is opened or closed by leaving a flag out, also where the host did not say how its server was made. Changes nothing."""

    server: str
    wanted: Mapping[str, Any] = field(hash=False)
    """Its settings, in the form of `server_made.settings`."""
    made: Mapping[str, Any] = field(hash=False)
    """How it was made, as far as that was known when `wanted` was put together."""
    says_reaches: bool = False
    """Whether flags say where its clients may go."""

    @property
    def id(self) -> str:
        return f"server as made:{self.server}"

    def questions(self) -> Iterable[Question[Any]]:
        return server_made.questions(self.server)

    def plan(self, facts: Facts) -> Iterable[Step]:
        made = server_made.settings(self.server, facts)
        if "network" in made and "reaches" not in made and not self.says_reaches:
            raise Refused(
                f"where the clients of {self.server} may go is not known: {server_made.questions(self.server)[-1].path} is not there",
                why="What no flag names stays as it is.",
                fix="say it: --reaches CIDR,..., or --reaches 0.0.0.0/0 for everywhere",
            )
        for key, value in self.wanted.items():
            if key in made and made[key] not in (self.made.get(key), value):
                raise Refused(
                    f"the server {self.server} has {key} {_shown(made[key])}, which was not known when this run began",
                    why="What no flag names stays as it is.",
                    fix="try again",
                )
        return ()


def _shown(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "0.0.0.0/0"
