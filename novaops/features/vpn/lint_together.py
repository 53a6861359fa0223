"""Options of a profile that OpenVPN does not take together, or not where they stand. Pure.

From `options_postprocess_verify_ce` in src/openvpn/options.c of the branch release/2.6, and from what may stand in <connection> there.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
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
    servers = _servers(found.kept)
    for first, second in _EXCLUDE:
        both = next((clash for options in servers if (clash := _clash(options, first, second))), None)
        if both:
            found.report(both, "refused", f"{first} and {second} exclude each other", _LEAVE_ONE)
    once = _Once(found)
    is_client = _last(found.kept, "client") is not None
    for options in servers:
        _protocol(options, once, is_client=is_client)
    _roles(found, servers, once)
    _compression(found)
    _versions(found)
    _addresses(found)


_Server = Mapping[str, Option]
"""The options in effect for one server, by name: of several the last."""


def _servers(kept: Sequence[Option]) -> list[_Server]:
    """A <connection> has the options before it, and its own; without one each `remote` is a server."""
    blocks: dict[int, dict[str, Option]] = {}
    outside: dict[str, Option] = {}
    for option in kept:
        its = blocks.setdefault(option.within, dict(outside)) if option.within else outside
        its[option.name] = option
    if blocks:
        return list(blocks.values())
    return [ChainMap({"remote": option}, outside) for option in kept if option.name == "remote"]


def _clash(options: _Server, first: str, second: str) -> Option | None:
    one, other = options.get(first), options.get(second)
    return None if one is None or other is None else max(one, other, key=lambda option: option.line)


def _last(options: Sequence[Option], name: str) -> Option | None:
    return next((option for option in reversed(options) if option.name == name), None)


def _blocks(found: Examined) -> None:
    blocks = {option.within for option in found.kept if option.within}
    for block in sorted(blocks - {option.within for option in found.kept if option.name == "remote"}):
        found.report(Option(("connection",), block), "refused", "it has no remote", "remote HOST PORT")


class _Once:
    """One refusal for an option, which several servers may share."""

    def __init__(self, found: Examined) -> None:
        self._found = found
        self._refused = {(one.line, one.option) for one in found.findings if one.weight == "refused"}

    def refuse(self, option: Option, what: str, fix: str) -> None:
        if (option.line, option.name) not in self._refused:
            self._refused.add((option.line, option.name))
            self._found.report(option, "refused", what, fix)


def _protocol(options: _Server, once: _Once, *, is_client: bool) -> None:
    """What goes by UDP only, or by TCP only."""
    remote = options.get("remote")
    if remote is None:
        return
    written = _written(options)
    tcp = written.startswith("tcp")
    fragment, proxy = options.get("fragment"), options.get("http-proxy")
    other = options.get("http-proxy-option") or options.get("http-proxy-user-pass")
    if tcp and fragment is not None:
        once.refuse(fragment, f"fragment is for UDP, and {remote.parameter} is reached by TCP", "take it out of the profile")
    if not tcp and proxy is not None:
        what = f"an HTTP proxy takes TCP alone, and {remote.parameter} is reached by UDP"
        once.refuse(proxy, what, "proto tcp, where the server has it")
    if proxy is None and other is not None:
        once.refuse(other, "it is for an HTTP proxy, and there is none", "http-proxy HOST PORT")
    if tcp and not written.endswith("-client") and not is_client:
        once.refuse(remote, f"{written} is for both ends without `client`", "client in place of tls-client and pull; or tcp-client")


def _written(options: _Server) -> str:
    """The protocol of a server."""
    remote, proto = options.get("remote"), options.get("proto")
    return remote.words[3] if remote and len(remote.words) > 3 else proto.parameter if proto else "udp"  # noqa: PLR2004 - after host and port


def _roles(found: Examined, servers: Sequence[_Server], once: _Once) -> None:
    has = {option.name for option in found.kept} | ({"auth-user-pass"} if found.wants_login else set())
    for wrong, what, fix in (
        (has.isdisjoint({"client", "tls-client"}), "`pull` is for TLS, and nothing says so", "client in place of pull"),
        ("auth-user-pass" in has and has.isdisjoint({"client", "pull"}), "auth-user-pass needs `pull`", "client in place of tls-client"),
        ("key" in has and not {"cert", "pkcs12"} & has, "it has a key, and no certificate to it", "ask for the certificate (cert)"),
    ):
        if wrong and not found.refusals:
            found.report(WHOLE, "refused", what, fix)
    force = _last(found.kept, "proto-force")
    if force is not None and not any(_written(options)[:3] == force.parameter[:3] for options in servers):
        once.refuse(force, f"no server is reached by {force.parameter}, so none is left", "take it out of the profile")


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
