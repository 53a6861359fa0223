"""The secrets of a site, resolved: its users' passwords, its clients' tokens, and keys of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from novaops.engine.secret_source import resolve
from novaops.errors import Refused, UsageError
from novaops.features.proxy.auth import Auth
from novaops.features.proxy.settings import Site
from novaops.formats import htpasswd
from novaops.formats.passwords import weakness
from novaops.secret import Secret


@dataclass(frozen=True)
class Credentials:
    """Each is resolved when it is first asked for. Raises UsageError where that fails, Refused where the secret is too weak."""

    entry: Site

    def resolve(self) -> None:
        """Resolve all of them now."""
        for name in ("passwords", "tokens", "keys", "key", "test_key"):
            getattr(self, name)

    @property
    def _auth(self) -> Auth:
        return self.entry.auth or Auth()

    @cached_property
    def passwords(self) -> dict[str, Secret]:
        """By user."""
        found = {user: resolve(reference) for user, reference in self._auth.basic.items()}
        for user, password in found.items():
            text = password.reveal()
            weak = weakness(text, user) or (
                "is longer than 72 bytes, and bcrypt looks at no more" if len(text.encode()) > htpasswd.LONGEST else ""
            )
            if weak or ":" in user:
                raise Refused(
                    f"{self.entry.name}: the password of {user} {weak}",
                    why="Attackers try common passwords on every address that answers https.",
                    fix="choose another one, such as: openssl rand -base64 15",
                )
        return found

    @cached_property
    def tokens(self) -> dict[str, Secret]:
        """By client."""
        found = {client: self._header_value("token", reference) for client, reference in self._auth.token.items()}
        for client, token in found.items():
            if weak := weakness(token.reveal()):
                raise Refused(f"{self.entry.name}: the token of {client} {weak}", fix="choose another one, such as: openssl rand -hex 24")
        self._refuse_shared("token", found)
        return found

    @cached_property
    def keys(self) -> dict[str, Secret]:
        """The proxy's own keys, by client."""
        found = {client: self._header_value("keys", reference) for client, reference in self._auth.keys.items()}
        for client, key in found.items():
            if weak := weakness(key.reveal()):
                raise Refused(f"{self.entry.name}: the key of {client} {weak}", fix="choose another one, such as: openssl rand -hex 24")
        self._refuse_shared("key", found)
        return found

    @cached_property
    def key(self) -> Secret | None:
        """The API key that the site adds to requests."""
        return self._header_value("inject", self._auth.inject) if self._auth.inject is not None else None

    @cached_property
    def test_key(self) -> Secret | None:
        """An API key for tests alone."""
        return self._header_value("test_key", self.entry.test_key) if self.entry.test_key is not None else None

    def _refuse_shared(self, what: str, found: Mapping[str, Secret]) -> None:
        """Without one of its two names, it would still open the site."""
        if twice := next((client for client, one in found.items() for other in found if other < client and found[other] == one), None):
            raise Refused(f"{self.entry.name}: the {what} of {twice} is another client's, too", fix="choose one for each")

    def _header_value(self, key: str, reference: str) -> Secret:
        """The secret. Raises UsageError where it could not be sent in a header."""
        secret = resolve(reference)
        if not secret.reveal() or not all(" " < c <= "~" for c in secret.reveal()):
            raise UsageError(f"{self.entry.name}: {key}: what {reference.partition(':')[0]}: gives is empty, or cannot stand in a header")
        return secret
