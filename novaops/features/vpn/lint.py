"""What is wrong with an OpenVPN profile for OpenVPN 2.6 and OpenSSL 3, and the configuration that is made of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from novaops.features.vpn.profile import FILES, Option, Profile, text_of
from novaops.formats.x509 import DAY, Chain
from novaops.secret import Secret

Weight = Literal["refused", "mended", "left out", "warning", "note"]
"""refused: no link comes of it · mended, left out: `vpn up` writes it so, and says it · warning: to be changed at the server,
or in the profile · note: worth knowing."""

SOON = 30
"""Days before its end from which a certificate is spoken of."""

_MODERN = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")
_SMALL = re.compile(r"^(BF|DES|DESX|CAST5|RC2|RC4|IDEA|SEED)\b", re.IGNORECASE)
_KEY_BITS = 2048

_SCRIPTS = (
    *("up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify", "auth-user-pass-verify", "client-connect"),
    *("client-disconnect", "client-crresponse", "learn-address", "plugin", "iproute", "tls-crypt-v2-verify", "tls-export-cert"),
    *("up-restart", "up-delay", "down-pre", "dns-updown", "engine"),
)

_ROUTES = ("redirect-gateway", "redirect-private", "route", "route-ipv6", "dhcp-option", "dns", "block-outside-dns", "block-ipv6")

_ELSEWHERE = {
    **dict.fromkeys(("log", "log-append", "syslog"), "what it says goes to the journal"),
    **dict.fromkeys(("status", "status-version"), "novaops vpn status shows it"),
    **dict.fromkeys(("daemon", "inetd", "writepid", "cd", "chroot", "nice", "tmp-dir", "replay-persist"), "systemd sees to that"),
    **dict.fromkeys(("user", "group"), "after a restart of the link it needs its rights again; the unit narrows them"),
    **dict.fromkeys(("local", "lport", "bind", "multihome", "bind-dev"), "a client needs no port of its own"),
    **dict.fromkeys(
        ("inactive", "session-timeout", "ping-exit", "connect-retry-max", "tls-exit", "remap-usr1", "single-session"),
        "it would end the link for good",
    ),
}
"""Said when it is left out, with the reason."""

_MANAGED = re.compile(r"management(-.*)?")

_SILENT = frozenset(
    {
        *("dev", "dev-type", "dev-node", "nobind", "persist-tun", "persist-key", "ping", "ping-restart", "keepalive", "ping-timer-rem"),
        *("connect-retry", "connect-timeout", "server-poll-timeout", "resolv-retry", "explicit-exit-notify", "auth-nocache", "auth-retry"),
        *(
            "verb",
            "mute",
            "script-security",
            "route-noexec",
            "route-nopull",
            "route-metric",
            "route-gateway",
            "route-delay",
            "route-method",
        ),
        *("ifconfig-noexec", "ifconfig-nowarn", "register-dns", "ip-win32", "tap-sleep", "show-net-up", "windows-driver", "pause-exit"),
        *(
            "service",
            "win-sys",
            "allow-recursive-routing",
            "mute-replay-warnings",
            "machine-readable-output",
            "suppress-timestamps",
            "echo",
        ),
        *(
            "parameter",
            "dhcp-renew",
            "dhcp-release",
            "dhcp-pre-release",
            "block-local",
            "allow-pull-fqdn",
            "pull-filter",
            "tun-ipv6",
            "max-routes",
        ),
        *("mlock", "rmtun", "mktun", "auth-user-pass", "askpass", "disable-occ", "dh", "errors-to-stderr", "mtu-test"),
    }
)
"""Left out without a word: novaops writes its own, or it means nothing here."""

_REMOVED = {
    "ncp-disable": "removed in 2.6",
    "key-method": "removed in 2.5",
    "no-iv": "removed in 2.5",
    "no-replay": "removed in 2.7, and it took away a protection",
    "keysize": "removed in 2.6",
    "prng": "removed in 2.6",
    "opt-verify": "removed in 2.7",
    "comp-noadapt": "removed in 2.6",
    "tls-version-min-or-highest": "never was one",
}

_TAKEN = frozenset(
    {
        *FILES,
        *("client", "tls-client", "pull", "remote", "remote-random", "remote-random-hostname", "proto", "proto-force", "rport"),
        *("nobind", "float", "http-proxy", "http-proxy-option", "socks-proxy", "key-direction", "topology", "ifconfig", "ifconfig-ipv6"),
        *("auth", "data-ciphers", "data-ciphers-fallback", "tls-cipher", "tls-ciphersuites", "tls-groups", "ecdh-curve", "tls-version-min"),
        *("tls-version-max", "tls-cert-profile", "tls-timeout", "reneg-sec", "reneg-bytes", "reneg-pkts", "hand-window", "tran-window"),
        *("remote-cert-tls", "remote-cert-eku", "remote-cert-ku", "verify-x509-name", "x509-username-field", "peer-fingerprint"),
        *("verify-hash", "comp-lzo", "compress", "allow-compression", "tun-mtu", "tun-mtu-extra", "tun-mtu-max", "link-mtu", "mssfix"),
        *("fragment", "mtu-disc", "max-packet-size", "sndbuf", "rcvbuf", "txqueuelen", "fast-io", "shaper", "socket-flags", "mark"),
        *("passtos", "disable-dco", "replay-window", "auth-token", "auth-token-user", "push-peer-info", "setenv", "ignore-unknown-option"),
        *("providers", "compat-mode", "key-derivation", "protocol-flags"),
    }
)
"""What a client's profile may say, and no more: OpenVPN runs as root, and some of its options write files (genkey, memstats)."""

_SERVERS = ("mode", "server", "server-bridge", "server-ipv6", "ifconfig-pool", "client-to-client", "client-config-dir", "push")

_HARMLESS_VARIABLES = re.compile(r"UV_\w+|IV_\w+|FORWARD_COMPATIBLE|CLIENT_CERT|GENERIC_CONFIG|PROFILE_NAME|FRIENDLY_NAME|USERNAME|SERVER")

_FILTERED = (
    *("redirect-gateway", "redirect-private", "route ", "route-ipv6 ", "dhcp-option", "dns ", "block-outside-dns", "block-ipv6"),
    *("ping", "inactive", "session-timeout"),
)
"""Beginnings of what a server pushes that is not taken. With a blank where route-gateway, say, is another option that is needed."""


@dataclass(frozen=True)
class Finding:
    line: int
    """0 where it is about the whole profile."""
    option: str
    weight: Weight
    what: str
    fix: str = ""
    """What to change, and where."""


@dataclass(frozen=True)
class Given:
    """What is known beside the profile."""

    now: int
    """Seconds since 1970."""
    user: bool = False
    """Whether there are a user and a password for it, or will be."""
    key_password: Secret | None = None
    later: bool = False
    """Whether secrets that are not there may still come: the profile is looked at, and not used."""


@dataclass
class Examined:
    findings: list[Finding] = field(default_factory=list)
    kept: list[Option] = field(default_factory=list)
    """What goes into the configuration."""
    login: tuple[str, Secret] | None = None
    """User and password that the profile brings itself."""
    wants_login: bool = False
    key_password: Secret | None = None
    encrypted: bool = False
    """Whether its private key is."""

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.weight == "refused"]

    @property
    def protocols(self) -> set[str]:
        return {protocol for _, _, protocol in Profile(tuple(self.kept)).remotes}


def examine(profile: Profile, given: Given, logins: Mapping[str, bytes] | None = None) -> Examined:
    """`profile` is filled: its files are blocks. `logins` are the files of auth-user-pass and askpass, by their name in the profile."""
    found = Examined()
    for option in profile.options:
        _one(option, found)
    _password_files(profile, found, logins or {})
    _whole(profile, found)
    _ciphers(profile, found)
    _identity(profile, found)
    _passwords(profile, found, given)
    _certificates(profile, found, given)
    found.findings.sort(key=lambda finding: finding.line or 1_000_000)
    return found


def configuration(
    found: Examined, *, head: Sequence[str], device: str, address: str, up: str, login: str, key_password: str, persist: bool
) -> Secret:
    """/etc/openvpn/client/NAME.conf. `address` are the words that give the device its address, `up` those that OpenVPN runs when the
    link is up, `login` and `key_password` the files' paths, "" for none. `persist`: the device stays while the link is being made anew.
    """
    own: list[tuple[str, ...]] = [
        *(("pull-filter", "ignore", start) for start in _FILTERED),
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
        *([("explicit-exit-notify", "1")] if _all_udp(found) else []),
        ("auth-nocache",),
        ("auth-retry", "none"),
        ("script-security", "2"),
        ("route-up", up),
        ("ignore-unknown-option", "dns-updown"),
        ("dns-updown", "disable"),
        ("verb", "3"),
        *([("auth-user-pass", login)] if login else []),
        *([("askpass", key_password)] if key_password else []),
    ]
    comments = "".join(f"# {line}\n" for line in head)
    return Secret(comments + text_of([Option(words, 0) for words in own]) + "# of the profile:\n" + text_of(found.kept))


def _all_udp(found: Examined) -> bool:
    return bool(found.protocols) and all(protocol.startswith("udp") for protocol in found.protocols)


def _one(option: Option, found: Examined) -> None:  # noqa: C901, PLR0911, PLR0912 - a table of cases
    """Keep the option, or say why not."""
    name, line = option.name, option.line

    def say(weight: Weight, what: str, fix: str = "") -> None:
        found.findings.append(Finding(line, name, weight, what, fix))

    if name in {"dev", "dev-type"} and option.parameter.startswith("tap"):
        return say(
            "refused",
            "the profile is for a bridged network (tap): whole networks would be joined, not single routes",
            "ask for a profile with dev tun",
        )
    if name in {"secret", "static-key"}:
        return say(
            "refused", "a static key for both ends: OpenVPN 2.6 wants TLS, 2.8 knows nothing else", "ask for a profile with certificates"
        )
    if name in _SERVERS:
        return say("refused", f"{name}: this is the configuration of a server", "take the client's .ovpn")
    if name == "config":
        return say("refused", f"it takes in another file: {option.parameter}", "put everything into one file")
    if name.startswith(("pkcs11", "cryptoapicert", "management-external")):
        return say("refused", "the private key is in a device that no host in a cloud has", "ask for a profile with the key in it")
    if name == "static-challenge":
        return say(
            "refused",
            "the server asks for a one-time password, and nobody is there to answer at a boot",
            "ask for an account without it, or for certificates",
        )
    if name == "http-proxy" and any(word in {"auto", "auto-nct", "stdin"} for word in option.words[3:]):
        return say(
            "refused",
            "the HTTP proxy's password would be asked for",
            "put it into a block <http-proxy-user-pass>: user and password, a line each",
        )
    if name == "capath":
        return say("refused", "a folder of authorities cannot be put into one file", "use ca, with all of them in one file")
    if name in _SCRIPTS:
        return say(
            "left out",
            f"it would run {option.parameter or 'a program'} as root"
            if name not in {"up-restart", "up-delay", "down-pre"}
            else "it is about scripts",
        )
    if name == "setenv" and not _HARMLESS_VARIABLES.fullmatch(option.parameter):
        return say("left out", f"{option.parameter} is for scripts")
    if name == "providers" and not set(option.words[1:]) <= {"default", "legacy", "fips", "base"}:
        return say("left out", "it would load a library of its own")
    if name in _ROUTES:
        what = {"redirect-gateway": "everything would go through it, ssh included", "redirect-private": "it changes routes"}
        return say("left out", what.get(name, "only what routes: names goes through it, and DNS stays as it is"))
    if _MANAGED.fullmatch(name):
        return say("left out", "another program could steer it")
    if name in _ELSEWHERE:
        return say("left out", _ELSEWHERE[name])
    if name in _REMOVED:
        return say("mended", f"{_REMOVED[name]}: left out", "take it out of the profile")
    if name in _SILENT:
        return None
    if name == "port":
        found.kept.append(Option(("rport", *option.words[1:]), line, None, option.within))
        return None
    if name == "ns-cert-type":
        found.kept.append(Option(("remote-cert-tls", option.parameter or "server"), line))
        return say("mended", "removed in 2.6: written as remote-cert-tls", f"remote-cert-tls {option.parameter or 'server'}")
    if name == "tls-remote":
        found.kept.append(Option(("verify-x509-name", option.parameter, "name"), line))
        return say("mended", "removed in 2.4: written as verify-x509-name", f"verify-x509-name {option.parameter} name")
    if name == "ncp-ciphers":
        found.kept.append(Option(("data-ciphers", *option.words[1:]), line))
        return say("mended", "has another name since 2.5: written as data-ciphers", f"data-ciphers {option.parameter}")
    if name == "udp-mtu":
        found.kept.append(Option(("link-mtu", *option.words[1:]), line))
        return None
    if name == "tls-version-min" and option.parameter in {"1.0", "1.1"}:
        return say("mended", f"TLS {option.parameter} is broken, and OpenSSL 3 does not speak it: 1.2 is the least", "tls-version-min 1.2")
    if name == "tls-version-max" and option.parameter in {"1.0", "1.1"}:
        return say("mended", f"TLS {option.parameter} is broken, and OpenSSL 3 does not speak it: left out", "take it out of the profile")
    if name in {"comp-lzo", "compress"} and option.parameter not in {"no", "stub", "stub-v2", "migrate"}:
        say(
            "warning",
            "compression lets what is encrypted be guessed (VORACLE): 2.6 receives it, and sends none itself",
            "take it away at the server, then here",
        )
    if name == "cipher":
        return None  # see _ciphers
    if name == "auth" and option.parameter.upper() in {"NONE", "MD5"}:
        say("warning", f"auth {option.parameter}: what comes in is not, or badly, checked", "auth SHA256 at both ends")
    if name in FILES and option.block is None:
        return None  # [inline]: its block stands elsewhere
    if name not in _TAKEN or (option.block is not None and name not in FILES):
        return say("left out", "novaops does not know what it does, and OpenVPN runs as root")
    found.kept.append(option)
    return None


def _password_files(profile: Profile, found: Examined, files: Mapping[str, bytes]) -> None:
    for option in profile.all("auth-user-pass"):
        found.wants_login = True
        content = option.block.encode("utf-8", "surrogateescape") if option.block is not None else files.get(option.parameter)
        if content is None:
            continue
        try:
            found.login = login_of(content)
        except ValueError as error:
            where = f"the file {option.parameter}" if option.block is None else "the block"
            found.findings.append(
                Finding(option.line, option.name, "refused", f"{where}: {error}", "two lines: the user, and the password")
            )
    for option in profile.all("askpass"):
        content = files.get(option.parameter)
        if content is not None:
            found.key_password = Secret(_decoded(content).split("\n")[0].strip("\r"))


def login_of(content: bytes) -> tuple[str, Secret]:
    """User and password of the two lines of a file. Raises ValueError that says what is wrong, without repeating it."""
    lines = [line.strip("\r") for line in _decoded(content).split("\n")]
    user, password = [*(line.strip() if number == 0 else line.lstrip("\t") for number, line in enumerate(lines[:2])), "", ""][:2]
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
    if any(len(text.encode("utf-8", "surrogateescape")) > _LONGEST_PASSWORD for text in (user, word)):
        raise ValueError(f"the user or the password is longer than {_LONGEST_PASSWORD} bytes")
    return user, Secret(word)


_LONGEST_PASSWORD = 127
"""OpenVPN without PKCS#11 has room for so many bytes."""


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig", "surrogateescape")


def _whole(profile: Profile, found: Examined) -> None:
    def refuse(what: str, fix: str) -> None:
        found.findings.append(Finding(0, "", "refused", what, fix))

    if not profile.options:
        refuse("the profile is empty", "take the client's .ovpn")
        return
    if found.refusals:
        return
    if not profile.all("client", "pull") and not profile.all("tls-client"):
        refuse("it has no `client`: this is no profile of a client", "take the client's .ovpn")
    if not profile.remotes:
        refuse("it has no `remote`: nobody knows where the server is", "remote HOST PORT")
    if not profile.all("ca", "pkcs12", "peer-fingerprint"):
        refuse("it has no authority (ca): no server could be told from a false one", "ask for the ca, and put it into the profile")
    if profile.all("cert") and not profile.all("key", "pkcs12"):
        refuse("it has a certificate (cert), and no key to it", "ask for the key, and put it into the profile")
    for host, port, protocol in profile.remotes:
        if (
            not re.fullmatch(r"[0-9]{1,5}", port)
            or not re.fullmatch(r"(udp|tcp)[46]?(-client)?", protocol)
            or not re.fullmatch(r"[A-Za-z0-9_.:-]+", host)
        ):
            refuse(f"remote {host} {port} {protocol} is no server", "remote HOST PORT udp|tcp")


def _ciphers(profile: Profile, found: Examined) -> None:
    """Since 2.6 `cipher` alone means nothing: what may be spoken stands in data-ciphers."""
    written, listed = profile.last("cipher"), profile.last("data-ciphers") or profile.last("ncp-ciphers")
    for option in profile.all("data-ciphers", "ncp-ciphers", "data-ciphers-fallback"):
        for cipher in option.parameter.split(":"):
            if cipher.lstrip("?").upper() == "NONE":
                found.findings.append(
                    Finding(
                        option.line, option.name, "refused", "none: nothing would be encrypted", f"{option.name} {_MODERN[0]} at both ends"
                    )
                )
            elif _SMALL.match(cipher.lstrip("?")):
                found.findings.append(
                    Finding(
                        option.line,
                        option.name,
                        "warning",
                        f"{cipher} is broken, and OpenSSL 3 does not have it",
                        f"take it out; {_MODERN[0]} in its place",
                    )
                )
    if written is None:
        return
    cipher = written.parameter.upper()

    def say(weight: Weight, what: str, fix: str) -> None:
        found.findings.append(Finding(written.line, "cipher", weight, what, fix))

    if cipher == "NONE":
        say("refused", "cipher none: nothing would be encrypted", f"data-ciphers {_MODERN[0]} at both ends")
    elif _SMALL.match(cipher):
        say(
            "mended",
            f"{cipher} has blocks of 64 bits (SWEET32), and OpenSSL 3 does not have it: {':'.join(_MODERN)} are offered instead",
            "take it out; a server older than 2.4 has to be brought up to date",
        )
    elif listed is None:
        offered = [*_MODERN, *([cipher] if cipher not in _MODERN else [])]
        found.kept += [Option(("data-ciphers", ":".join(offered)), written.line)]
        if not profile.all("data-ciphers-fallback"):
            found.kept += [Option(("data-ciphers-fallback", cipher), written.line)]
        if cipher not in _MODERN:
            say("mended", f"2.6 ignores cipher where the ends can agree: {cipher} is offered too", f"data-ciphers {':'.join(offered)}")


def _identity(profile: Profile, found: Examined) -> None:
    proofs = ("remote-cert-tls", "remote-cert-eku", "verify-x509-name", "peer-fingerprint", "ns-cert-type", "tls-remote", "verify-hash")
    if found.refusals or any(one.name != "remote-cert-tls" or one.parameter == "server" for one in profile.all(*proofs)):
        return
    found.kept = [one for one in found.kept if one.name != "remote-cert-tls"]  # client, which is what every other client is
    found.kept.append(Option(("remote-cert-tls", "server"), 0))
    found.findings.append(
        Finding(
            *(0, "remote-cert-tls", "mended"),
            "any other client of the same authority could pose as the server: remote-cert-tls server is added",
            "remote-cert-tls server; verify-x509-name NAME name where the server's certificate is not marked as a server's",
        )
    )


def _passwords(profile: Profile, found: Examined, given: Given) -> None:
    asks = profile.last("auth-user-pass")
    if asks is not None and found.login is None and not given.user and not found.refusals:
        where = "settings user: and password:, or a block <auth-user-pass> with two lines"
        weight: Weight = "note" if given.later else "refused"
        found.findings.append(
            Finding(asks.line, asks.name, weight, "a user and a password are asked for, and nobody is there at a boot", where)
        )
    if not profile.all("cert", "pkcs12") and asks is None and not found.refusals:
        found.findings.append(
            Finding(
                0,
                "cert",
                "refused",
                "it has neither a certificate nor auth-user-pass: nobody would be let in",
                "ask for the client's own profile",
            )
        )


def _certificates(profile: Profile, found: Examined, given: Given) -> None:
    password = given.key_password or found.key_password
    for option in profile.all("ca", "cert", "extra-certs"):
        if option.block is not None:
            _dates(option, found, given)
    key = profile.last("key")
    if key is not None and key.block is not None:
        _key(key, profile, found, given, password)
    bundle = profile.last("pkcs12")
    if bundle is not None and bundle.block is not None:
        _bundle(bundle, found, given, password)


def _dates(option: Option, found: Examined, given: Given) -> None:
    def say(weight: Weight, what: str, fix: str) -> None:
        found.findings.append(Finding(option.line, option.name, weight, what, fix))

    ask = "ask for a new profile" if option.name == "cert" else "the server's authority has to be made anew"
    try:
        chain = Chain.read(option.block or "")
    except ValueError as error:
        say("refused", str(error), "put the certificate there as PEM text")
        return
    for certificate in chain.certificates if option.name != "cert" else (chain.leaf,):
        who = f"the certificate of {certificate.common_name or certificate.subject}"
        days = certificate.days_left(given.now)
        several = option.name != "cert" and len(chain.certificates) > 1
        if days < 0:
            say("warning" if several else "refused", f"{who} expired on {_day(certificate.not_after)}", ask)
        elif certificate.not_before > given.now + DAY:
            say("refused", f"{who} is not valid before {_day(certificate.not_before)}", "see whether this machine's clock is right")
        elif days < SOON:
            say("warning", f"{who} expires in {days} days, on {_day(certificate.not_after)}", ask)
        for trouble in _weakness(certificate._parsed, signed=not certificate.self_signed):  # noqa: SLF001 - the same authority reads both
            say("refused", f"{who} {trouble}: OpenSSL 3 does not take it", ask)


def _weakness(parsed: Any, *, signed: bool) -> Iterator[str]:
    """What OpenSSL's security level 1 or 2 turns down. A self-signed one's own signature counts for nothing."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if signed and parsed.signature_hash_algorithm is not None and parsed.signature_hash_algorithm.name in {"md5", "sha1"}:
        yield f"is signed with {parsed.signature_hash_algorithm.name.upper()}"
    try:
        key = parsed.public_key()
    except Exception:  # noqa: BLE001 - a kind of key that is not known here may be fine there
        return
    if isinstance(key, RSAPublicKey) and key.key_size < _KEY_BITS:
        yield f"has a key of {key.key_size} bits"


def _key(option: Option, profile: Profile, found: Examined, given: Given, password: Secret | None) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    def say(weight: Weight, what: str, fix: str) -> None:
        found.findings.append(Finding(option.line, "key", weight, what, fix))

    pem = (option.block or "").encode("utf-8", "surrogateescape")
    found.encrypted = b"ENCRYPTED" in pem
    if found.encrypted and password is None:
        say(
            "note" if given.later else "refused",
            "the private key is encrypted, and its password would be asked for",
            "settings key_password: env:NAME, file:PATH or cmd:WORDS",
        )
        return
    try:
        key = load_pem_private_key(pem, _bytes(password) if found.encrypted else None)
    except Exception as error:  # noqa: BLE001 - whatever a broken one makes its parser stumble over
        if found.encrypted:
            say("refused", "key_password does not open the private key", "see whether it is the right one")
        elif b"PRIVATE KEY" not in pem:
            say("refused", "there is no private key in it", "put the key there as PEM text")
        else:
            say("refused", f"the private key cannot be read: {str(error).partition('.')[0][:120]}", "ask for a new profile")
        return
    certificate = profile.last("cert")
    if certificate is None or certificate.block is None:
        return
    try:
        leaf = Chain.read(certificate.block).leaf
    except ValueError:
        return
    if _public(leaf._parsed.public_key()) != _public(key.public_key()):  # noqa: SLF001 - see above
        say("refused", "the key does not belong to the certificate (cert)", "take both from the same profile")


def _bundle(option: Option, found: Examined, given: Given, password: Secret | None) -> None:
    from base64 import b64decode

    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    def say(weight: Weight, what: str, fix: str) -> None:
        found.findings.append(Finding(option.line, "pkcs12", weight, what, fix))

    try:
        content = b64decode("".join((option.block or "").split()), validate=True)
    except ValueError:
        say("refused", "the block is no base64", "base64 of the .p12 file")
        return
    for word in (None, b"", _bytes(password)):
        try:
            bundle = load_pkcs12(content, word)
        except Exception:  # noqa: BLE001, S112 - the next password may be the right one
            continue
        found.encrypted = bool(word)
        leaf = bundle.cert.certificate if bundle.cert else None
        if leaf is not None and int(leaf.not_valid_after_utc.timestamp()) < given.now:
            say("refused", f"the certificate in it expired on {_day(int(leaf.not_valid_after_utc.timestamp()))}", "ask for a new profile")
        return
    found.encrypted = True
    if password is None:
        say(
            "note" if given.later else "refused",
            "the file of certificate and key is encrypted, and its password would be asked for",
            "settings key_password: env:NAME, file:PATH or cmd:WORDS",
        )
    else:
        say(
            "refused",
            "key_password does not open the file of certificate and key",
            "see whether it is the right one; files of before 2020 may need openssl pkcs12 -legacy",
        )


def _bytes(password: Secret | None) -> bytes | None:
    return None if password is None else password.reveal().encode("utf-8", "surrogateescape")


def _public(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _day(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
