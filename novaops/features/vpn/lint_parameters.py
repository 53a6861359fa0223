"""Parameters that OpenVPN would turn down when it starts: how many an option takes, and of which form. Pure.

From `add_option` in src/openvpn/options.c of the branch release/2.6.
"""

from __future__ import annotations

import re

from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Option
from novaops.shell import lines_of

_NUMBER = r"[0-9]{1,10}"
_WORD = r".+"

_ALONE = (
    *("client", "pull", "tls-client", "float", "fast-io", "remote-random", "remote-random-hostname", "push-peer-info", "passtos"),
    *("tcp-nodelay",),
)
_ONE_NUMBER = (
    *("hand-window", "link-mtu", "mark", "max-packet-size", "rcvbuf", "sndbuf", "reneg-bytes", "reneg-pkts", "shaper", "tls-timeout"),
    *("tran-window", "txqueuelen", "tun-mtu-extra"),
)
_ONE_WORD = (
    *("auth", "auth-token", "auth-token-user", "data-ciphers", "data-ciphers-fallback", "ecdh-curve", "tls-cipher", "tls-ciphersuites"),
    *("tls-groups",),
)

_FORMS: dict[str, tuple[int, int, str]] = {
    **dict.fromkeys(_ALONE, (0, 0, "")),
    **dict.fromkeys(_ONE_NUMBER, (1, 1, _NUMBER)),
    **dict.fromkeys(_ONE_WORD, (1, 1, _WORD)),
    "allow-compression": (1, 1, "no|asym|yes"),
    "comp-lzo": (0, 1, ".*"),
    "compat-mode": (1, 2, r"[0-9.]+"),
    "compress": (0, 1, "stub|stub-v2|lzo|lz4|lz4-v2|migrate|lz4-v1"),
    "fragment": (1, 2, _NUMBER),
    "http-proxy": (2, 4, _WORD),
    "http-proxy-option": (1, 3, _WORD),
    "ifconfig": (2, 2, _WORD),
    "ifconfig-ipv6": (2, 2, _WORD),
    "key-direction": (1, 1, "[01]"),
    "mssfix": (0, 2, _NUMBER),
    "mtu-disc": (1, 1, "yes|maybe|no"),
    "peer-fingerprint": (1, 1, _WORD),
    "proto": (1, 1, r"(udp|tcp)[46]?(-client)?"),
    "proto-force": (1, 1, "udp|tcp"),
    "remote": (1, 3, _WORD),
    "remote-cert-eku": (1, 1, _WORD),
    "remote-cert-tls": (1, 1, "server|client"),
    "reneg-sec": (1, 2, _NUMBER),
    "replay-window": (0, 2, _NUMBER),
    "rport": (1, 1, _WORD),
    "socks-proxy": (1, 3, _WORD),
    "tls-cert-profile": (1, 1, "preferred|legacy|suiteb|insecure"),
    "tls-version-max": (1, 1, r"1\.[0-3]"),
    "tls-version-min": (1, 2, r"1\.[0-3]"),
    "topology": (1, 1, "net30|p2p|subnet"),
    "tun-mtu": (1, 2, _NUMBER),
    "tun-mtu-max": (1, 2, _NUMBER),
    "verify-hash": (1, 2, _WORD),
    "verify-x509-name": (1, 2, _WORD),
}
"""By option: how many parameters at least and at most, and the form of the first one."""

_NAME_TYPES = {"subject", "name", "name-prefix"}
_FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:)+[0-9A-Fa-f]{2}")
_SHA256 = 32
"""Bytes of a SHA-256 hash; a text of colons has two digits and a colon for each."""
_SHA1 = 20


def examine_parameters(found: Examined) -> None:
    """Refuse what OpenVPN itself would refuse, of the options that are kept."""
    for option in found.kept:
        if option.block is None and (complaint := _complaint(option)):
            found.report(option, "refused", complaint, "as OpenVPN's manual has it, or take the line out")
        elif option.name in {"peer-fingerprint", "verify-hash"}:
            _fingerprints(option, found)
    pins = [option for option in found.kept if option.name in {"peer-fingerprint", "verify-hash"}]
    if len({option.name for option in pins}) > 1:
        found.report(pins[-1], "refused", "peer-fingerprint and verify-hash exclude each other", "keep one of them")


def _complaint(option: Option) -> str:
    """What is wrong with the parameters of an option; "" for nothing."""
    if option.name not in _FORMS:
        return ""
    least, most, form = _FORMS[option.name]
    count = len(option.words) - 1
    if not least <= count <= most:
        takes = f"{least}" if least == most else f"{least} to {most}"
        return f"OpenVPN takes {takes} parameter{'' if takes == '1' else 's'} there, and the profile has {count}"
    if count and not re.fullmatch(form, option.parameter):
        return f"OpenVPN does not take {option.parameter[:40]} there"
    if option.name == "verify-x509-name" and count > 1 and option.words[2] not in _NAME_TYPES:
        return f"{option.words[2][:40]} is none of subject, name, name-prefix"
    return ""


def _fingerprints(option: Option, found: Examined) -> None:
    """Each line of a block, or the parameter."""
    lines = [option.parameter] if option.block is None else lines_of(option.block)
    hashes = [line.strip() for line in lines if line.strip() and line.strip()[0] not in "#;"]
    size = _SHA256
    if option.name == "verify-hash" and option.block is None and option.words[2:3] not in ((), ("SHA256",)):
        size = _SHA1
    sizes = {size} if option.name == "peer-fingerprint" or option.words[2:] else {_SHA256, _SHA1}
    wrong = next((one for one in hashes if not _FINGERPRINT.fullmatch(one) or (len(one) + 1) // 3 not in sizes), None)
    if wrong is not None or not hashes:
        what = f"{wrong[:40]} is no SHA-256 fingerprint" if wrong else "there is no fingerprint in it"
        found.report(option, "refused", what, "openssl x509 -in server.crt -noout -fingerprint -sha256")
