"""The removal of Debian's "Welcome to nginx!", which answers every name that no site has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.features.proxy.facts.nginx import DEFAULT_PAGE, Nginx
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question

_LINK = 'ln -s /etc/nginx/sites-available/default "$1" && { ! systemctl is-active -q nginx.service || systemctl reload nginx.service; }'


@dataclass(frozen=True)
class NoDefaultPage(Resource):
    """Only the link is removed, and only if the page is as the package made it: a page that was changed stays."""

    @property
    def id(self) -> str:
        return f"link:{DEFAULT_PAGE}"

    def questions(self) -> Iterable[Question[Any]]:
        yield Nginx()

    def plan(self, facts: Facts) -> Iterable[Step]:
        nginx = facts.known(Nginx())
        will_come = not nginx.installed and nginx.debian
        if not (will_come or nginx.default_page_is_debians):
            return
        there = f"[ -L {DEFAULT_PAGE} ]"
        link = Command(("sh", "-c", _LINK, "link", DEFAULT_PAGE), holds=f"{there} || [ ! -e /etc/nginx/sites-available/default ]")
        remove = Command(("rm", "--", DEFAULT_PAGE), holds=f"! {there}", undo=link)
        yield Step(self.id, (Change("link", "comes with nginx" if will_come else "present", None),), (remove,))
