"""The certificates that a site presents, verified in a handshake: with what this machine trusts, or with the host's own file."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from novaops.verify.http import FAILURES, HttpConnection, Plain, trouble

_UNKNOWN = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for an unknown authority: a missing issuer, or a self-signed certificate."""

_DAY = 86400

END = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True)
class Shown:
    """The certificate that is presented for a name, as far as it could be verified."""

    name: str
    error: str = ""
    """Why clients reject it; "" when a client that trusts it accepts it."""
    known_here: bool = False
    """Whether this machine trusts its authority. Otherwise it was verified with the host's file alone."""
    unknown: str = ""
    """Why this machine does not trust it, where it was verified with the host's file."""
    issuer: str = ""
    days_left: float = 0
    lifetime: float = 0
    chain: tuple[str, ...] = ()
    """The certificates that the site sent, as PEM."""

    @property
    def soon(self) -> float:
        """With fewer days left it should have been renewed: two weeks, or the last sixth of a short lifetime."""
        return min(14.0, self.lifetime / 6)


@dataclass(frozen=True)
class Trust:
    """What verifies the site's certificate. `file` is the text of the host's certificate file, leaf first."""

    file: str = ""

    @property
    def leaf(self) -> str:
        first, end, _ = self.file.partition(END)
        return first + end

    def here(self) -> ssl.SSLContext:
        """What this machine trusts, SSL_CERT_FILE included."""
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT  # only Python 3.13 checks this
        return context

    def pinned(self) -> ssl.SSLContext | None:
        """Only the host's own certificate. None where the host has none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=self.leaf)
        except (ssl.SSLError, ValueError):
            return None
        return context

    def look(self, name: str, connect: Callable[[], Plain]) -> tuple[Shown, ssl.SSLContext | None]:
        """The certificate presented for `name`, and the context that verified it, to be used from then on; None where nothing did."""
        unknown = ""
        for context in (self.here(), self.pinned()):
            if context is None:
                break
            try:
                with HttpConnection(connect(), context, name) as line:
                    return _shown(name, line, unknown), context
            except ssl.SSLCertVerificationError as error:
                if error.verify_code not in _UNKNOWN:
                    return Shown(name, trouble(error), unknown=unknown), None
                if unknown:
                    return Shown(name, "another certificate is shown than the host has in its file", unknown=unknown), None
                unknown = trouble(error)
            except FAILURES as error:
                return Shown(name, trouble(error)), None
        return Shown(name, unknown or "no certificate is trusted"), None


def _shown(name: str, line: HttpConnection, unknown: str) -> Shown:
    said = line.peer()
    begin, end = (ssl.cert_time_to_seconds(said[key]) for key in ("notBefore", "notAfter"))
    issuer = next((value for part in said["issuer"] for key, value in part if key == "commonName"), "")
    days_left = (end - time.time()) / _DAY
    return Shown(name, "", not unknown, unknown, issuer, days_left, (end - begin) / _DAY, line.chain())
