"""The page, served for a test by the real server in a thread."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from novaops.features.api.app.backend import Backend, Choice
from novaops.features.api.app.run import listen, server
from novaops.features.api.app.session import Session


@dataclass(frozen=True)
class Served:
    port: int
    session: Session

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.origin}/?token={self.session.token}"

    def user(self) -> Client:
        """Somebody who has the cookie, without an exchange."""
        return Client(self, f"{self.session.cookie_name}={self.session._cookie}")


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Client:
    page: Served
    cookie: str = ""

    def __call__(self, method: str, path: str, body: str | None = None, **headers: str) -> Got:
        """`headers` replace those that a browser would send from the page itself; an empty one is left out."""
        sent = {"Cookie": self.cookie}
        if method not in {"GET", "HEAD"}:
            sent |= {"Origin": self.page.origin, "Sec-Fetch-Site": "same-origin"}
        if body is not None:
            sent |= {"Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.page.port, timeout=20)
        connection.putrequest(method, path, skip_host="Host" in sent)
        for name, value in sent.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode() if body is not None else None)
        answer = connection.getresponse()
        got = Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        connection.close()
        return got


@contextmanager
def served(backend: Backend, chosen: Choice) -> Iterator[Served]:
    with listen(0) as listening:
        port = listening.getsockname()[1]
        session = Session(port)
        serving = server(backend, session, chosen)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, name="page")
        thread.start()
        try:
            yield Served(port, session)
        finally:
            serving.should_exit = True
            thread.join()
