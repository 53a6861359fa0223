"""What a profile encrypts and checks packets with: names that OpenSSL 3 has, and none that are broken. Pure.

OpenVPN 2.6 does not start with a name that OpenSSL does not know. The names are those of `openvpn --show-ciphers` and `--show-digests`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Option, Profile

_MODERN = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")
_SMALL_BLOCKS = re.compile(r"(BF|DES|DESX|CAST5|RC2|RC4|IDEA|SEED)\b.*", re.IGNORECASE)
_KNOWN = re.compile(
    r"(AES|ARIA)-(128|192|256)-(CBC|CFB[18]?|GCM|OFB)|CAMELLIA-(128|192|256)-(CBC|CFB[18]?|OFB)|CHACHA20-POLY1305"
    r"|DES-EDE3?-(CBC|CFB|OFB)|DES-EDE3-CFB[18]|SM4-(CBC|CFB|OFB)",
    re.IGNORECASE,
)
_DIGESTS = re.compile(
    r"NONE|SHA(1|224|256|384|512|512-224|512-256)|SHA3-(224|256|384|512)|MD5|MD5-SHA1|RIPEMD160|BLAKE2S256|BLAKE2B512|SM3|SHAKE(128|256)",
    re.IGNORECASE,
)
_OLD_DIGESTS = re.compile(r"MD4|WHIRLPOOL", re.IGNORECASE)
_OTHER_NAMES = (
    (r"(RSA-|SSL3-)?SHA-?1", "SHA1"),
    (r"(RSA-)?SHA(-|2-)?(?P<bits>224|256|384|512)", r"SHA\g<bits>"),
    (r"(RSA-)?SHA(-|2-)?512/(?P<bits>224|256)", r"SHA512-\g<bits>"),
    (r"(RSA-)?RIPEMD(-?160)?|RMD160", "RIPEMD160"),
    (r"(?P<kind>AES|ARIA|CAMELLIA)(?P<bits>128|192|256)", r"\g<kind>-\g<bits>-CBC"),
    (r"id-aes(?P<bits>128|192|256)-GCM", r"AES-\g<bits>-GCM"),
)
"""Names that some OpenSSL has for what is above: those with RSA- 1.1.1 alone, those with a hyphen 3 alone."""

_LONGEST = 127
"""Bytes of data-ciphers."""

_AT_BOTH_ENDS = f"data-ciphers {_MODERN[0]} at both ends"


def has_legacy(profile: Profile) -> bool:
    """Whether OpenSSL is to load its old ciphers and digests, too."""
    return any("legacy" in option.words[1:] for option in profile.all("providers"))


def examine_ciphers(profile: Profile, found: Examined) -> None:
    """OpenVPN 2.6 ignores `cipher` where both ends can negotiate: what may be used has to be in data-ciphers."""
    legacy = has_legacy(profile)
    found.kept = [new for option in found.kept if (new := _usable(option, found, legacy=legacy)) is not None]
    for option in profile.all("auth"):
        digest = _named(option.parameter)
        if not _DIGESTS.fullmatch(digest) and not (legacy and _OLD_DIGESTS.fullmatch(digest)):
            found.report(option, "refused", f"{option.parameter[:40]} is no digest that OpenSSL 3 has", "auth SHA256 at both ends")
    written = profile.last("cipher")
    if written is not None:
        _cipher(written, profile, found)
    providers = [option for option in found.kept if option.name == "providers"]
    if providers and not {"default", "fips"} & set(providers[-1].words[1:]):
        found.report(providers[-1], "refused", "without `default` OpenSSL has no ciphers of today", "providers legacy default")
    old = next((option for option in profile.all("compat-mode") if _before_2_4(option.parameter)), None)
    if old is not None and not legacy and not any(one.name == "data-ciphers-fallback" for one in found.kept):
        what = f"compat-mode {old.parameter} takes BF-CBC where no cipher is named, and OpenSSL 3 does not have it"
        found.report(old, "refused", what, "name the server's cipher, as cipher AES-256-CBC, or take the line out")


def _usable(option: Option, found: Examined, *, legacy: bool) -> Option | None:
    """The option by the names that every OpenSSL has, without what is broken; None where nothing of it is left."""
    if option.name == "auth":
        return _renamed(option, _named(option.parameter), found)
    if option.name not in {"data-ciphers", "data-ciphers-fallback"}:
        return option
    option = _renamed(option, ":".join(map(_named, option.parameter.split(":"))), found)
    kept: list[str] = []
    for word in option.parameter.split(":"):
        cipher = word.removeprefix("?") if option.name == "data-ciphers" else word
        if cipher.upper() == "NONE":
            found.report(option, "refused", "none: nothing would be encrypted", _AT_BOTH_ENDS)
        elif _SMALL_BLOCKS.fullmatch(cipher) and not legacy:
            what = f"{cipher} is broken, and OpenSSL 3 does not have it: left out"
            found.report(option, "mended", what, f"take it out; {_MODERN[0]} in its place")
            continue
        elif _SMALL_BLOCKS.fullmatch(cipher):
            found.report(option, "warning", f"{cipher} is broken", f"take it out; {_MODERN[0]} in its place")
        elif not _KNOWN.fullmatch(cipher) and word == cipher:  # ?NAME may be unknown
            found.report(option, "refused", f"{cipher[:40]} is no cipher that OpenSSL 3 has", _AT_BOTH_ENDS)
        kept.append(word)
    if not kept and option.name == "data-ciphers":
        found.report(option, "refused", "no cipher is left that OpenSSL 3 has", _AT_BOTH_ENDS)
    if len(":".join(kept)) > _LONGEST:
        found.report(option, "refused", f"the list is longer than {_LONGEST} bytes: OpenVPN takes none that long", _AT_BOTH_ENDS)
    return replace(option, words=(option.name, ":".join(kept), *option.words[2:])) if kept else None


def _named(name: str) -> str:
    """The name that every OpenSSL has for a cipher or a digest; a question mark before it stays."""
    bare = name.removeprefix("?")
    for pattern, written in _OTHER_NAMES:
        if match := re.fullmatch(pattern, bare, re.IGNORECASE):
            return name.removesuffix(bare) + match.expand(written)
    return name


def _renamed(option: Option, parameter: str, found: Examined) -> Option:
    if parameter.upper() == option.parameter.upper():
        return option
    found.report(option, "mended", f"not every OpenSSL knows a name in it: written as {parameter}", f"{option.name} {parameter}")
    return replace(option, words=(option.name, parameter, *option.words[2:]))


def _cipher(written: Option, profile: Profile, found: Examined) -> None:
    cipher = _named(written.parameter).upper()
    if cipher == "NONE":
        found.report(written, "refused", "cipher none: nothing would be encrypted", _AT_BOTH_ENDS)
    elif _SMALL_BLOCKS.fullmatch(cipher):
        offered = ":".join(_MODERN)
        found.report(
            written,
            "mended",
            f"{cipher} has blocks of 64 bits (SWEET32), and OpenSSL 3 does not have it: {offered} are offered instead",
            "take it out; a server older than 2.4 has to be brought up to date",
        )
    elif not profile.all("data-ciphers", "ncp-ciphers"):
        if not _KNOWN.fullmatch(cipher):
            found.report(written, "refused", f"{written.parameter[:40]} is no cipher that OpenSSL 3 has", _AT_BOTH_ENDS)
            return
        offered = ":".join(dict.fromkeys((*_MODERN, cipher)))
        found.kept.append(Option(("data-ciphers", offered), written.line))
        if not profile.all("data-ciphers-fallback"):
            found.kept.append(Option(("data-ciphers-fallback", cipher), written.line))
        if cipher not in _MODERN:
            what = f"2.6 ignores cipher where the ends can agree: {cipher} is offered too"
            found.report(written, "mended", what, f"data-ciphers {offered}")


def _before_2_4(version: str) -> bool:
    numbers = [int(one) for one in version.split(".") if one.isdecimal()]
    return len(numbers) == 3 and [0, 0, 0] < numbers < [2, 4, 0]  # noqa: PLR2004 - major, minor, patch
