"""The proof that a site works: one request that must go through it, and one that must not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
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

_NOBODY = "no live upstreams"
_IN_LOG = (
    (_NOBODY, "has no address yet that answers", "see whether the host can resolve its name; the site asks again every 20 s"),
    ("too big header", "answers with a larger head than the site takes", "raise max_head: (32k without it), and deploy again"),
    ("certificate", "shows a certificate that is not its own", "if it is a right one, name its authority: upstream_ca: FILE"),
)
"""What nginx logs of an answer that it cannot pass on, what that means, and what can be done."""

_Problem = tuple[str, str, str]
"""What is wrong, why, and how to fix it."""


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
            for what, why, fix in (*self._lets_strangers_in(url, stranger), *self._does_not_serve(url, known)):
                raise HostFailed(f"{self.name}: {what}", why=why, fix=fix)

    def _lets_strangers_in(self, url: str, answered: Answered) -> Iterator[_Problem]:
        wanted = 403 if not self._from_here else 401 if self.mode in {"inject", "token", "basic"} else None
        if wanted is not None and answered.status not in {wanted, 403} and answered.status in _STATUSES:
            yield (
                f"{url} answers {answered.status} to a stranger, where it should answer {wanted}",
                answered.body[:200],
                f"it is open: close it with novaops proxy remove HOST --name {self.name}, then look for what opens it: nginx -T",
            )

    def _does_not_serve(self, url: str, answered: Answered) -> Iterator[_Problem]:
        status, body = answered.status, answered.body[:300]
        is_own = OWN_ERROR in answered.body or not self.api
        known = _IN_LOG if self.api else [line for line in _IN_LOG if line[0] != _NOBODY]
        in_log, advice = next(((what, fix) for mark, what, fix in known if mark in answered.logged), ("cannot be reached", ""))
        no_upstream = {
            502: in_log,
            503: "has no key" if self.api else "does not want to answer",
            504: "does not answer in time",
        }
        if status not in _STATUSES:
            yield f"{url} does not answer", answered.error or "nginx closed the connection", self._see_log
        elif not self._from_here and status == HTTPStatus.FORBIDDEN:
            return
        elif is_own and status in no_upstream:
            yield (
                f"the site is up, but {self.api or 'its upstream'} {no_upstream[status]}: {url} answers {status}",
                answered.logged,
                (advice if status == HTTPStatus.BAD_GATEWAY else "")
                or "when the upstream is up again, nothing needs to be done to the site",
            )
        elif is_own and self.api:
            yield f"{url} answers {status}", body, self._see_log
        elif status == HTTPStatus.FORBIDDEN and REGION in answered.body:
            region = "put the proxy on a host in a country that the provider serves"
            yield f"{self.api} does not serve the region this host is in", body, region
        elif self.api and self.key_is_known and status in {401, 403}:
            yield f"{self.api} does not take the key: {status}", body, "see whether the key is still valid, and is one of this provider's"
        elif not self.api and self.login and status == HTTPStatus.UNAUTHORIZED:
            yield f"{url} answers 401 to its own user", answered.logged, self._see_log

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
