"""Whether a profile tells its server from every other holder of a certificate of the same authority. Pure."""

from __future__ import annotations

from novaops.features.vpn.findings import Examined
from novaops.features.vpn.profile import Option

_USES = {
    **dict.fromkeys(("TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1"), "server"),
    **dict.fromkeys(("TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2"), "client"),
}
"""What remote-cert-eku demands, by OpenSSL's name for it and by its number, in the words of remote-cert-tls."""

_USAGES = ("remote-cert-tls", "remote-cert-eku")
"""Both set the one usage that OpenVPN wants of the server's certificate."""


def examine_identity(found: Examined) -> None:
    """Require a usage of servers alone, a name, or a fingerprint, of what is in effect: of a usage and of a name OpenVPN takes the last.

    That is asked of what is kept, not of what was written. verify-hash is no such thing: it names the authority above the server's
    certificate, not the certificate. Nor is remote-cert-ku: servers and clients have the same kinds of keys.
    """
    if found.refusals:
        return
    usages = [one for one in found.kept if one.name in _USAGES]
    names = [one for one in found.kept if one.name == "verify-x509-name"]
    _warn_of_overridden(names, found)
    pinned = bool(names) or any(one.name == "peer-fingerprint" for one in found.kept)
    use = _use(usages[-1]) if usages else ""
    if use == "client":
        _want_server(usages[-1], f"{usages[-1].name} wants a client at the other end: remote-cert-tls server takes its place", found)
        return
    _warn_of_overridden(usages, found)
    if use == "server" or pinned:
        return
    if use:
        what = f"{use[:60]} is not the usage of a server: any other holder of such a certificate could pose as it"
        found.report(usages[-1], "refused", what, "remote-cert-tls server, or verify-x509-name NAME name beside it")
        return
    what = "any other client of the same authority could pose as the server: remote-cert-tls server is added"
    _want_server(Option(("remote-cert-tls", "server"), 0), what, found)


def _use(option: Option) -> str:
    return _USES.get(option.parameter, option.parameter)


def _want_server(reported: Option, what: str, found: Examined) -> None:
    """Have remote-cert-tls server as the only usage."""
    found.kept = [*(one for one in found.kept if one.name not in _USAGES), Option(("remote-cert-tls", "server"), reported.line)]
    fix = "remote-cert-tls server; verify-x509-name NAME name where the server's certificate is not marked as a server's"
    found.report(reported, "mended", what, fix)


def _warn_of_overridden(options: list[Option], found: Examined) -> None:
    """Of each option that asks for something else than the last one, which alone is in effect."""
    for one in options[:-1]:
        last = options[-1]
        if (_use(one), *one.words[2:]) != (_use(last), *last.words[2:]):
            found.report(one, "warning", f"{last.name} of line {last.line} takes its place: OpenVPN takes the last", "keep one of them")
