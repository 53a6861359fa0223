"""What stands before every request: whose page may send it, and who may see the answer.

The app listens on loopback, where every program of the machine and, through the browser, every web page can send requests. A page of
somebody else's is kept out three times: its name is not in `Host` (DNS rebinding), its origin is in `Origin` and `Sec-Fetch-Site`,
and the cookie is not sent from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from novaops.errors import Refused
from novaops.features.api.app.sentences import bug, refusal
from novaops.features.api.app.session import Session

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""On every answer, errors included."""

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_PURPOSES = ("purpose", "sec-purpose", "x-purpose", "x-moz")
"""Headers in which browsers say that they fetch a link that nobody has followed. It would spend the token."""
_READS = {"GET", "HEAD"}
_UNKNOWN_BROWSER = Refused(
    "this browser is not known here",
    why="The link that novaops printed is good for one browser, once.",
    fix="open that link; if it was used, end novaops with Ctrl-C and start it again",
)
_TOKEN = "token"  # noqa: S105 - the name of a parameter


class SecurityHeaders:
    """Puts HEADERS on every answer, also on that to a request which an exception ended. `tell` is called with that."""

    def __init__(self, app: ASGIApp, tell: Callable[[Exception], None]) -> None:
        self.app = app
        self.tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the page gets a sentence, and the next request an answer
            self.tell(error)
            if not started:
                await refusal(bug(error), HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send_with_headers)


class OnlyTheUser:
    """Lets through what the page in the user's browser sends, and nothing else."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        self.app = app
        self.session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = self._answer(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), Headers(scope=scope))
            await (answer or self.app)(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)

    def _answer(self, method: str, path: str, query: str, headers: Headers) -> Response | None:
        """Why the request goes no further; None where it does."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
            return refusal(Refused("the page is served at 127.0.0.1 and localhost only"), HTTPStatus.MISDIRECTED_REQUEST)
        if foreign(method, path, headers):
            return refusal(Refused("a page of another origin sent this request"), HTTPStatus.FORBIDDEN)
        if any(word in headers.get(name, "").lower() for name in _PURPOSES for word in ("prefetch", "preview")):
            return refusal(Refused("nobody has opened this page yet: a browser only looks ahead"), HTTPStatus.FORBIDDEN)
        known = self.session.knows(headers.get("cookie", ""))
        if path == "/" and method == "GET" and (token := parse_qs(query).get(_TOKEN)):
            cookie = None if known else self.session.exchange(token[0])
            if known or cookie:
                return _to_the_page(cookie, headers.get("sec-fetch-site"))
        if known:
            return None
        if path == "/":
            return PlainTextResponse(str(_UNKNOWN_BROWSER), HTTPStatus.FORBIDDEN)
        return refusal(_UNKNOWN_BROWSER, HTTPStatus.FORBIDDEN)


def _to_the_page(cookie: str | None, site: str | None) -> Response:
    """To the address without the token. After a click on another site a redirection would go without the new cookie (SameSite), so
    that the browser has to begin anew from here.
    """
    headers = {"Set-Cookie": cookie} if cookie else {}
    if site in {None, "none", "same-origin"}:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, headers)
    return Response(headers={**headers, "Refresh": "0; url=/"})


def foreign(method: str, path: str, headers: Headers) -> bool:
    """Whether another page caused the request. To follow a link to the page itself is nobody's attack: it shows no more than the page."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    ours = f"http://{headers['host']}"
    if origin is not None and origin.lower() != ours.lower():
        return True
    if method not in _READS:
        return origin is None or site not in {None, "same-origin"}
    return path != "/" and site not in {None, "same-origin", "none"}
