"""What becomes of each option of an OpenVPN profile: a table of rules. Pure.

Which version of OpenVPN removed what: https://community.openvpn.net/openvpn/wiki/DeprecatedOptions
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from novaops.features.vpn.findings import Examined, Weight
from novaops.features.vpn.profile import BLOCKS, FILES, Option


def apply(option: Option, found: Examined) -> None:
    """Keep the option, rewrite it or leave it out, and report what is to be known of that."""
    for rule in RULES:
        if not rule.matches(option):
            continue
        if rule.weight is not None:
            values = {"name": option.name, "parameter": option.parameter or rule.default}
            found.report(option, rule.weight, rule.what.format(**values), rule.fix.format(**values))
        if rule.weight != "warning":
            found.kept += [rule.written(option)] if rule.written else []
            if option.name in PROOFS and rule.written is None and rule.weight != "refused" and not option.is_placeholder:
                what = "it tells the server from a false one, and cannot be kept as it is written"
                found.report(option, "refused", what, "remote-cert-tls server, verify-x509-name NAME name, or a block <peer-fingerprint>")
            return


PROOFS = frozenset(
    (
        *("ca", "pkcs12", "peer-fingerprint", "verify-hash", "verify-x509-name", "remote-cert-tls", "remote-cert-eku", "remote-cert-ku"),
        *("ns-cert-type", "tls-remote", "tls-verify", "crl-verify"),
    )
)
"""Options by which a client tells the server from a false one. None of them is left out in silence."""


@dataclass(frozen=True)
class Rule:
    """The first rule that matches decides, except that after a warning the next ones are tried, too."""

    names: str
    """The options that it is for, as shell patterns."""
    weight: Weight | None = None
    """None: nothing is reported."""
    what: str = ""
    fix: str = ""
    """`what` and `fix` may contain {name} and {parameter}, the option's name and first parameter."""
    when: Callable[[Option], bool] = lambda _: True
    written: Callable[[Option], Option] | None = None
    """The option as it goes into the configuration. None: it is left out."""
    default: str = ""
    """What {parameter} stands for where the option has none."""

    @cached_property
    def _all_names(self) -> re.Pattern[str]:
        """Compiled once: a profile may have any number of options."""
        return re.compile("|".join(map(fnmatch.translate, self.names.split())))

    def matches(self, option: Option) -> bool:
        return self._all_names.match(option.name) is not None and self.when(option)


def _old_tls(option: Option) -> bool:
    return option.parameter in {"1.0", "1.1"}


def _server_name(old: str) -> tuple[str, str]:
    """The parameters of verify-x509-name for one of tls-remote: a common name, the beginning of one, or /C=…/O=…/CN=…

    OpenVPN writes a subject with commas since 2.3, in the certificate's order (--verify-x509-name in its manual).
    """
    if old.startswith("/") and "=" in old:
        parts = re.split(r"/(?=[A-Za-z][A-Za-z0-9.]*=)", old)[1:]
        return ", ".join(parts), "subject"
    return old, "name-prefix" if old.endswith("-") else "name"


_FOR_THE_SERVER = re.compile(r"UV_\w+|IV_\w+|FORWARD_COMPATIBLE|CLIENT_CERT|PROFILE_NAME|FRIENDLY_NAME|USERNAME|SERVER")
"""Variables of `setenv` that are sent to the server or mean nothing to OpenVPN; all others are for scripts."""

_TAKE_OUT = "take it out of the profile"

_REFUSED = (
    Rule(
        "dev dev-type",
        "refused",
        "the profile is for a bridged network (tap): whole networks would be joined, not single routes",
        "ask for a profile with dev tun",
        when=lambda option: option.parameter.startswith("tap"),
    ),
    Rule(
        "secret static-key",
        "refused",
        "a static key for both ends: OpenVPN 2.6 wants TLS, 2.8 knows nothing else",
        "ask for a profile with certificates",
    ),
    Rule("mode", when=lambda option: option.parameter == "p2p"),  # a client's own, without a word
    Rule(
        "mode server server-bridge server-ipv6 ifconfig-pool client-to-client client-config-dir push",
        "refused",
        "{name}: this is the configuration of a server",
        "take the client's .ovpn",
    ),
    Rule(
        "setenv",
        "refused",
        "GENERIC_CONFIG: it is not a whole profile, and OpenVPN takes none like it",
        "ask for a profile of your own",
        when=lambda option: option.parameter == "GENERIC_CONFIG",
    ),
    Rule("config", "refused", "it takes in another file: {parameter}", "put everything into one file"),
    Rule(
        "pkcs11* cryptoapicert* management-external*",
        "refused",
        "the private key is in a device that no host in a cloud has",
        "ask for a profile with the key in it",
    ),
    Rule(
        "static-challenge",
        "refused",
        "the server asks for a one-time password, and nobody is there to answer at a boot",
        "ask for an account without it, or for certificates",
    ),
    Rule(
        "http-proxy",
        "refused",
        "the HTTP proxy's password would be asked for",
        "put it into a block <http-proxy-user-pass>: user and password, a line each",
        when=lambda option: not {"auto", "auto-nct", "stdin"}.isdisjoint(option.words[3:]),
    ),
    Rule(
        "socks-proxy",
        "refused",
        "the SOCKS proxy's password would be asked for",
        "name a file with user and password, a line each: socks-proxy HOST PORT FILE",
        when=lambda option: "stdin" in option.words[3:],
    ),
    Rule("tls-server", "refused", "{name}: this is the configuration of a server", "take the client's .ovpn"),
    Rule(
        "crl-verify",
        "refused",
        "a folder of revoked certificates cannot be put into one file",
        "ask for the list itself, and name that",
        when=lambda option: option.words[2:3] == ("dir",),
    ),
    Rule("capath", "refused", "a folder of authorities cannot be put into one file", "use ca, with all of them in one file"),
)
"""Nothing can be done with such a profile: it is not a client's, or needs what the host has not."""

_LEFT_OUT = (
    Rule("up-restart up-delay down-pre", "left out", "it is about scripts"),
    Rule(
        "up down route-up route-pre-down ipchange tls-verify auth-user-pass-verify client-connect client-disconnect"
        " client-crresponse learn-address plugin iproute tls-crypt-v2-verify tls-export-cert dns-updown engine",
        "left out",
        "it would run {parameter} as root",
        default="a program",
    ),
    Rule("setenv", "left out", "{parameter} is for scripts", when=lambda option: not _FOR_THE_SERVER.fullmatch(option.parameter)),
    Rule("setenv-safe x509-track", "left out", "{parameter} is for scripts"),
    Rule("auth-retry", "left out", "a refused password is tried again after 15 minutes", when=lambda option: option.parameter != "none"),
    Rule("mlock", "left out", "the limits of the unit may not allow it, and OpenVPN would end"),
    Rule("mtu-test", "left out", "it only measures"),
    Rule(
        "providers",
        "left out",
        "it would load a library of its own",
        when=lambda option: not {"default", "legacy", "fips", "base"}.issuperset(option.words[1:]),
    ),
    Rule("redirect-gateway", "left out", "everything would go through it, ssh included"),
    Rule("redirect-private", "left out", "it changes routes"),
    Rule(
        "route route-ipv6 dhcp-option dns block-outside-dns block-ipv6",
        "left out",
        "only what routes: names goes through it, and DNS stays as it is",
    ),
    Rule(
        "auth-gen-token auth-gen-token-secret auth-user-pass-optional ccd-exclusive client-cert-not-required connect-freq"
        " connect-freq-initial disable duplicate-cn ifconfig-ipv6-pool ifconfig-ipv6-push ifconfig-pool-linear ifconfig-pool-persist"
        " ifconfig-push ifconfig-push-constraint iroute iroute-ipv6 max-clients max-routes-per-client override-username port-share"
        " push-continuation push-remove push-reset stale-routes-check tls-crypt-v2-max-age username-as-common-name verify-client-cert"
        " vlan-accept vlan-pvid vlan-tagging bcast-buffers hash-size tcp-queue-limit force-tls-key-material-export",
        "left out",
        "only a server has use for it",
    ),
    Rule("client-nat lladdr", "left out", "it changes addresses"),
    Rule("route-ipv6-gateway route-table", "left out", "it changes routes"),
    Rule("keying-material-exporter", "left out", "it hands the link's keys to scripts"),
    Rule("genkey memstats", "left out", "it writes files"),
    Rule("setcon", "left out", "SELinux's context is the unit's"),
    Rule("http-proxy-override", "left out", "a profile says itself by which proxy it goes"),
    Rule("management management-*", "left out", "another program could steer it"),
    Rule("log log-append syslog", "left out", "what it says goes to the journal"),
    Rule("status status-version", "left out", "novaops vpn status shows it"),
    Rule("daemon inetd writepid cd chroot nice tmp-dir replay-persist", "left out", "systemd sees to that"),
    Rule("user group", "left out", "after a restart of the link it needs its rights again; the unit narrows them"),
    Rule("local lport bind multihome bind-dev", "left out", "a client needs no port of its own"),
    Rule(
        "inactive session-timeout ping-exit connect-retry-max tls-exit remap-usr1 single-session",
        "left out",
        "it would end the link for good",
    ),
)

_MENDED = (
    Rule("key-method no-iv", "mended", "removed in 2.5: left out", _TAKE_OUT),
    Rule("ncp-disable keysize prng comp-noadapt", "mended", "removed in 2.6: left out", _TAKE_OUT),
    Rule("opt-verify", "mended", "removed in 2.7: left out", _TAKE_OUT),
    Rule("no-replay", "mended", "removed in 2.7, and it took away a protection: left out", _TAKE_OUT),
    Rule("tls-version-min-or-highest", "mended", "never was one: left out", _TAKE_OUT),
    Rule(
        "ns-cert-type",
        "mended",
        "removed in 2.6: written as remote-cert-tls",
        "remote-cert-tls {parameter}",
        written=lambda option: Option(("remote-cert-tls", option.parameter or "server"), option.line),
        default="server",
    ),
    Rule(
        "tls-remote",
        "mended",
        "removed in 2.4: written as verify-x509-name",
        "verify-x509-name NAME name, or 'C=…, O=…, CN=…' subject",
        written=lambda option: Option(("verify-x509-name", *_server_name(option.parameter)), option.line),
        when=lambda option: bool(option.parameter),
    ),
    Rule(
        "verify-x509-name",
        "mended",
        "no subject is written like that since 2.3: written with commas",
        "'C=…, O=…, CN=…' subject",
        written=lambda option: Option(("verify-x509-name", *_server_name(option.parameter)), option.line),
        when=lambda option: option.parameter.startswith("/") and "=" in option.parameter and option.words[2:] in {(), ("subject",)},
    ),
    Rule("compat-names no-name-remapping", "mended", "removed in 2.5: left out, and names are compared as they are since 2.3", _TAKE_OUT),
    Rule(
        "ncp-ciphers",
        "mended",
        "has another name since 2.5: written as data-ciphers",
        "data-ciphers {parameter}",
        written=lambda option: Option(("data-ciphers", *option.words[1:]), option.line),
    ),
    Rule(
        "tls-version-min",
        "mended",
        "TLS {parameter} is broken, and OpenSSL 3 does not speak it: 1.2 is the least",
        "tls-version-min 1.2",
        when=_old_tls,
    ),
    Rule("tls-version-max", "mended", "TLS {parameter} is broken, and OpenSSL 3 does not speak it: left out", _TAKE_OUT, when=_old_tls),
)

_SILENT = (
    # novaops sets these itself, or they mean nothing on a host.
    Rule(
        "dev dev-type dev-node nobind persist-tun persist-key ping ping-restart keepalive ping-timer-rem connect-retry connect-timeout"
        " server-poll-timeout resolv-retry explicit-exit-notify auth-nocache verb mute script-security route-noexec"
        " route-nopull route-metric route-gateway route-delay route-method ifconfig-noexec ifconfig-nowarn register-dns ip-win32"
        " tap-sleep show-net-up windows-driver pause-exit service win-sys allow-recursive-routing mute-replay-warnings"
        " machine-readable-output suppress-timestamps echo parameter dhcp-renew dhcp-release dhcp-pre-release block-local"
        " tun-ipv6 max-routes rmtun mktun auth-user-pass askpass disable-occ dh errors-to-stderr"
        " persist-local-ip persist-remote-ip ip-remote-hint http-proxy-retry http-proxy-timeout"
        " socks-proxy-retry preresolve use-prediction-resistance dhcp-internal mtu-dynamic peer-id rdns-internal foreign-option"
        " allow-nonadmin show-adapters show-ciphers show-curves show-digests show-engines show-gateway"
        " show-groups show-net show-pkcs11-ids show-tls show-valid-subnets version help test-crypto gremlin msg-channel connection"
        " allow-deprecated-insecure-static-crypto"
    ),
    Rule("auth-retry", when=lambda option: option.parameter == "none"),
    Rule("cipher"),  # lint_ciphers.py decides it together with data-ciphers
    Rule("port", written=lambda option: Option(("rport", *option.words[1:]), option.line, None, option.within)),
    Rule("udp-mtu", written=lambda option: Option(("link-mtu", *option.words[1:]), option.line, None, option.within)),
)

_KEPT = (
    Rule(
        "comp-lzo compress",
        "warning",
        "compression lets what is encrypted be guessed (VORACLE): 2.6 receives it, and sends none itself",
        "take it away at the server, then here",
        when=lambda option: option.parameter not in {"no", "stub", "stub-v2", "migrate"},
    ),
    Rule(
        "auth",
        "warning",
        "auth {parameter}: what comes in is not, or badly, checked",
        "auth SHA256 at both ends",
        when=lambda option: option.parameter.upper() in {"NONE", "MD5"},
    ),
    Rule(" ".join(FILES), when=lambda option: option.block is None),  # [inline]: the block is elsewhere in the profile
    Rule("peer-fingerprint verify-hash", when=lambda option: option.is_placeholder),
    Rule(" ".join(BLOCKS), written=lambda option: option, when=lambda option: option.block is not None),
    Rule("tcp-nodelay", written=lambda option: Option(("socket-flags", "TCP_NODELAY"), option.line)),
    # What a client's profile may contain, and no more: some other options write files (genkey, memstats).
    Rule(
        "client tls-client pull remote remote-random remote-random-hostname proto proto-force rport nobind float http-proxy"
        " http-proxy-option socks-proxy key-direction topology ifconfig ifconfig-ipv6 auth data-ciphers data-ciphers-fallback tls-cipher"
        " tls-ciphersuites tls-groups ecdh-curve tls-version-min tls-version-max tls-cert-profile tls-timeout reneg-sec reneg-bytes"
        " reneg-pkts hand-window tran-window remote-cert-tls remote-cert-eku remote-cert-ku verify-x509-name x509-username-field"
        " peer-fingerprint verify-hash comp-lzo compress allow-compression tun-mtu tun-mtu-extra tun-mtu-max link-mtu mssfix fragment"
        " mtu-disc max-packet-size sndbuf rcvbuf txqueuelen fast-io shaper socket-flags mark passtos disable-dco replay-window"
        " pull-filter allow-pull-fqdn auth-token auth-token-user push-peer-info setenv ignore-unknown-option providers compat-mode"
        " key-derivation protocol-flags",
        when=lambda option: option.block is None,
        written=lambda option: option,
    ),
    Rule("*", "left out", "novaops does not know what it does, and OpenVPN runs as root"),
)

RULES = (*_REFUSED, *_LEFT_OUT, *_MENDED, *_SILENT, *_KEPT)
