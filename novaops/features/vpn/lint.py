"""What is wrong with an OpenVPN profile for OpenVPN 2.6 and OpenSSL 3, and what of it is kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from novaops.features.vpn.credentials import take_credentials, take_proxy_login
from novaops.features.vpn.findings import WHOLE, Examined, Given
from novaops.features.vpn.lint_ciphers import examine_ciphers
from novaops.features.vpn.lint_identity import examine_identity
from novaops.features.vpn.lint_keys import examine_keys
from novaops.features.vpn.lint_options import apply
from novaops.features.vpn.lint_parameters import PORT, PROTOCOL, examine_parameters
from novaops.features.vpn.lint_together import examine_together
from novaops.features.vpn.profile import Option, Profile


def examine(profile: Profile, given: Given, logins: Mapping[str, bytes | str] | None = None) -> Examined:
    """`profile` is filled: its files are blocks. `logins` are its files with users and passwords, by their names in the profile:
    the content, or as text why one cannot be read.
    """
    found = Examined()
    for option in profile.options:
        apply(option, found)
    take_credentials(profile, found, logins or {}, given)
    take_proxy_login(profile, found, logins or {})
    _whole(profile, found)
    examine_ciphers(profile, found)
    examine_identity(found)
    _authentication(profile, found, given)
    examine_keys(profile, found, given)
    examine_parameters(found)
    examine_together(found)
    found.findings.sort(key=lambda finding: finding.line or 1_000_000)
    return found


def _whole(profile: Profile, found: Examined) -> None:
    if not profile.options:
        found.report(WHOLE, "refused", "the profile is empty", "take the client's .ovpn")
        return
    if found.refusals:
        return
    has = profile.all
    for wrong, what, fix in (
        (
            not has("client", "pull", "tls-client"),
            "it has no `client`: this is no profile of a client",
            "take the client's .ovpn",
        ),
        (not profile.remotes, "it has no `remote`: nobody knows where the server is", "remote HOST PORT"),
        (
            not has("ca", "pkcs12", "peer-fingerprint"),
            "it has no authority (ca): no server could be told from a false one",
            "ask for the ca, and put it into the profile",
        ),
        (
            has("cert") and not has("key", "pkcs12"),
            "it has a certificate (cert), and no key to it",
            "ask for the key, and put it into the profile",
        ),
    ):
        if wrong:
            found.report(WHOLE, "refused", what, fix)
    for remote in profile.remotes:
        patterns = (r"[A-Za-z0-9_.:-]+", PORT, PROTOCOL)
        if not all(map(re.fullmatch, patterns, remote)):
            found.report(WHOLE, "refused", f"remote {' '.join(remote)} is no server", "remote HOST PORT udp|tcp")


def _authentication(profile: Profile, found: Examined, given: Given) -> None:
    asks = profile.last("auth-user-pass")
    if asks is not None and found.login is None and not given.user and not found.login_is_reported and not found.refusals:
        found.report(
            asks,
            given.missing_secret,
            "a user and a password are asked for, and nobody is there at a boot",
            "settings user: and password:, or a block <auth-user-pass> with two lines",
        )
    if not profile.all("cert", "pkcs12") and asks is None and not found.refusals:
        what = "it has neither a certificate nor auth-user-pass: nobody would be let in"
        found.report(Option(("cert",), 0), "refused", what, "ask for the client's own profile")
