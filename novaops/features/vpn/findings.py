"""What examining an OpenVPN profile gives: findings, and the options that are kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from novaops.features.vpn.profile import Option, Profile
from novaops.secret import Secret

Weight = Literal["refused", "mended", "left out", "warning", "note"]
"""refused: no link can be made with it · mended, left out: `vpn up` changes the profile accordingly, and reports it ·
warning: should be changed at the server or in the profile · note: worth knowing."""

WHOLE = Option(("",), 0)
"""What a finding about the whole profile is about."""


@dataclass(frozen=True)
class Finding:
    line: int
    """0 where it is about the whole profile."""
    option: str
    weight: Weight
    what: str
    fix: str = ""
    """What to change, and where."""


@dataclass(frozen=True)
class Given:
    """What is known beside the profile."""

    now: int
    """Seconds since 1970."""
    user: bool = False
    """Whether a user and a password are set for it."""
    key_password: Secret | None = None
    later: bool = False
    """Whether missing secrets may still be given later: the profile is only examined, not used."""

    @property
    def missing_secret(self) -> Weight:
        """What a secret weighs that the profile needs and nobody has given."""
        return "note" if self.later else "refused"


@dataclass
class Examined:
    findings: list[Finding] = field(default_factory=list)
    kept: list[Option] = field(default_factory=list)
    """The options that go into the configuration."""
    login: tuple[str, Secret] | None = None
    """User and password that the profile itself contains."""
    wants_login: bool = False
    login_is_reported: bool = False
    """Whether a finding says already why there is no login."""
    proxy_login: tuple[str, Secret] | None = None
    """User and password of the HTTP or SOCKS proxy before the server, from a file beside the profile."""
    key_password: Secret | None = None
    """The private key's password that the profile itself contains."""
    encrypted: bool = False
    """Whether the private key is encrypted."""

    def report(self, option: Option, weight: Weight, what: str, fix: str = "") -> None:
        self.findings.append(Finding(option.line, option.name, weight, what, fix))

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.weight == "refused"]

    @property
    def protocols(self) -> set[str]:
        return {protocol for _, _, protocol in Profile(tuple(self.kept)).remotes}
