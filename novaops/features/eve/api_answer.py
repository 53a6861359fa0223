"""What EVE-NG's API answers: JSend, in which a failure may come with the HTTP status 200. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed

_LOGGED_OUT = {401, 412}
_DENIED = {200, 400, 401, 403}
_WRONG = re.compile(r"\(90014\)|password|authentication failed", re.IGNORECASE)
_WIDTH = 200


class ApiFailed(HostFailed):
    """EVE-NG's API did not do what it was asked."""

    code = "eve-api"


class NotThere(ApiFailed):
    """It has no such path, or no such lab, node or network."""

    code = "eve-not-there"


class LoginRefused(ApiFailed):
    """It does not let that user in with that password."""

    code = "eve-login"


class SessionTaken(ApiFailed):
    """Another login of the same user ends our session each time. EVE-NG keeps one for each user."""

    code = "eve-session"


@dataclass(frozen=True)
class Answer:
    """One answer, as it came."""

    asked: str
    """Method and path, for messages."""
    status: int
    content_type: str
    body: bytes

    @property
    def logged_out(self) -> bool:
        return self.status in _LOGGED_OUT or self._envelope().get("status") == "unauthorized"

    @property
    def asks_for_login(self) -> bool:
        """Whether it is what EVE-NG says to one who is not logged in, and not only the status of it: any page may have that."""
        return self.status in _LOGGED_OUT and self._envelope().get("status") == "unauthorized"

    @property
    def described(self) -> str:
        """What it says, in a line."""
        return f"It said {self.message} with HTTP {self.status}." if self.message else self._instead()

    @property
    def message(self) -> str:
        return str(self._envelope().get("message", ""))

    @property
    def denies_login(self) -> bool:
        """Whether it says that user or password are wrong. An error of the server says nothing of them."""
        denied = self.status in _DENIED and self._envelope().get("status") in {"fail", "unauthorized", "forbidden"}
        return denied and bool(_WRONG.search(self.message))

    def data(self) -> Any:
        """What was asked for. Raises ApiFailed: the status of JSend decides, and not that of HTTP alone."""
        envelope = self._envelope()
        if not envelope:
            raise ApiFailed(f"EVE-NG does not answer {self.asked} as its API does", why=self._instead(), fix=NO_API)
        if envelope.get("status") == "success" and self.status < 300:  # noqa: PLR2004 - 2xx
            return envelope.get("data")
        kind = NotThere if self.status == 404 else ApiFailed  # noqa: PLR2004 - not found
        raise kind(f"EVE-NG refused {self.asked} (HTTP {self.status})", why=self.message or self._instead())

    def _envelope(self) -> dict[str, Any]:
        """Empty for what is no JSend."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) and "status" in found else {}

    def _instead(self) -> str:
        """What came, in a line."""
        text = self.body.decode("utf-8", "replace")
        title = re.search(r"<title>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        if title or "html" in self.content_type:
            said = f'a page of HTML named "{title[1][:_WIDTH]}"' if title else "a page of HTML"
        else:
            said = f'"{" ".join(text.split())[:_WIDTH]}"' if text.strip() else "nothing"
        return f"It sent {said} with HTTP {self.status}."


def mapping_of(found: Any) -> dict[str, Any]:
    """What has to be a mapping, of which PHP makes a list where it is empty. Raises ApiFailed."""
    if isinstance(found, dict):
        return found
    if found == []:
        return {}
    raise ApiFailed("EVE-NG's API gives an answer of another form than it has", why=f'It sent "{str(found)[:80]}".', fix=NO_API)


def number_of(found: Any) -> int:
    """What has to be a number, 0 where there is none. Raises ApiFailed."""
    try:
        return int(found or 0)
    except (TypeError, ValueError, OverflowError):
        raise ApiFailed("EVE-NG's API gives no number where it has one", why=f'It sent "{str(found)[:80]}".', fix=NO_API) from None


NO_API = "is that EVE-NG's page? systemctl status apache2, on the host, and --web-port where it listens elsewhere"
