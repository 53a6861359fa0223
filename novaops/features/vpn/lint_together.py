"""Options of a profile that OpenVPN does not take together, or not where they stand. Pure.

From `options_postprocess_verify_ce` in src/openvpn/options.c of the branch release/2.6, and from what may stand in <connection> there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from novaops.features.vpn.findings import WHOLE, Examined
from novaops.features.vpn.profile import Option

_IN_CONNECTION = frozenset(
    (
        *("remote", "proto", "port", "rport", "nobind", "float", "http-proxy", "http-proxy-option", "socks-proxy", "key-direction"),
        *("tun-mtu", "tun-mtu-max", "tun-mtu-extra", "link-mtu", "fragment", "mtu-disc", "max-packet-size", "mssfix"),
        *("tls-auth", "tls-crypt", "tls-crypt-v2", "compat-mode", "providers"),
    )
)

_EXCLUDE = (
    ("tun-mtu", "link-mtu"),
    ("pkcs12", "cert"),
    ("pkcs12", "key"),
    ("tls-auth", "tls-crypt"),
    ("tls-auth", "tls-crypt-v2"),
    ("tls-crypt", "tls-crypt-v2"),
    ("http-proxy", "socks-proxy"),
)

_LEAVE_ONE = "leave one of them"


def examine_together(found: Examined) -> None:
    """Refuse what OpenVPN itself would refuse, of the options that are kept."""
    for option in found.kept:
        if option.within and option.name not in _IN_CONNECTION:
            found.report(option, "refused", f"{option.name} has no place in <connection>", "put it outside, for all servers")
    _blocks(found)
    for first, second in _EXCLUDE:
        both = [option for options in _servers(found.kept) for option in _clash(options, first, second)]
        if both:
            found.report(both[0], "refused", f"{first} and {second} exclude each other", _LEAVE_ONE)
    for options in _servers(found.kept):
        _protocol(options, found)
    _roles(found)
    _compression(found)
    _versions(found)
    _addresses(found)


def _servers(kept: Sequence[Option]) -> Iterator[list[Option]]:
    """The options in effect for each server: a <connection> has those before it, and its own."""
    blocks = dict.fromkeys(option.within for option in kept if option.within)
    outside = [option for option in kept if not option.within]
    for block in blocks:
        begin = next(n for n, option in enumerate(kept) if option.within == block)
        yield [option for n, option in enumerate(kept) if option.within == block or (not option.within and n < begin)]
    for remote in [option for option in outside if option.name == "remote"] if not blocks else []:
        yield [option for option in outside if option.name != "remote"] + [remote]


def _last(options: Sequence[Option], name: str) -> Option | None:
    return next((option for option in reversed(options) if option.name == name), None)


def _clash(options: Sequence[Option], first: str, second: str) -> list[Option]:
    one, other = _last(options, first), _last(options, second)
    return [] if one is None or other is None else [max(one, other, key=lambda option: option.line)]


def _blocks(found: Examined) -> None:
    blocks = {option.within for option in found.kept if option.within}
    for block in sorted(blocks - {option.within for option in found.kept if option.name == "remote"}):
        found.report(Option(("connection",), block), "refused", "it has no remote", "remote HOST PORT")


def _protocol(options: Sequence[Option], found: Examined) -> None:
    """What goes by UDP only, or by TCP only."""
    remote, proto = _last(options, "remote"), _last(options, "proto")
    if remote is None:
        return
    written = remote.words[3] if len(remote.words) > 3 else proto.parameter if proto else "udp"  # noqa: PLR2004 - after host and port
    tcp = written.startswith("tcp")
    fragment, proxy = _last(options, "fragment"), _last(options, "http-proxy")
    others = [option for option in options if option.name in {"http-proxy-option", "http-proxy-user-pass"}]
    if tcp and fragment is not None:
        _once(found, fragment, f"fragment is for UDP, and {remote.parameter} is reached by TCP", "take it out of the profile")
    if not tcp and proxy is not None:
        _once(
            found, proxy, f"an HTTP proxy takes TCP alone, and {remote.parameter} is reached by UDP", "proto tcp, where the server has it"
        )
    if proxy is None and others:
        _once(found, others[0], "it is for an HTTP proxy, and there is none", "http-proxy HOST PORT")
    if tcp and not written.endswith("-client") and not any(option.name == "client" for option in options):
        _once(found, remote, f"{written} is for both ends without `client`", "client in place of tls-client and pull; or tcp-client")


def _once(found: Examined, option: Option, what: str, fix: str) -> None:
    """One finding for an option that several servers share."""
    if not any((one.line, one.option, one.weight) == (option.line, option.name, "refused") for one in found.findings):
        found.report(option, "refused", what, fix)


def _roles(found: Examined) -> None:
    has = {option.name for option in found.kept} | ({"auth-user-pass"} if found.wants_login else set())
    for wrong, what, fix in (
        (has.isdisjoint({"client", "tls-client"}), "`pull` is for TLS, and nothing says so", "client in place of pull"),
        ("auth-user-pass" in has and has.isdisjoint({"client", "pull"}), "auth-user-pass needs `pull`", "client in place of tls-client"),
        ("key" in has and not {"cert", "pkcs12"} & has, "it has a key, and no certificate to it", "ask for the certificate (cert)"),
    ):
        if wrong and not found.refusals:
            found.report(WHOLE, "refused", what, fix)
    force = _last(found.kept, "proto-force")
    if force is not None and not any(_forced(options, force.parameter) for options in _servers(found.kept)):
        _once(found, force, f"no server is reached by {force.parameter}, so none is left", "take it out of the profile")


def _forced(options: Sequence[Option], force: str) -> bool:
    remote, proto = _last(options, "remote"), _last(options, "proto")
    written = remote.words[3] if remote and len(remote.words) > 3 else proto.parameter if proto else "udp"  # noqa: PLR2004 - after host and port
    return written[:3] == force[:3]


def _compression(found: Examined) -> None:
    allowed = [option for option in found.kept if option.name == "allow-compression"]
    enabled = next((o for o in found.kept if o.name in {"comp-lzo", "compress"} and _compresses(o)), None)
    if enabled is not None and any(option.parameter == "no" for option in allowed):
        found.report(enabled, "refused", "allow-compression no forbids it", _LEAVE_ONE)
    for first, second in pairwise(allowed):
        if first.parameter == "no" != second.parameter:
            found.report(second, "refused", f"allow-compression no of line {first.line} stays", _LEAVE_ONE)


def _compresses(option: Option) -> bool:
    return option.parameter != "no" if option.name == "comp-lzo" else option.parameter in {"lzo", "lz4", "lz4-v2"}


def _versions(found: Examined) -> None:
    least, most = _last(found.kept, "tls-version-min"), _last(found.kept, "tls-version-max")
    if least is not None and most is not None and least.parameter > most.parameter:
        found.report(least, "refused", f"it is above tls-version-max {most.parameter}", _LEAVE_ONE)


def _addresses(found: Examined) -> None:
    own = _last(found.kept, "ifconfig")
    if own is None:
        return
    if len(set(own.words[1:])) < len(own.words[1:]):
        found.report(own, "refused", "both ends have the same address", "take it out: the server says it")
    if any(option.name == "remote" and option.parameter in own.words[1:] for option in found.kept):
        found.report(own, "refused", "the server's own address cannot be one within the VPN", "take it out: the server says it")
