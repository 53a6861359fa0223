"""Checking a server's host key against known_hosts, as ssh's configuration says where and under which name."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from novaops.errors import ChangedHostKey, UnknownHostKey
from novaops.shell import quote
from novaops.ssh import known_hosts
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.explain import Place

_BINARY_LIST = b"SSHKRL\n\0"
"""How a list of revoked keys begins that ssh-keygen has made."""


def known_as(hop: ClientConfig) -> str:
    """The host's name in known_hosts."""
    return hop.host_key_alias or known_hosts.host_name(hop.hostname, hop.port)


def user_files(place: Place) -> list[Path]:
    """The user's known_hosts files: the inventory's, else those of ssh's configuration."""
    if place.target.known_hosts:
        return [Path(place.target.known_hosts)]
    return [Path(name) for name in place.hop.user_known_hosts]


def known_hosts_files(place: Place) -> list[Path]:
    """The known_hosts files in which the host's key is looked up."""
    if place.target.known_hosts:
        return user_files(place)
    return [*user_files(place), *(Path(name) for name in place.hop.global_known_hosts)]


def file_to_write(place: Place) -> Path | None:
    """The known_hosts file that gets new lines: the first that keeps them; None where none does."""
    return next((file for file in user_files(place) if str(file) != os.devnull), None)


def known_entries(place: Place) -> list[known_hosts.Entry]:
    """The entries for the host. A key under its name without the port is known too where there is none with it, as to ssh."""
    files = known_hosts_files(place)
    entries = known_hosts.find(known_as(place.hop), files)
    if place.hop.host_key_alias or any(not entry.marker for entry in entries):
        return entries
    return [*entries, *known_hosts.find(place.hop.hostname, files)]


def check_host_key(place: Place, key_type: str, key: bytes) -> None:
    """Raises UnknownHostKey or ChangedHostKey where the key is not a known one of the host."""
    name = known_as(place.hop)
    found = known_entries(place)
    revoked = next((e for e in found if e.marker == "@revoked" and e.key == key), None)
    if revoked:
        raise ChangedHostKey(
            f"the host key of {place} is revoked",
            why=f"{known_hosts.fingerprint(key)} is marked @revoked in {revoked.where}.",
            fix="do not connect to it",
        )
    _refuse_revoked(place, key_type, key)
    plain = [entry for entry in found if not entry.marker]
    if any(entry.key == key for entry in plain):
        return
    plain = known_hosts.matching(name, plain)
    if not plain:
        raise UnknownHostKey(
            f"the host key of {place} is not known",
            why=" ".join((f"It shows {key_type} {known_hosts.fingerprint(key)}.", *_not_asked(place, found))),
            fix=f"compare that with what the provider's console prints, then: novaops host trust {_trusted_as(place)}",
        )
    old = next((entry for entry in plain if entry.key_type == key_type), plain[0])
    raise ChangedHostKey(
        f"the host key of {place} has changed",
        why=f"Known: {old.key_type} {known_hosts.fingerprint(old.key)} ({old.where}). "
        f"It shows: {key_type} {known_hosts.fingerprint(key)}. Either the machine was made anew, or someone is in between.",
        fix=f"if it was made anew: ssh-keygen -R {quote(name)} -f {quote(str(old.file))}, then novaops host trust {_trusted_as(place)}",
    )


def _refuse_revoked(place: Place, key_type: str, key: bytes) -> None:
    """Raises ChangedHostKey where RevokedHostKeys of ssh's configuration has the key, or cannot be read: ssh refuses both."""
    file = place.hop.revoked_host_keys
    if not file:
        return
    try:
        said = _revoked_by(Path(file), f"{key_type} {base64.b64encode(key).decode()}")
    except OSError as error:
        said = f"it cannot be asked: {error.strerror or error}"
    if said:
        raise ChangedHostKey(
            f"the host key of {place} is revoked, or that cannot be found out",
            why=f"RevokedHostKeys {file} of ssh's configuration, {known_hosts.fingerprint(key)}: {said}",
            fix="do not connect to it where the key is revoked",
        )


def _is_key(kind: bytes, text: bytes = b"") -> bool:
    """Whether the two words are a public key, which names its kind at its beginning once more."""
    try:
        return base64.b64decode(text, validate=True)[4:].startswith(kind)
    except ValueError:
        return False


def _revoked_by(file: Path, line: str) -> str:
    """What a file of revoked keys says of a key, which is a line like those of such a file; "" where it is not in it. Raises OSError."""
    content = file.read_bytes()
    if not content.startswith(_BINARY_LIST):
        lines = [words for words in map(bytes.split, content.splitlines()) if words and not words[0].startswith(b"#")]
        if any(words[:2] == line.encode().split() for words in lines):
            return "revoked"
        other = next((words for words in lines if not _is_key(*words[:2])), None)
        return f"not a list of keys: {b' '.join(other).decode(errors='replace')}" if other else ""
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as shown:
        shown.write(f"{line}\n")
        shown.flush()
        done = subprocess.run(["ssh-keygen", "-Q", "-f", file, shown.name], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace").replace(shown.name, "the key").strip() if done.returncode else ""


def _not_asked(place: Place, found: Iterable[known_hosts.Entry]) -> list[str]:
    """What ssh might know the key by, and novaops does not."""
    sentences = []
    if (command := place.hop.first("knownhostscommand")) and command != "none":
        sentences.append(f"KnownHostsCommand of ssh's configuration ({command}) is not supported: novaops reads files only.")
    if authority := next((entry for entry in found if entry.marker == "@cert-authority"), None):
        sentences.append(f"Certificates of hosts are not supported, so {authority.where} does not help.")
    return sentences


def _trusted_as(place: Place) -> str:
    """What `novaops host trust` is given for this host."""
    if place.last:
        return place.target.name
    asked = place.hop.asked
    return str(asked) if asked.user else f"{place.hop.user}@{asked}"
