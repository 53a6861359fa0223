"""User and password for an OpenVPN server, and the password of a private key, as OpenVPN reads them from files. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Profile
from novaops.secret import Secret

_LONGEST = 127
"""Bytes that OpenVPN built without PKCS#11 has room for (USER_PASS_LEN in its src/openvpn/misc.h)."""


def take_credentials(profile: Profile, found: Examined, files: Mapping[str, bytes]) -> None:
    """Read what the profile contains, or `files` that it names, by their names in the profile."""
    for option in profile.all("auth-user-pass"):
        found.wants_login = True
        content = option.block.encode("utf-8", "surrogateescape") if option.block is not None else files.get(option.parameter)
        if content is None:
            continue
        try:
            found.login = login_of(content)
        except ValueError as error:
            where = f"the file {option.parameter}" if option.block is None else "the block"
            found.report(option, "refused", f"{where}: {error}", "two lines: the user, and the password")
    for option in profile.all("askpass"):
        if (content := files.get(option.parameter)) is not None:
            found.key_password = Secret(_lines(content)[0])


def login_of(content: bytes) -> tuple[str, Secret]:
    """User and password, the two lines of a file. Raises ValueError that says what is wrong, without repeating it."""
    user, password = [*_lines(content), ""][:2]
    return checked_login(user, Secret(password))


def checked_login(user: str, password: Secret) -> tuple[str, Secret]:
    """Both, as OpenVPN can read them from a file. Raises ValueError that says what is wrong, without repeating it."""
    user, word = user.strip(), password.reveal().removesuffix("\n").removesuffix("\r").lstrip("\t")
    if not user:
        raise ValueError("the user is missing")
    if not word.strip():
        raise ValueError(f"the password of {user} is missing")
    if any(c in text for text in (user, word) for c in "\r\n\0"):
        raise ValueError("there is a line break in the user or the password")
    if any(len(text.encode("utf-8", "surrogateescape")) > _LONGEST for text in (user, word)):
        raise ValueError(f"the user or the password is longer than {_LONGEST} bytes")
    return user, Secret(word)


def _lines(content: bytes) -> list[str]:
    return [line.strip("\r") for line in content.decode("utf-8-sig", "surrogateescape").split("\n")]
