"""An HTTP client for one site, under the site's name and with TLS always verified."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from novaops.features.proxy.observe.certificate import Shown, Trust
from novaops.features.proxy.observe.site import ExpectedSite
from novaops.verify.http import FAILURES, HttpConnection, trouble
from novaops.verify.http_answer import HttpAnswer, Request
from novaops.verify.reach import Reach


@dataclass
class SiteClient:
    wanted: ExpectedSite
    reach: Reach
    trust: Trust
    context: ssl.SSLContext | None = None
    """What the site's certificate was verified with; None where it was not, and without TLS."""

    def certificates(self) -> tuple[Shown, ...]:
        """Of each name. What verified the first one is used from then on."""
        port = self.wanted.site.port
        found = [self.trust.look(name, lambda: self.reach.open(port)) for name in self.wanted.names]
        self.context = found[0][1]
        return tuple(shown for shown, _ in found)

    def ask(
        self, request: Request, *, port: int = 0, on_host: bool = False, context: ssl.SSLContext | None = None, name: str = ""
    ) -> HttpAnswer:
        """One request on a connection of its own: to the site's port and name, from here, unless something else is given."""
        own = self.wanted.site.port
        chosen = context or (self.context if port in {0, own} else None)
        try:
            stream = self.reach.through(self.reach.inner, port or own) if on_host else self.reach.open(port or own)
            # HTTP/2 has no Upgrade. nginx passes on in it events that it holds back from SDKs, which speak HTTP/1.1.
            http2 = "Upgrade" not in request.headers and request.headers.get("Accept") != "text/event-stream"
            with HttpConnection(stream, chosen, name or self.wanted.names[0], http2=http2) as connection:
                return connection.ask(request)
        except FAILURES as error:
            return HttpAnswer(trouble=trouble(error))

    def repeat(self, request: Request, count: int) -> Iterator[HttpAnswer]:
        """On one connection as long as it lasts, so that one and the same worker of nginx balances the requests."""
        port = self.wanted.site.port
        while count:
            answers: list[HttpAnswer] = []
            with suppress(*FAILURES), HttpConnection(self.reach.open(port), self.context, self.wanted.names[0]) as connection:
                while len(answers) < count:
                    answers.append(connection.ask(request))
                    if "close" in answers[-1].header("Connection").lower():
                        break
            answers = answers or [HttpAnswer(trouble="the connection is closed without an answer")]
            count -= len(answers)
            yield from answers

    def ask_server(self, host: str, port: int, request: Request) -> HttpAnswer:
        """A request to a server behind the site, past the site, from the host."""
        try:
            with HttpConnection(self.reach.through(host, port)) as connection:
                return connection.ask(request)
        except FAILURES as error:
            return HttpAnswer(trouble=trouble(error))
