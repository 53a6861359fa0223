"""The token that a key pair signs: a JWT (RFC 7519) with HS256, as SenseNova takes it. Pure."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from novaops.features.api.llm.protocol import KeyPair

LIFETIME = 1800
"""Seconds."""
TOLERANCE = 5
"""Seconds by which this machine's clock may be ahead: the token is valid from so long ago."""


def token(pair: KeyPair, now: float) -> str:
    head = {"alg": "HS256", "typ": "JWT"}
    claims = {"iss": pair.id, "exp": int(now) + LIFETIME, "nbf": int(now) - TOLERANCE}
    signed = f"{_part(head)}.{_part(claims)}"
    signature = hmac.digest(pair.secret.reveal().encode(), signed.encode(), "sha256")
    return f"{signed}.{_base64(signature)}"


def _part(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
