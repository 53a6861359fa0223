"""Parameters that OpenVPN would turn down when it starts: how many an option takes, and of which form. Pure.

From `add_option` in src/openvpn/options.c of the branch release/2.6.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Interface

from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Option
from novaops.shell import lines_of

PORT = r"0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
PROTOCOL = r"udp[46]?|tcp[46]?(-client)?"
_NUMBER = r"[0-9]{1,10}"
_WORD = r".+"

_ALONE = (
    *("client", "pull", "tls-client", "float", "fast-io", "remote-random", "remote-random-hostname", "push-peer-info", "passtos"),
    *("tcp-nodelay", "allow-pull-fqdn"),
)
_ONE_NUMBER = (
    *("hand-window", "link-mtu", "mark", "max-packet-size", "rcvbuf", "sndbuf", "reneg-bytes", "reneg-pkts", "shaper", "tls-timeout"),
    *("tran-window", "txqueuelen", "tun-mtu-extra"),
)
_ONE_WORD = (*("auth", "auth-token", "auth-token-user", "data-ciphers", "data-ciphers-fallback", "ecdh-curve", "tls-cipher", "tls-groups"),)
_SUITE = "TLS[_-](AES[_-]256[_-]GCM[_-]SHA384|CHACHA20[_-]POLY1305[_-]SHA256|AES[_-]128[_-](GCM|CCM|CCM[_-]8)[_-]SHA256)"
"""A name that OpenSSL 3 has for TLS 1.3."""


_FORMS: dict[str, tuple[int, int, str]] = {
    **dict.fromkeys(_ALONE, (0, 0, "")),
    **dict.fromkeys(_ONE_NUMBER, (1, 1, _NUMBER)),
    **dict.fromkeys(_ONE_WORD, (1, 1, _WORD)),
    "allow-compression": (1, 1, "no|asym|yes"),
    "comp-lzo": (0, 1, "yes|no|adaptive"),
    "compat-mode": (1, 2, r"([0-9]{1,4}\.){2}[0-9]{1,4}"),
    "compress": (0, 1, "stub|stub-v2|lzo|lz4|lz4-v2|migrate"),
    "fragment": (1, 2, _NUMBER),
    "http-proxy": (2, 4, _WORD),
    "http-proxy-option": (2, 3, "VERSION|AGENT|EXT1|EXT2|CUSTOM-HEADER"),
    "ifconfig": (2, 2, _WORD),
    "ifconfig-ipv6": (2, 2, _WORD),
    "key-derivation": (1, 1, "tls-ekm"),
    "key-direction": (1, 1, "[01]"),
    "mssfix": (0, 2, _NUMBER),
    "mtu-disc": (1, 1, "yes|maybe|no"),
    "peer-fingerprint": (1, 1, _WORD),
    "pull-filter": (2, 2, "accept|ignore|reject"),
    "proto": (1, 1, PROTOCOL),
    "proto-force": (1, 1, r"udp[46]?|tcp[46]?-client"),
    "protocol-flags": (1, 9, "tls-ekm|cc-exit|dyn-tls-crypt|aead-epoch"),
    "providers": (1, 16, "default|legacy|fips|base"),
    "remote": (1, 3, _WORD),
    "remote-cert-eku": (1, 1, _WORD),
    "remote-cert-tls": (1, 1, "server|client"),
    "reneg-sec": (1, 2, _NUMBER),
    "replay-window": (1, 2, _NUMBER),
    "rport": (1, 1, PORT),
    "setenv": (1, 2, _WORD),
    "socket-flags": (0, 16, "TCP_NODELAY"),
    "socks-proxy": (1, 3, _WORD),
    "tls-ciphersuites": (1, 1, f"{_SUITE}(:{_SUITE})*"),
    "tls-cert-profile": (1, 1, "preferred|legacy|suiteb|insecure"),
    "tls-version-max": (1, 1, r"1\.[0-3]"),
    "tls-version-min": (1, 2, r"1\.[0-3]"),
    "topology": (1, 1, "net30|p2p|subnet"),
    "tun-mtu": (1, 2, _NUMBER),
    "tun-mtu-max": (1, 2, _NUMBER),
    "verify-hash": (1, 2, _WORD),
    "verify-x509-name": (1, 2, _WORD),
    "x509-username-field": (1, 16, "(?!ext:).+|ext:(subject|issuer)AltName"),
}
"""By option: how many parameters at least and at most, and the form of the first one."""

_ALL_ALIKE = {"providers", "socket-flags", "x509-username-field"}
"""Options whose parameters all have the form of the first one."""

_SECOND = {
    "fragment": "mtu",
    "http-proxy": PORT,
    "mssfix": "mtu|fixed",
    "replay-window": _NUMBER,
    "socks-proxy": PORT,
    "verify-hash": "SHA1|SHA256",
    "verify-x509-name": "subject|name|name-prefix",
}
"""By option: the form of the second parameter."""

_RANGES = {
    "fragment": ((68, 65536),),
    "replay-window": ((0, 65536), (0, 600)),
    "shaper": ((100, 100_000_000),),
    "tun-mtu": ((100, 65536),),
    "tun-mtu-max": ((68, 65536),),
}
"""By option: the least and the most of each parameter that is a number."""

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
    for word in option.words[1:] if option.name in _ALL_ALIKE else option.words[1:2]:
        if not re.fullmatch(form, word):
            return f"OpenVPN does not take {word[:40]} there"
    if count > 1 and not re.fullmatch(_SECOND.get(option.name, ".*"), option.words[2]):
        return f"OpenVPN does not take {option.words[2][:40]} there"
    for (least, most), word in zip(_RANGES.get(option.name, ()), option.words[1:], strict=False):
        if not least <= int(word) <= most:
            return f"OpenVPN takes {least} to {most} there"
    return _address_complaint(option)


def _address_complaint(option: Option) -> str:
    kinds = {"ifconfig": (IPv4Address, IPv4Address), "ifconfig-ipv6": (IPv6Interface, IPv6Address)}
    try:
        for kind, word in zip(kinds.get(option.name, ()), option.words[1:], strict=False):
            kind(word)
    except ValueError:
        return f"OpenVPN takes addresses there, and {word[:40]} is none"
    return ""


def _fingerprints(option: Option, found: Examined) -> None:
    """Each line of a block, or the parameter."""
    lines = [option.parameter] if option.block is None else lines_of(option.block)
    hashes = [line.strip() for line in lines if line.strip() and line.strip()[0] not in "#;"]
    short = option.name == "verify-hash" and option.block is None and option.words[2:] != ("SHA256",)
    size = _SHA1 if short else _SHA256
    wrong = next((one for one in hashes if not _FINGERPRINT.fullmatch(one) or (len(one) + 1) // 3 != size), None)
    if wrong is not None or not hashes:
        what = f"{wrong[:40]} is no SHA-{'1' if short else '256'} fingerprint" if wrong else "there is no fingerprint in it"
        found.report(option, "refused", what, "openssl x509 -in server.crt -noout -fingerprint -sha256")
