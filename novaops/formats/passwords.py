"""Passwords: which are too weak for ssh on the internet, and their hashes for /etc/shadow. Pure."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

from novaops.secret import Secret

SHORTEST = 12
"""Characters."""

LONGEST = 255
"""Bytes. PAM's buffers end at 512, sshd's at 1024."""

FEWEST_DIFFERENT = 6

SHORTEST_NAME = 3
"""Characters. A shorter name is in many a good password by chance; pam_pwquality does not look for one either."""

ROUNDS = 100_000
"""Of SHA-512 crypt: a twentieth of a second, here and for each login. Every libc that sshd is built with supports it."""

COMMON = frozenset(
    """\
    abc abcdef abcdefgh access adidas admin administrator alibaba aliyun amazon apple asdf asdfgh asdfghjkl azerty azure baseball batman
    changeme charlie cisco cloud computer daniel debian default dragon eve eveng football freedom google guest hello iloveyou internet
    jesus jordan juniper killer letmein linux login london lovely master michael monkey mustang nova novaops openai oracle pass passw
    password passwort pnetlab princess private qazwsx qwer qwert qwerty qwertyuiop qwertz raspberry router root secret server shadow
    starwars summer sunshine superman superuser switch system temp temporary test testing toor trustno ubuntu user vagrant welcome
    winter woaini xxxxxx zaq zxcvbn zxcvbnm
    """.split()  # noqa: SIM905 - a list of words is read as one
)
"""A password without its digits and signs must be none of these."""

_LOOKALIKES = tuple(str.maketrans("@4310$5!7", f"aae{one}ossit") for one in "li")
"""Digits and signs to the letters they stand for. A 1 stands for l or i, so there are two tables."""


def weakness(password: str, user: str = "") -> str:
    """Why a password must not be used (by `user`), as the end of a sentence that begins with "the password"; "" if it may."""
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in password):
        return "has characters in it that cannot be typed"
    if len(password.encode()) > LONGEST:
        return f"has more than {LONGEST} bytes"
    if len(password) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(set(password)) < FEWEST_DIFFERENT:
        return f"has fewer than {FEWEST_DIFFERENT} different characters"
    if len(user) >= SHORTEST_NAME and user.lower() in password.lower():
        return "has the user's name in it"
    if _runs(password.lower()):
        return "is a mere sequence"
    if COMMON & {re.sub("[^a-z]", "", plain) for plain in _plain(password.lower())}:
        return "is a common word with digits and signs around it"
    return ""


def _plain(password: str) -> Iterator[str]:
    """The password, and variants: without leading or trailing digits and signs, the others replaced by the letters they stand for."""
    yield password
    for around in ("", "^[^a-z]+", "[^a-z]+$", "^[^a-z]+|[^a-z]+$"):
        yield from (re.sub(around, "", password).translate(letters) for letters in _LOOKALIKES)


def _runs(password: str) -> bool:
    """Whether nearly all characters are one sequence: 123456789012, abcdefghijkl, lkjihgfedcba."""
    steps = [ord(b) - ord(a) for a, b in pairwise(password)]
    return max(sum(step == wanted for step in steps) for wanted in (0, 1, -1)) >= len(steps) - 2


def hashed(password: Secret, salt: str) -> Secret:
    """The SHA-512 crypt hash, as /etc/shadow has it."""
    from passlib.hash import sha512_crypt

    return Secret(sha512_crypt.using(rounds=ROUNDS, salt=salt).hash(password.reveal()))


def matches(password: Secret, found: Secret) -> bool:
    """Whether `found` is a hash of this password. Hashes other than SHA crypt cannot be compared, and count as no."""
    from passlib.hash import sha256_crypt, sha512_crypt

    text = found.reveal()
    with warnings.catch_warnings(), suppress(ValueError):
        warnings.simplefilter("ignore")  # about salts longer than those that libc makes
        return any(kind.identify(text) and kind.verify(password.reveal(), text) for kind in (sha512_crypt, sha256_crypt))
    return False
