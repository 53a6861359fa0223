"""Who may use the page: the token of the printed link, once, and from then on the cookie that it was exchanged for."""

from __future__ import annotations

import hmac
import secrets
import threading

_BYTES = 32


class Session:
    """One start of the app. The token is good for one exchange, the cookie until the program ends."""

    def __init__(self, port: int) -> None:
        self.cookie_name = f"novaops-{port}"  # cookies do not know ports: two apps must not overwrite each other's
        self.token = secrets.token_urlsafe(_BYTES)
        self._cookie = secrets.token_urlsafe(_BYTES)
        self._exchanged = False
        self._lock = threading.Lock()

    def exchange(self, token: str) -> str | None:
        """The Set-Cookie header for the token, the first time that it is shown; None for a wrong or used one."""
        with self._lock:
            if self._exchanged or not _same(token, self.token):
                return None
            self._exchanged = True
        return f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def knows(self, cookie_header: str) -> bool:
        """Whether a request with this Cookie header is from the browser that made the exchange."""
        pairs = (pair.partition("=") for pair in cookie_header.split(";"))  # SimpleCookie gives up at an odd one of another program
        return any(name.strip() == self.cookie_name and _same(value.strip(), self._cookie) for name, _, value in pairs)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
