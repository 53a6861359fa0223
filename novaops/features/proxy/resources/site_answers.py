"""The proof that a site works: one request that must go through it, and one that must not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from novaops.errors import HostFailed
from novaops.features.proxy.facts.answer import Answered, SiteAnswer
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.secret import Secret

OWN_ERROR = '"novaops_proxy"'
"""Found in the bodies of the proxy's own errors, and never in an API's."""

REGION = "unsupported_country_region_territory"

_STATUSES = range(100, 600)


@dataclass(frozen=True)
class SiteAnswers(Resource):
    name: str
    urls: tuple[str, ...]
    """What is requested; nothing where the site has no exact name."""
    to: str
    """ADDRESS:PORT of the site on its host."""
    after: str
    """The site's file: without it the site is not set up, and nothing is requested."""
    certificate: str
    mode: str
    """inject, token, passthrough, basic, from, open."""
    api: str = ""
    """The name of the API behind it; "" for servers of one's own."""
    key_is_known: bool = False
    allowed: tuple[str, ...] = ()
    """The networks that may use it; empty for all."""
    headers: tuple[tuple[str, str | Secret], ...] = field(default=(), repr=False)
    login: Secret | None = None
    log: str = ""

    @property
    def id(self) -> str:
        return f"proxy:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        for url in self.urls:
            yield self._known(url)
            yield self._stranger(url)

    def _known(self, url: str) -> SiteAnswer:
        return SiteAnswer(url, self.to, self.after, self.certificate, self.headers, self.login, self.log)

    def _stranger(self, url: str) -> SiteAnswer:
        return SiteAnswer(url, self.to, self.after, self.certificate)

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed when a stranger is let in, or a client gets no answer from behind the site."""
        for url in self.urls:
            known, stranger = facts[self._known(url)], facts[self._stranger(url)]
            if known is Missing.ABSENT or stranger is Missing.ABSENT:
                raise HostFailed(f"{self.name}: the site cannot be tested on the host", why="curl is missing.", fix="install curl")
            self._check_closed(url, stranger)
            self._check_passes(url, known)

    def _check_closed(self, url: str, answered: Answered) -> None:
        wanted = 403 if not self._from_here else 401 if self.mode in {"inject", "token", "basic"} else None
        if wanted is None or answered.status in {wanted, 403} or answered.status not in _STATUSES:
            return
        raise HostFailed(
            f"{self.name}: {url} answers {answered.status} to a stranger, where it should answer {wanted}",
            why=answered.body[:200],
            fix=f"it is open: close it with novaops proxy remove HOST --name {self.name}, then look for what opens it: nginx -T",
        )

    def _check_passes(self, url: str, answered: Answered) -> None:
        if answered.status not in _STATUSES:
            raise HostFailed(
                f"{self.name}: {url} does not answer", why=answered.trouble or "nginx closed the connection", fix=self._see_log
            )
        if not self._from_here and answered.status == HTTPStatus.FORBIDDEN:
            return
        ours = OWN_ERROR in answered.body or not self.api
        if answered.status in {502, 503, 504} and ours:
            self._upstream_fails(url, answered)
        if self.api and ours:
            raise HostFailed(f"{self.name}: {url} answers {answered.status}", why=answered.body[:300], fix=self._see_log)
        if answered.status == HTTPStatus.FORBIDDEN and REGION in answered.body:
            raise HostFailed(
                f"{self.name}: {self.api} does not serve the region this host is in",
                why=answered.body[:300],
                fix="put the proxy on a host in a country that the provider serves",
            )
        if self.api and self.key_is_known and answered.status in {401, 403}:
            raise HostFailed(
                f"{self.name}: {self.api} does not take the key: {answered.status}",
                why=answered.body[:300],
                fix="see whether the key is still valid, and is one of this provider's",
            )
        if not self.api and self.login and answered.status == HTTPStatus.UNAUTHORIZED:
            raise HostFailed(f"{self.name}: {url} answers 401 to its own user", why=answered.logged, fix=self._see_log)

    def _upstream_fails(self, url: str, answered: Answered) -> None:
        refuses = "has no key" if self.api else "does not want to answer"
        reason = {502: "cannot be reached", 503: refuses, 504: "does not answer in time"}[answered.status]
        raise HostFailed(
            f"{self.name}: the site is up, but {self.api or 'its upstream'} {reason}: {url} answers {answered.status}",
            why=answered.logged,
            fix="when the upstream is up again, nothing needs to be done to the site",
        )

    @property
    def _from_here(self) -> bool:
        """Whether the host itself is in a network that may use the site."""
        if not self.allowed:
            return True
        to = self.to.rpartition(":")[0].strip("[]")
        here = ipaddress.ip_address({"0.0.0.0": "127.0.0.1", "127.0.0.2": "127.0.0.1", "::": "::1"}.get(to, to))  # noqa: S104 - compared
        return any(here.version == net.version and here in net for net in map(ipaddress.ip_network, self.allowed))

    @property
    def _see_log(self) -> str:
        return f"its error log says more: {self.log}" if self.log else ""
