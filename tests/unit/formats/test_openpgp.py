"""Fingerprints of keys that gpg made."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.formats import openpgp
from tests.support.eve_repository.keys import FINGERPRINT, KEY


def _armoured(key: bytes) -> bytes:
    lines = base64.encodebytes(key)
    return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a key\n\n" + lines + b"=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"


def test_the_fingerprint_is_that_of_gpg() -> None:
    assert openpgp.fingerprints(KEY) == (FINGERPRINT,)
    assert openpgp.fingerprints(_armoured(KEY)) == (FINGERPRINT,)
    assert openpgp.binary(_armoured(KEY)) == KEY


def test_every_primary_key_counts_and_no_subkey(tmp_path: Path) -> None:
    """An RSA key has packets with longer lengths, and a subkey of its own."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg here")
    environment = {**os.environ, "GNUPGHOME": str(tmp_path)}
    tmp_path.chmod(0o700)

    def gpg(*words: str) -> bytes:
        return subprocess.run(["gpg", "--batch", "--quiet", *words], env=environment, check=True, capture_output=True).stdout

    gpg("--passphrase", "", "--quick-generate-key", "a@example.org", "rsa2048", "sign", "never")
    listed = gpg("--with-colons", "--list-keys").decode().splitlines()
    [first] = [line.split(":")[9] for line in listed if line.startswith("fpr")]
    gpg("--passphrase", "", "--quick-add-key", first, "rsa2048", "encrypt", "never")
    assert openpgp.fingerprints(gpg("--armor", "--export")) == (first,)
    assert openpgp.fingerprints(gpg("--export") + KEY) == (first, FINGERPRINT)
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"\x99", KEY[:20], b"\xff\xff", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nPGh0bWw+\n-----END"]
)
def test_what_is_no_key_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        openpgp.fingerprints(text)


@given(st.binary(max_size=300), st.integers(0, len(KEY)))
def test_no_bytes_make_it_fail_in_another_way(noise: bytes, at: int) -> None:
    for text in (noise, KEY[:at] + noise, _armoured(KEY)[:at] + noise):
        with contextlib.suppress(ValueError):
            openpgp.fingerprints(text)
