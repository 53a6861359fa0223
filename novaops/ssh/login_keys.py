"""The keys that a login is tried with, in the order of OpenSSH: certificates, keys in the agent, keys in files."""

from __future__ import annotations

import base64
import binascii
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from novaops.ssh.client_config import ClientConfig

_PUBLIC = re.compile(rb"\s*(?P<type>[a-z0-9@.-]+)\s+(?P<key>AAAA[A-Za-z0-9+/]+=*)")
_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END")
_MAGIC = b"openssh-key-v1\0"
_CERTIFICATE = "-cert-v01@openssh.com"


class _Agent(AgentSSH):
    """The agent at a socket, where paramiko's own only knows that of SSH_AUTH_SOCK. Each question is a connection of its own, so
    that a key can be used as long as the process lasts, and nothing has to be closed.
    """

    def __init__(self, path: str, seconds: float) -> None:
        """Raises OSError, SSHException."""
        super().__init__()
        self._path = path
        self._seconds = seconds
        self._connect(None)  # type: ignore[attr-defined]  # asks for the keys

    def _send_message(self, msg: paramiko.Message) -> tuple[int, paramiko.Message]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(self._seconds)
            line.connect(self._path)
            self._conn = line
            answer: tuple[int, paramiko.Message] = super()._send_message(msg)  # type: ignore[misc]
        return answer


@dataclass
class LoginKeys:
    """The keys for one host. `only` is the inventory's key file; "" leaves the files to ssh's configuration.

    What a key could not be used for is in `notes`, as sentences.
    """

    config: ClientConfig
    seconds: float
    only: str = ""
    notes: list[str] = field(default_factory=list)
    locked: list[Path] = field(default_factory=list)
    """Files that need a passphrase."""
    missing: Path | None = None
    """The inventory's key file, where it is not there."""

    def __iter__(self) -> Iterator[paramiko.PKey]:
        names = [self.only] if self.only else self.config.identity_files
        files = list(dict.fromkeys(Path(name) for name in names))
        public = {file: _public_half(file) for file in files}
        wanted = {blob for blob in public.values() if blob is not None}
        agent = self._agent()
        offered = list(agent.get_keys()) if agent else []
        any_of_agent = not (self.only or self.config.identities_only)
        if self.only and not any(public.values()):
            any_of_agent = _is_encrypted(Path(self.only))  # which of them it is cannot be told
        matching = [key for key in offered if key.blob in wanted]
        yield from self._certified(files, matching)
        yield from matching
        yield from (key for key in offered if any_of_agent and key.blob not in wanted)
        in_agent = {key.blob for key in matching}
        for file in files:
            if public[file] is None or public[file] not in in_agent:
                yield from self._of_file(file)

    def _agent(self) -> _Agent | None:
        path = self.config.agent
        if not path:
            return None
        try:
            return _Agent(path, self.seconds)
        except (OSError, paramiko.SSHException) as error:
            self.notes.append(f"the agent at {path} does not answer: {getattr(error, 'strerror', None) or error}")
            return None

    def _certified(self, files: list[Path], in_agent: list[AgentKey]) -> Iterator[paramiko.PKey]:
        """Each certificate with the private key that it is for."""
        explicit = [Path(name) for name in self.config.certificate_files]
        beside = [file.with_name(f"{file.name.removesuffix('.pub')}-cert.pub") for file in files]
        for file in dict.fromkeys((*explicit, *beside)):
            try:
                certificate = PublicBlob.from_string(file.read_text("utf-8", "replace"))
                plain = paramiko.PKey.from_type_string(certificate.key_type.removesuffix(_CERTIFICATE), certificate.key_blob).asbytes()
            except FileNotFoundError:
                if file in explicit:
                    self.notes.append(f"there is no certificate {file}")
                continue
            except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
                self.notes.append(f"the certificate {file} cannot be used: {error}")
                continue
            keys: list[paramiko.PKey] = [key for key in in_agent if key.blob == plain]
            for key in keys or (key for one in files for key in self._of_file(one)):
                if key.asbytes() == plain:
                    certified = AgentKey(key.agent, key.blob) if isinstance(key, AgentKey) else key
                    certified.public_blob = certificate
                    yield certified

    def _of_file(self, file: Path) -> Iterator[paramiko.PKey]:
        try:
            key = paramiko.PKey.from_path(file)
        except FileNotFoundError:
            if self.only:
                self.missing = file
        except (TypeError, paramiko.PasswordRequiredException):
            if file not in self.locked:
                self.locked.append(file)
        except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            if not _is_public(file):
                self.notes.append(f"{file} is not a usable private key: {error}")
        else:
            key.public_blob = None  # paramiko has taken the certificate beside it
            yield key


def _public_half(file: Path) -> bytes | None:
    """The public key of a file: the file itself, the .pub beside it, or the readable part of a private key; None where it cannot be had."""
    for name in (file, file.with_name(f"{file.name}.pub")):
        with suppress(OSError):
            text = name.read_bytes()
            if match := _PUBLIC.match(text):
                return _decoded(match["key"])
            if match := _OPENSSH.search(text):
                return _of_private(_decoded(match["body"]) or b"")
    return None


def _is_public(file: Path) -> bool:
    with suppress(OSError):
        return _PUBLIC.match(file.read_bytes()) is not None
    return False


def _is_encrypted(file: Path) -> bool:
    try:
        paramiko.PKey.from_path(file)
    except (TypeError, paramiko.PasswordRequiredException):
        return True
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
        return False
    return False


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(b"".join(text.split()))
    except binascii.Error:
        return None


def _of_private(body: bytes) -> bytes | None:
    """The public key in an OpenSSH private key: it stands before the encrypted part."""
    if not body.startswith(_MAGIC):
        return None
    message = paramiko.Message(body[len(_MAGIC) :])
    for _ in ("cipher", "kdf", "kdf options"):
        message.get_binary()
    return message.get_binary() if message.get_int() == 1 else None
