"""paramiko's transport, as novaops needs it: with what ssh's configuration allows, and a record of what the server can do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import paramiko

from novaops.errors import ClosedAfterPassword, PasswordsAccepted, Unreachable
from novaops.ssh.explain import Place

_SAME = {"curve25519-sha256": "curve25519-sha256@libssh.org"}
"""Two names of one algorithm, of which paramiko knows the second one only."""


MOST_GREETING = 65_536
"""Bytes that a server may say before its protocol's name: OpenSSH takes some lines, too."""

_READ = 128
"""Bytes that paramiko reads at a time there."""

_SHOWN = 300
"""Bytes of such a line that are kept. The name of the protocol has 255 at most (RFC 4253, 4.2)."""


class HostTransport(paramiko.Transport):
    """A transport that records the key that authenticated, and what the server can do."""

    key: paramiko.PKey | None = None
    kex_offered: tuple[str, ...] = ()
    host_keys_offered: tuple[str, ...] = ()
    ciphers_offered: tuple[str, ...] = ()
    macs_offered: tuple[str, ...] = ()
    compressions_offered: tuple[str, ...] = ()

    def auth_publickey(self, username: str, key: paramiko.PKey, event: Any = None) -> list[str]:
        left = super().auth_publickey(username, key, event)
        self.key = key
        return left

    def _check_banner(self) -> None:
        self.packetizer.readline = _Greeting(self.packetizer, self.banner_timeout).line  # type: ignore[method-assign]
        super()._check_banner()  # type: ignore[misc]

    def _parse_kex_init(self, m: paramiko.Message) -> None:
        said = self._really_parse_kex_init(paramiko.Message(m.asbytes()))  # type: ignore[attr-defined]
        kept = [name for name in said["kex_algo_list"] if not name.startswith(("ext-info-", "kex-strict-"))]
        self.kex_offered, self.host_keys_offered = tuple(kept), tuple(said["server_key_algo_list"])
        self.ciphers_offered = tuple(said["server_encrypt_algo_list"])
        self.macs_offered = tuple(said["server_mac_algo_list"])
        self.compressions_offered = tuple(said["server_compress_algo_list"])
        super()._parse_kex_init(m)  # type: ignore[misc]

    def offered(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """By kind: what the server offers, and what it was offered."""
        ours = self.get_security_options()
        return [
            ("key exchange", self.kex_offered, tuple(ours.kex)),
            ("kind of host key", self.host_keys_offered, tuple(ours.key_types)),
            ("cipher", self.ciphers_offered, tuple(ours.ciphers)),
            ("MAC", self.macs_offered, tuple(ours.digests)),
            ("compression", self.compressions_offered, tuple(ours.compression)),
        ]


class _Greeting:
    """The lines before the protocol begins, within limits. paramiko's own way has none: a line of 300 MB costs it minutes of processor,
    and one byte now and then holds it for ever. Nothing is known of the server then, not even its host key.
    """

    def __init__(self, packetizer: Any, seconds: float) -> None:
        self._packetizer = packetizer
        self._deadline = time.monotonic() + seconds
        self._left = MOST_GREETING

    def line(self, timeout: float) -> str:
        """Raises SSHException where the greeting is too long or too slow."""
        pending = bytearray(self._packetizer._Packetizer__remainder)  # noqa: SLF001 - what came with the line before
        while b"\n" not in pending[-_READ:]:
            seconds = min(timeout, self._deadline - time.monotonic())
            if self._left <= 0 or seconds <= 0:
                raise paramiko.SSHException(": it greets without end")
            data = self._packetizer._read_timeout(seconds)  # noqa: SLF001
            self._left -= len(data)
            pending += data
        line, _, rest = bytes(pending).partition(b"\n")
        self._packetizer._Packetizer__remainder = rest  # noqa: SLF001
        return line.removesuffix(b"\r")[:_SHOWN].decode("utf-8", "replace")


class PasswordFirst(HostTransport):
    """A transport that tries a password before the first key. Within the same connection that does no harm: sshd would
    count a connection without a login against the address that it came from.
    """

    _tried = False

    def auth_publickey(self, username: str, key: paramiko.PKey, event: Any = None) -> list[str]:
        if not self._tried:
            self._tried = True
            if offered := PASSWORD_METHODS & _offered_methods(self, username):
                raise PasswordsAccepted(f"the server still offers {' and '.join(sorted(offered))}")
            if not self.is_active():
                raise ClosedAfterPassword("the server closed the connection after one password")
        return super().auth_publickey(username, key, event)


PASSWORD_METHODS = frozenset({"password", "keyboard-interactive"})


def _offered_methods(transport: paramiko.Transport, user: str) -> set[str]:
    """The methods that the server offers when it is asked with none, and with a random password."""
    offered: set[str] = set()
    for attempt in (partial(transport.auth_none, user), partial(transport.auth_password, user, secrets.token_hex(16), fallback=False)):
        try:
            attempt()
        except paramiko.BadAuthenticationType as error:
            offered |= set(error.allowed_types)
        except paramiko.AuthenticationException:
            if transport.is_active():
                offered.add("password")
        except (paramiko.SSHException, EOFError):
            pass  # the server closed the connection
        else:
            raise PasswordsAccepted("the server asks for nothing at all")
    return offered


def made_for(place: Place, kind: type[HostTransport], known_types: list[str], sock: Any, **options: Any) -> HostTransport:
    """A transport that asks for what ssh's configuration allows, and first for a host key of a type that is in known_hosts, as ssh does."""
    made = kind(sock, **options)
    security = made.get_security_options()
    wanted = {name for known in known_types for name in ({"rsa-sha2-512", "rsa-sha2-256"} if known == "ssh-rsa" else {known})}
    plain = tuple(name for name in made._key_info if "-cert-" not in name)  # type: ignore[attr-defined]  # noqa: SLF001
    types = _allowed(place, "HostKeyAlgorithms", security.key_types, plain)
    security.key_types = sorted(types, key=lambda name: name not in wanted)
    security.kex = _allowed(place, "KexAlgorithms", security.kex, tuple(made._kex_info))  # type: ignore[attr-defined]  # noqa: SLF001
    return made


def _allowed(place: Place, keyword: str, default: Sequence[str], can: tuple[str, ...]) -> Sequence[str]:
    """What ssh's configuration allows of what paramiko can do, in its order. Raises Unreachable where that is nothing."""
    said = place.hop.listed(keyword.lower())
    if not said:
        return default
    if both := tuple(dict.fromkeys(name for one in said if (name := _SAME.get(one, one)) in can)):
        return both
    raise Unreachable(
        f"{place}: {keyword} of ssh's configuration allows nothing that novaops can do",
        why=f"It allows {', '.join(said)}. novaops can do {', '.join(can)}.",
        fix=f"add one of these to {keyword} for {place.hop.asked.host}",
    )
