"""Certificates of a kind of key, or of signature, that nobody knows, which can be read all the same."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.world.authority import _certificate as certificate

KEY, SIGNATURE = bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d040302")
"""An elliptic curve; ECDSA with SHA256."""


def strange(known: bytes) -> str:
    """As PEM, with an unknown kind in place of this one."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = certificate("Strange", key, "Other", key, authority=True).public_bytes(Encoding.DER)
    assert known in der
    body = base64.encodebytes(der.replace(known, known[:-1] + b"\x63")).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
