"""Requests to one provider by one route: the key, the addresses, errors as sentences. The one module that speaks HTTP."""

from __future__ import annotations

import json as jsonlib
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from novaops.errors import Unreachable, UsageError
from novaops.features.api.llm import failure, sse
from novaops.features.api.llm.environment import chosen_proxies, proxy_of, trusted
from novaops.features.api.llm.protocol import ApiFailed, Credential, KeyPair
from novaops.features.api.llm.redact import Redactor, secrets_of
from novaops.features.api.llm.route import Route, is_local
from novaops.features.api.llm.token import token
from novaops.formats import names
from novaops.providers.answer import is_html, states_error

CONNECT = 10.0
"""Seconds for the connection."""
SILENCE = 600.0
"""Seconds that an API may be silent: a model may think for minutes before its first word."""
RETRIES = 2
PATIENCE = 30.0
"""Seconds that are waited at most before one more try, where the API says when."""
_THINGS = frozenset({"id", "choices"})
"""Fields of what was asked for: a file that failed has an error beside them, and is no refusal."""
_ASKED_TO_WAIT = frozenset({429, 503})
_ERROR_BYTES = 65_536
_OK = range(200, 300)
_TOKENS = 32
"""So many signed tokens are remembered, of requests that may still be answered."""


class Http:
    """A client of one provider. Paths are below that of an endpoint, the first one unless said otherwise: `/models`.

    Documents and errors have no secret of the request in them, also where the API sends one back.
    All methods raise ApiFailed where the API does not answer with success, and Unreachable where it cannot be reached.
    """

    def __init__(
        self,
        name: str,
        credential: Credential,
        route: Route,
        *,
        timeout: float | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`timeout`: the seconds that the API may be silent. `tell` is called with a sentence when there is something to wait for."""
        self.name = name
        self.route = route
        self.provider = route.provider
        self._credential = credential if route.sends_key else None
        self._secrets = secrets_of(self._credential, route)
        self._tokens: deque[str] = deque(maxlen=_TOKENS)
        self._tell = tell
        self._silence = timeout or SILENCE
        self._connect = min(CONNECT, self._silence)
        self._client = _client(
            route, httpx2.Timeout(self._silence, connect=self._connect), httpx2.Limits(keepalive_expiry=self.provider.idle)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def redactor(self) -> Redactor:
        """Takes out what the requests have shown of who asks. For what comes in pieces."""
        return Redactor([*self._secrets, *self._tokens])

    def document(self, method: str, below: str, **request: Any) -> Any:
        """The JSON that is answered; None for an empty answer. `request` is as in `open`."""
        with self.open(method, below, **request) as response:
            text = self._text(response)
        if not text:
            return None
        try:
            document = self.redactor().document(jsonlib.loads(text))
        except (ValueError, RecursionError):
            text = self.redactor().text(text)
            error = failure.refused(self._asked(response, ""), response.status_code, _plain(response.headers), text, time.time())
            what = error.what if "web page" in error.what else f"{self.name} answers with what is no JSON: {text[:80]!r}"
            raise ApiFailed(what, fix=error.fix, status=response.status_code) from None
        if isinstance(document, dict) and states_error(document) and not _THINGS & document.keys():
            raise failure.stated(self.name, jsonlib.dumps(document))
        return document

    def events(self, below: str, body: Mapping[str, Any]) -> Iterator[sse.ServerEvent]:
        """The events of a POST whose answer streams. Closing the iterator closes the connection."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        with self.open("POST", below, json=body, headers=headers, model=str(body.get("model", ""))) as response:
            if "json" in response.headers.get("content-type", ""):
                yield sse.ServerEvent(self._text(response))
                return
            chunks = response.iter_bytes()
            with self._reading():
                first = next(chunks, b"")
            if is_html(response.headers.get("content-type", ""), first.decode("utf-8", "replace")):
                raise self._refusal(response, "", chain([first], chunks))
            with self._reading():
                try:
                    yield from sse.events(chain([first], chunks))
                except sse.TooLong as error:
                    raise ApiFailed(f"{self.name} does not stop: {error}") from None

    @contextmanager
    def open(
        self,
        method: str,
        below: str,
        *,
        endpoint: int = 0,
        model: str = "",
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        **content: Any,
    ) -> Iterator[httpx2.Response]:
        """An answer with success, whose body is not read yet.

        `content` is httpx2's: json, params, data, files, content. Where that can be read only once, say retry=False.
        """
        for attempt in range(RETRIES + 1):
            request = self._request(method, below, endpoint, headers or {}, content)
            response = self._sent(request)
            try:
                if response.status_code in _OK:
                    yield response
                    return
                wait = _wait(response) if retry and attempt < RETRIES else None
                if wait is None:
                    raise self._refusal(response, model)
            finally:
                response.close()
            self._tell(f"{self.name} asks to wait for {wait:g} s ({response.status_code})")
            time.sleep(wait)

    def _request(self, method: str, below: str, endpoint: int, headers: Mapping[str, str], content: Mapping[str, Any]) -> httpx2.Request:
        url, extensions, own = self.route.url(below, endpoint), {}, {}
        parts = urlsplit(url)
        there = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        if entrance := self.route.forwards.get(there):
            url = parts._replace(netloc=names.pair(*entrance)).geturl()
            extensions, own = {"sni_hostname": there[0]}, {"Host": parts.netloc}
        shown = {**self.provider.headers, "Accept": "application/json", **self._credentials(), **own, **headers}
        try:
            return self._client.build_request(method, url, headers=shown, extensions=extensions, **content)
        except UnicodeEncodeError:
            raise UsageError(f"a word of the request to {self.name} is no text in UTF-8", fix="nothing was sent") from None

    def _credentials(self) -> dict[str, str]:
        form, given = self.provider.key, self._credential
        key = token(given, time.time()) if isinstance(given, KeyPair) else given.reveal() if given else ""
        if isinstance(given, KeyPair):
            self._tokens.append(key)
        of_site = {name: secret.reveal() for name, secret in self.route.headers.items()}
        return {**({form.header: form.value(key)} if key else {}), **of_site}

    def _sent(self, request: httpx2.Request) -> httpx2.Response:
        there = f"{request.headers['host']} by {self.route.name}" if self.route.name != "direct" else request.headers["host"]
        try:
            return self._client.send(request, stream=True)
        except httpx2.ConnectTimeout:
            raise failure.not_connected(self._by_proxy(there), "", late=self._connect) from None
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            found = failure.not_connected(self._by_proxy(there), str(error))
            found.fix = f"{self.provider.start} starts it" if self.provider.start else found.fix
            raise found from None
        except httpx2.TimeoutException:
            raise failure.silent(self.name, self._silence) from None
        except httpx2.HTTPError as error:
            raise Unreachable(f"{there} closed the connection before it answered", why=str(error), fix="run it again") from None

    def _by_proxy(self, there: str) -> str:
        """With the variable whose proxy was on the way."""
        name, _ = proxy_of(self.route.url("")) if _may_go_by_proxy(self.route) else ("", "")
        return f"{there} by the proxy of {name}" if name else there

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException:
            raise failure.silent(self.name, self._silence) from None
        except httpx2.HTTPError as error:
            raise failure.cut(self.name, str(error)) from None

    def _text(self, response: httpx2.Response) -> str:
        with self._reading():
            return response.read().decode("utf-8-sig", "replace")

    def _refusal(self, response: httpx2.Response, model: str, chunks: Iterable[bytes] | None = None) -> ApiFailed:
        """`chunks`: the body, where its beginning was read."""
        body = b""
        with suppress(httpx2.HTTPError):
            for chunk in response.iter_bytes() if chunks is None else chunks:
                body += chunk
                if len(body) > _ERROR_BYTES:
                    break
        redactor = self.redactor()
        text = redactor.text(body.decode("utf-8-sig", "replace"))
        error = failure.refused(self._asked(response, model), response.status_code, _plain(response.headers), text, time.time())
        redactor.error(error)
        return error

    def _asked(self, response: httpx2.Response, model: str) -> failure.Asked:
        asked = failure.Asked(self.name, response.request.url.path, model, self._credential)
        return replace(asked, puts_in=not self.route.sends_key, by=self.route.name)


def _client(route: Route, timeout: httpx2.Timeout, limits: httpx2.Limits) -> httpx2.Client:
    """Raises UsageError where the environment names a proxy or authorities that cannot be used.

    SSL_CERT_FILE counts on every route. Reading it takes 0.1 s; without TLS nobody's certificates are accepted.
    """
    urls = [route.url("", number) for number in range(len(route.provider.endpoints))]
    trust = trusted() if any(url.startswith("https:") for url in urls) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    by_proxy = _may_go_by_proxy(route)
    chosen = chosen_proxies(urls) if by_proxy else None
    try:
        return httpx2.Client(
            timeout=timeout,
            limits=limits,
            headers={"User-Agent": "novaops"},
            verify=trust,
            trust_env=by_proxy and chosen is None,
            mounts={url: httpx2.HTTPTransport(verify=trust, limits=limits, proxy=proxy) for url, proxy in (chosen or {}).items()},
        )
    except (httpx2.InvalidURL, ValueError) as error:
        raise UsageError(
            "the proxy that HTTPS_PROXY or ALL_PROXY names cannot be used", why=f"{error}.", fix="name one like http://HOST:PORT"
        ) from None


def _may_go_by_proxy(route: Route) -> bool:
    return not route.forwards and not is_local(urlsplit(route.url("")).hostname or "")


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _wait(response: httpx2.Response) -> float | None:
    """The seconds to wait before one more try; None where the API does not say, or says too long."""
    said = response.headers.get("retry-after", "")
    if response.status_code not in _ASKED_TO_WAIT or not said:
        return None
    seconds = float(said) if said.isdecimal() else failure.until(said, time.time())
    return max(0.0, seconds) if seconds is not None and seconds <= PATIENCE else None
