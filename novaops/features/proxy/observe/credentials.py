"""The secrets of a site, and how requests carry them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from novaops.engine.secret_source import resolve
from novaops.features.proxy.auth import Auth
from novaops.features.proxy.observe.site import ExpectedSite
from novaops.secret import Secret


@dataclass(frozen=True)
class SiteSecrets:
    wanted: ExpectedSite
    by_name: Mapping[str, Secret] = field(default_factory=dict)
    """Everything that nobody else may know: "password of USER", "login of USER" (as it travels), "token of CLIENT", "own key of CLIENT",
    "key", "test_key"."""

    @classmethod
    def of(cls, wanted: ExpectedSite) -> SiteSecrets:
        """Raises UsageError where a secret cannot be resolved."""
        auth = wanted.auth if wanted.present else Auth()
        references = {f"password of {user}": reference for user, reference in auth.basic.items()}
        references |= {f"token of {client}": reference for client, reference in auth.token.items()}
        references |= {f"own key of {client}": reference for client, reference in auth.keys.items()}
        references |= {"key": auth.inject} if auth.inject else {}
        references |= {"test_key": wanted.site.test_key} if wanted.present and wanted.site.test_key else {}
        found = {name: resolve(reference) for name, reference in references.items()}
        return cls(wanted, found | {f"login of {user}": _login(user, found[f"password of {user}"]) for user in auth.basic})

    def headers(self, *, wrong: bool = False) -> dict[str, str]:
        """What lets the first user or client in. With `wrong` its password or token is a random one."""
        wanted, random = self.wanted, secrets.token_hex(16)
        found = dict(wanted.provider.headers) if wanted.provider else {}
        if wanted.provider and "test_key" in self.by_name:
            found[wanted.provider.key.header] = wanted.provider.key.value(self.by_name["test_key"].reveal())
        if wanted.guard == "basic":
            user = next(iter(wanted.auth.basic))
            login = _login(user, Secret(random)) if wrong else self.by_name[f"login of {user}"]
            found["Authorization"] = f"Basic {login.reveal()}"
        if wanted.guard == "key" and wanted.provider:
            own = random if wrong else self.by_name[f"own key of {next(iter(wanted.auth.keys))}"].reveal()
            found[wanted.provider.key.header] = wanted.provider.key.value(own)
        if wanted.guard == "token":
            found[wanted.auth.header] = random if wrong else self.by_name[f"token of {next(iter(wanted.auth.token))}"].reveal()
        return found


def _login(user: str, password: Secret) -> Secret:
    return Secret(base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())
