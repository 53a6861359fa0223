"""The token that a key pair signs."""

from __future__ import annotations

import base64
import json

from novaops.features.api.llm.protocol import KeyPair
from novaops.features.api.llm.token import token
from novaops.secret import Secret


def test_token() -> None:
    """Compared with what PyJWT 2.15 makes of the same claims in the same order."""
    made = token(KeyPair("ak", Secret("sk")), 1_700_000_000.9)
    head, claims, signature = made.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"iss": "ak", "exp": 1_700_001_800, "nbf": 1_699_999_995}
    assert signature == "mgn0T3D3XT4hbNxAtEsJsDH8-Kpgvs6l8t89iZ9EkEg"
