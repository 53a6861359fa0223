"""That EVE-NG's page works: packages, services and passwords that are right do not say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.features.eve.facts.page import PageSays
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class PageAnswers(Resource):
    """No steps: it only proves."""

    @property
    def id(self) -> str:
        return "eve:page"

    def questions(self) -> Iterable[Question[Any]]:
        yield PageSays()

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()

    def verify_works(self, facts: Facts) -> None:
        if why := facts.known(PageSays()):
            fix = "novaops eve status HOST; journalctl -u apache2 -u mysql, and /opt/unetlab/data/Logs, on the host"
            raise HostFailed("EVE-NG's page does not work: its API does not answer as it should", why=why, fix=fix)
