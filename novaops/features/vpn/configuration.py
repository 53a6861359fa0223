"""The configuration of OpenVPN that a link is run with: /etc/openvpn/client/NAME.conf. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from novaops.features.vpn.credentials import proxy_file
from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Option, text_of
from novaops.secret import Secret

_IGNORED = (
    *("redirect-gateway", "redirect-private", "route ", "route-ipv6 ", "dhcp-option", "dns ", "block-outside-dns", "block-ipv6"),
    *("ping", "inactive", "session-timeout"),
)
"""Beginnings of what a server pushes and the link ignores. A blank at the end keeps longer options, such as route-gateway."""


class SecretFiles(NamedTuple):
    """Paths on the host; "" for none."""

    login: str = ""
    key_password: str = ""
    proxy_login: str = ""


_NONE = SecretFiles()


def configuration(
    found: Examined,
    *,
    head: Sequence[str],
    device: str,
    address: str,
    up: str,
    files: SecretFiles = _NONE,
    persist: bool = False,
) -> Secret:
    """`head` are lines of comment. `address` is the command that gives the device its address, `up` the one that OpenVPN runs when
    the link is up. `persist`: the device stays while the link reconnects.
    """
    udp = bool(found.protocols) and all(protocol.startswith("udp") for protocol in found.protocols)
    own: list[tuple[str, ...]] = [
        *(("pull-filter", "ignore", start) for start in _IGNORED),
        ("route-noexec",),
        ("ifconfig-noexec",),
        ("up", address),
        ("dev", device),
        ("dev-type", "tun"),
        *([("persist-tun",)] if persist else []),
        ("persist-key",),
        ("ping", "10"),
        ("ping-restart", "30"),
        ("connect-retry", "2", "10"),
        ("connect-timeout", "10"),
        ("resolv-retry", "infinite"),
        *([("explicit-exit-notify", "1")] if udp else []),
        ("auth-nocache",),
        ("auth-retry", "none"),
        ("script-security", "2"),
        ("route-up", up),
        ("ignore-unknown-option", "dns-updown"),
        ("dns-updown", "disable"),
        ("verb", "3"),
        *([("auth-user-pass", files.login)] if files.login else []),
        *([("askpass", files.key_password)] if files.key_password else []),
    ]
    comments = "".join(f"# {line}\n" for line in head)
    return Secret(
        comments
        + text_of([Option(words, 0) for words in own])
        + "# of the profile:\n"
        + text_of([_proxied(option, files.proxy_login) for option in found.kept])
    )


def _proxied(option: Option, file: str) -> Option:
    """The option, with the file on the host in place of the one beside the profile."""
    if option.name not in {"http-proxy", "socks-proxy"} or not proxy_file(option):
        return option
    return replace(option, words=(*option.words[:3], file, *option.words[4:]))
