"""A SOCKS proxy of which flags do not say what it may reach is not let reach more than it could."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.field_types import is_covered
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class ReachKept(Resource):
    """Asked of the gateway, whose line for the tunnel's key says what the key may reach. Changes nothing."""

    client: str
    name: str
    comment: str
    """What the line ends with."""
    reaches: tuple[str, ...]
    """The default, as nobody said anything."""

    @property
    def id(self) -> str:
        return f"reach as made:{self.client}/{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield AuthorizedKeys()

    def plan(self, facts: Facts) -> Iterable[Step]:
        lines = (line for line in facts.known(AuthorizedKeys()).lines if not line.lstrip().startswith("#"))
        line = next((line for line in lines if line.split()[-1:] == [self.comment]), "")
        before = re.findall(r'permitopen="([^"]+)"', line)
        more = [one for one in self.reaches if not any(is_covered(one, by=other) for other in before)]
        if before and more:
            raise Refused(
                f"the tunnel {self.name} of {self.client} may reach {', '.join(before)}, and would be let reach {', '.join(more)} too",
                why="Without --reaches a SOCKS proxy reaches ports 80 and 443 of any host.",
                fix=f"--reaches {','.join(before)} leaves it as it is; --reaches '{','.join(self.reaches)}' lets it reach them",
            )
        return ()
