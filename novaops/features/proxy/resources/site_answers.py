"""The proof that a site works: one request that must go through it, and one that must not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from novaops.errors import HostFailed
from novaops.features.proxy.facts.answer import Answered, SiteAnswer
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.providers import proof
from novaops.providers.proof import ApiAnswer, Asked
from novaops.secret import Secret

_STATUSES = range(100, 600)

_API_TROUBLE = {502: "cannot be reached", 503: "has no key", 504: "does not answer in time"}
_UPSTREAM_TROUBLE = {502: "cannot be reached", 503: "does not want to answer", 504: "does not answer in time"}
_UPSTREAM = "see why it does not answer; when it does again, nothing needs to be done to the site"
_BUSY = (
    "the site is up, but nginx itself turns requests away, by a limit of its own: {url} answers 503",
    "novaops proxy deploy takes limits of other files back for its site; nginx -T shows who sets them (limit_conn, limit_req)",
)
WANTS_CERTIFICATE = "asks its clients for a certificate of their own, which the site does not"
WHO_WANTS_IT = "nginx -T shows who sets it (ssl_verify_client)"
NO_CERTIFICATE = "SSL certificate"
"""What nginx's page says, of a client that shows no certificate or a wrong one, with 400."""
_SPEAKS_TLS = re.compile(r"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS|plain HTTP to an SSL|requires TLS", re.IGNORECASE)
"""What nginx, Go, Apache and Tomcat say, with 400, to who asks a port of TLS in plain http."""
_NOBODY = "no live upstreams"
_TURNED_AWAY = "nginx itself answers: nginx -T shows what turns requests away, such as an access module that is on for all servers"
_NOT_OURS = "nginx -T shows who has this name, port and address"
_WANTS_OURS = "wants a certificate from who asks, and the site has none"
_SHOWS_NONE = "a site shows no certificate to what is behind it: name an address that asks for none"
_IN_LOG = (
    (_NOBODY, "has no address yet that answers", "see whether the host can resolve its name; the site asks again every 20 s"),
    (
        "could not be resolved (3:",
        "has a name that nginx finds no address for",
        "nginx asks DNS alone, and does not read /etc/hosts, where getent hosts NAME looks too: give DNS the name, or write its address",
    ),
    ("could not be resolved", "has a name, and no name server answers nginx", "see whether the name servers of /etc/resolv.conf answer"),
    ("too big header", "answers with a larger head than the site takes", "raise max_head: (32k without it), and deploy again"),
    ("alert certificate required", _WANTS_OURS, _SHOWS_NONE),
    ("alert bad certificate", _WANTS_OURS, _SHOWS_NONE),
    ("certificate does not match", "shows a certificate that is not its own", "see who answers there: the certificate is for another name"),
    ("certificate has expired", "shows a certificate that has expired", "have it renewed there, or set the host's clock right"),
    ("certificate is not yet valid", "shows a certificate that is not valid yet", "see whether the host's clock is right"),
    (
        "certificate verify error",
        "shows a certificate of an authority that is not trusted",
        "if it is a right one, name its authority: upstream_ca: FILE",
    ),
)
"""What nginx logs of an answer that it cannot pass on, what that means, and what can be done."""

_Problem = tuple[str, str, str]
"""What is wrong, why, and how to fix it."""


@dataclass(frozen=True)
class ApiBehind:
    """The API that a site leads to, as far as its answers say whether it was reached."""

    name: str
    has_key: bool
    """Whether a key of the API's goes with the request."""
    injects: bool = False
    """Whether it is the site that puts it in."""
    described: bool = True
    """Whether a provider's file says what answers at the URL."""
    without_key: tuple[int, ...] = proof.WITHOUT_KEY
    speaks_json: bool = True
    """Whether it is known to answer with JSON at the path."""


@dataclass(frozen=True)
class SiteAnswers(Resource):
    name: str
    urls: tuple[str, ...]
    """What is requested; nothing where no name is known that the site takes."""
    to: str
    """ADDRESS:PORT of the site on its host, or OUTSIDE:PORT."""
    after: str
    """The site's file: without it the site is not set up, and nothing is requested."""
    certificate: str
    mode: str
    """keys, inject, token, passthrough, basic, from, open."""
    api: ApiBehind | None = None
    """None for servers of one's own."""
    allowed: tuple[str, ...] = ()
    """The networks that may use it; empty for all."""
    headers: tuple[tuple[str, str | Secret], ...] = field(default=(), repr=False)
    login: Secret | None = None
    log: str = ""
    gathers: bool = False
    """Whether nginx gathers what a server of one's own answers, before it passes it on."""
    behind: tuple[SiteAnswer, ...] = ()
    """What is asked past the site where the host itself may not use it. One of them has to serve."""

    @property
    def id(self) -> str:
        return f"proxy:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        for url in self.urls:
            yield self._known(url)
            yield self._stranger(url)
        yield from self._past_the_site

    def _known(self, url: str) -> SiteAnswer:
        return SiteAnswer(url, self.to, self.after, self.certificate, self.headers, self.login, self.log)

    def _stranger(self, url: str) -> SiteAnswer:
        """The same request without what says who asks. Where nothing says that, it is the same question, and is asked once."""
        if not self.headers and self.login is None:
            return self._known(url)
        return SiteAnswer(url, self.to, self.after, self.certificate)

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()

    def notes(self, facts: Facts) -> Iterable[str]:
        for url in self.urls:
            known = self._seen(url, facts)
            if known is None:
                continue
            if _request(known.redirect) == _request(url):
                yield (
                    f"{url} leads to itself ({known.status}): where no cookie ends that, a browser gives up. What answers may take every request "
                    "for plain http: have it believe X-Forwarded-Proto"
                )
            if self.gathers and known.is_stream:
                yield f"{url} answers with a stream of events, which nginx gathers: buffering: off, or --no-buffering, passes each on at once"
        if not self.urls:
            yield "it was asked nothing: all of its names are patterns, and so nothing shows that it works"
        elif not self._from_here:
            asked = " and ".join(question.url for question in self.behind)
            past = f"novaops asked {asked or 'nothing'} past it"
            yield f"the site is for {', '.join(self.allowed)}, and so not for this host: {past}, and no request went through the site"

    def _seen(self, url: str, facts: Facts) -> Answered | None:
        """None for what was not asked, and for what the host could not say: `verify_works` tells of that."""
        try:
            known = facts[self._known(url)]
        except HostFailed:
            return None
        return None if known is Missing.ABSENT else known

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed when a stranger is let in, or a client gets no answer from behind the site."""
        for url in self.urls:
            known, stranger = facts[self._known(url)], facts[self._stranger(url)]
            if known is Missing.ABSENT or stranger is Missing.ABSENT:
                raise HostFailed(f"{self.name}: the site cannot be tested on the host", why="curl is missing.", fix="install curl")
            self._raise(*self._wants_certificate(url, known), *self._lets_strangers_in(url, stranger), *self._does_not_serve(url, known))
        self._raise(*self._is_not_served(facts))

    def _raise(self, *problems: _Problem) -> None:
        for what, why, fix in problems:
            raise HostFailed(f"{self.name}: {what}", why=why, fix=fix)

    def _wants_certificate(self, url: str, answered: Answered) -> Iterator[_Problem]:
        if answered.status == HTTPStatus.BAD_REQUEST and NO_CERTIFICATE in answered.body:
            fix = f"novaops proxy deploy takes that back for its site; {WHO_WANTS_IT}"
            yield f"{url} {WANTS_CERTIFICATE}", answered.body[:200], fix

    def _lets_strangers_in(self, url: str, answered: Answered) -> Iterator[_Problem]:
        wanted = 403 if not self._from_here else 401 if self.mode in {"keys", "inject", "token", "basic"} else None
        if wanted is None or answered.status in {wanted, 403} or answered.status not in _STATUSES:
            return
        if answered.status == HTTPStatus.TOO_MANY_REQUESTS:
            what = f"{url} answers 429 to a stranger, so it was not seen whether it lets one in"
            yield what, answered.body[:200], "the host asked with a wrong key too often: run it again in a minute"
        elif answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not answered.passed:
            yield f"{url} answers {answered.status} to a stranger, where it should answer {wanted}", answered.logged, self._see_log
        else:
            yield (
                f"{url} answers {answered.status} to a stranger, where it should answer {wanted}",
                answered.body[:200],
                f"it is open: close it with novaops proxy remove HOST --name {self.name}, then look for what opens it: nginx -T",
            )

    def _does_not_serve(self, url: str, answered: Answered) -> Iterator[_Problem]:
        if not answered.status:
            yield f"{url} does not answer", answered.error or "nginx closed the connection", self._see_log
        elif answered.site != self.name:
            why = f"It comes from {who_answers(answered.site)}."
            yield f"{url} answers {answered.status}, but that is not this site's answer", why, _NOT_OURS
        elif not answered.whole:
            yield f"{url} answers {answered.status}, and the answer breaks off", answered.error, self._see_log
        elif not self._from_here and answered.status == HTTPStatus.FORBIDDEN:
            return
        elif self.api is None:
            yield from self._own_server(url, answered) if answered.passed else self._own_answer(url, answered)
        else:
            yield from self._api_behind(self.api, url, answered)

    @property
    def _past_the_site(self) -> tuple[SiteAnswer, ...]:
        return () if self._from_here else self.behind

    def _is_not_served(self, facts: Facts) -> Iterator[_Problem]:
        """By what is behind it, asked past the site. Where there are several, nginx asks another one of them."""
        problems: list[_Problem] = []
        for question in self._past_the_site:
            answered = facts[question]
            problem = None if answered is Missing.ABSENT else next(self._refuses(question.url, answered), None)
            if problem is None:
                return
            problems.append(problem)
        yield from problems[:1]

    def _refuses(self, url: str, answered: Answered) -> Iterator[_Problem]:
        if not answered.status:
            who = self.api.name if self.api else "its upstream"
            yield f"the site is up, but {who} cannot be reached: {url} does not answer", answered.error, _UPSTREAM
        elif not answered.whole:
            yield f"{url} answers {answered.status}, and the answer breaks off", answered.error, _UPSTREAM
        elif self.api is None:
            yield from self._own_server(url, answered)
        else:
            yield from self._api_behind(self.api, url, answered)

    def _own_answer(self, url: str, answered: Answered) -> Iterator[_Problem]:
        """Of nginx itself: where it is no error of the way to the upstream, something turned the request away before."""
        found = [*self._own_server(url, answered)]
        yield from found or [(f"{url} answers {answered.status}, and no request came to its upstream", answered.logged, _TURNED_AWAY)]

    def _own_server(self, url: str, answered: Answered) -> Iterator[_Problem]:
        if answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            yield self._no_answer("its upstream", _UPSTREAM_TROUBLE.get(answered.status, "is in trouble"), url, answered)
        elif answered.status == HTTPStatus.BAD_REQUEST and _SPEAKS_TLS.search(answered.body):
            fix = "write https:// before its address in upstreams:, and verify: off where its certificate is not for that name"
            yield f"the site is up, but its upstream wants TLS, and is asked without: {url} answers 400", answered.body[:200], fix
        elif self.login and answered.status == HTTPStatus.UNAUTHORIZED:
            yield f"{url} answers 401 to its own user", answered.logged, self._see_log

    def _api_behind(self, api: ApiBehind, url: str, answered: Answered) -> Iterator[_Problem]:
        """What an answer has to be is said in `providers/proof.py`."""
        own = proof.own_error(answered.body)
        if own is not None and own.code == "busy":
            yield _BUSY[0].format(url=url), answered.logged, _BUSY[1]
            return
        if own is not None and answered.status in _API_TROUBLE:
            yield self._no_answer(api.name, _API_TROUBLE[answered.status], url, answered)
            return
        if own is not None:
            yield f"{url} answers {answered.status}", own.message, self._see_log
            return
        path = f"/{url.partition('://')[2].partition('/')[2]}"
        asked = Asked(
            *(path, api.has_key, api.injects),
            speaks_json=api.speaks_json,
            described=api.described,
            without_key=api.without_key,
            closed=api.described,
            reached=f"{api.name} is reached",
            region="the region that this host is in",
        )
        verdict = proof.judge(asked, ApiAnswer(answered.status, answered.content_type, answered.body, answered.redirect))
        if not verdict.works:
            yield verdict.text, f"{url} answers {answered.status}", verdict.fix

    def _no_answer(self, who: str, trouble: str, url: str, answered: Answered) -> _Problem:
        """Of an answer that is nginx's own, in its place."""
        fix = _UPSTREAM
        if answered.status == HTTPStatus.BAD_GATEWAY:
            known = _IN_LOG if self.api else [line for line in _IN_LOG if line[0] != _NOBODY]
            trouble, fix = next(((what, fix) for mark, what, fix in known if mark in answered.logged), (trouble, fix))
            fix = fix if self.api else fix.replace("upstream_ca:", "verify:")
        return f"the site is up, but {who} {trouble}: {url} answers {answered.status}", answered.logged, fix

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


def _request(url: str) -> tuple[str, ...]:
    """What a client asks for, by whatever spelling of the URL; nothing for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ()
    return (parts.scheme, (parts.hostname or "").rstrip("."), str(port), parts.path or "/", parts.query)


def who_answers(site: str) -> str:
    """In words, by the name that the answer gives itself; "" for none."""
    return f"the site {site}" if site else "another server of this host"
