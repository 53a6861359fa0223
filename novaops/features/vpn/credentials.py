"""User and password for an OpenVPN server, and the password of a private key, as OpenVPN reads them from files. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.profile import Option, Profile
from novaops.secret import Secret

_LONGEST = 127
"""Bytes that OpenVPN built without PKCS#11 has room for (USER_PASS_LEN in its src/openvpn/misc.h)."""


def take_credentials(profile: Profile, found: Examined, files: Mapping[str, bytes | str], given: Given) -> None:
    """Read what the profile contains, or `files` that it names, by their names in the profile: the content, or why it cannot be read.

    A file that cannot be read does not matter where user and password, or the key's password, are given otherwise.
    """
    for option in profile.all("auth-user-pass"):
        found.wants_login = True
        content = option.block.encode("utf-8", "surrogateescape") if option.block is not None else files.get(option.parameter)
        if content is None or given.user:
            continue
        if isinstance(content, str):
            fix = "settings user: and password:, or --user and --password"
            found.report(option, given.missing_secret, f"{option.parameter} cannot be read: {content}", fix)
            found.login_is_reported = True
            continue
        try:
            found.login = login_of(content)
        except ValueError as error:
            where = f"the file {option.parameter}" if option.block is None else "the block"
            found.report(option, "refused", f"{where}: {error}", "two lines: the user, and the password")
    for option in profile.all("askpass"):
        content = files.get(option.parameter)
        if isinstance(content, bytes):
            found.key_password = Secret(_lines(content)[0])
        elif content is not None and given.key_password is None:
            what = f"{option.parameter} cannot be read: {content}"
            found.report(option, given.missing_secret, what, "settings key_password: env:NAME, file:PATH or cmd:WORDS")


def take_proxy_login(profile: Profile, found: Examined, files: Mapping[str, bytes | str]) -> None:
    """Take the file along that http-proxy or socks-proxy names: it becomes one beside the configuration on the host."""
    named = [option for option in profile.all("http-proxy", "socks-proxy") if proxy_file(option)]
    if len({proxy_file(option) for option in named}) > 1:
        found.report(named[-1], "refused", "its proxies have different files with user and password", "one file for all of them")
        return
    for option in named:
        content = files.get(proxy_file(option), "it is not there")
        if isinstance(content, str):
            what = f"the proxy's user and password: {proxy_file(option)} cannot be read: {content}"
            found.report(option, "refused", what, "put the file beside the profile: user and password, a line each")
            continue
        try:
            found.proxy_login = login_of(content)
        except ValueError as error:
            found.report(option, "refused", f"the file {proxy_file(option)}: {error}", "two lines: the user, and the password")


def proxy_file(option: Option) -> str:
    """The file with user and password that an http-proxy or socks-proxy names; "" for none."""
    word = option.words[3] if len(option.words) > 3 else ""  # noqa: PLR2004 - after host and port
    return "" if word in {"auto", "auto-nct", "stdin", "none"} else word


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
