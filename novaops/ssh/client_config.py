"""What OpenSSH's configuration means for one destination, as `ssh -G` prints it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from novaops.errors import UsageError
from novaops.shell import lines_of

_NOTHING = "none"
_OFF = {"no", "false"}

_TWO_WAYS = frozenset("ß\u03c2\u200c\u200d")
"""As in `novaops.formats.names`."""

_BEGINS = ("/", "~", "%", "$")
"""How the name of a file begins that is not below the current folder."""

_JUMP = re.compile(r"(?P<uri>ssh://)?((?P<user>.*)@)?(\[(?P<v6>[^\]]+)\]|(?P<host>[^:@\[\]/]+))(:(?P<port>[0-9]{1,5}))?/?")

_TOKEN = re.compile(r"%(?P<letter>.)|\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Destination:
    """What is typed after `ssh`. What is None or "" is left to ssh's configuration."""

    host: str
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    jump: str = ""
    """Hosts to jump over, as `ssh -J` takes them."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{f'{self.user}@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"


@dataclass(frozen=True)
class Local:
    """The machine that ssh runs on, as the tokens of ssh_config(5) name it."""

    home: str
    user: str
    uid: int
    host: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ClientConfig:
    """The configuration of one destination. `values` has every line by its keyword in small letters."""

    asked: Destination
    local: Local
    values: Mapping[str, tuple[str, ...]]

    def first(self, keyword: str, otherwise: str = "") -> str:
        return next(iter(self.values.get(keyword, ())), otherwise)

    @property
    def hostname(self) -> str:
        """The address to connect to. A name with letters that DNS does not have is in its DNS form. Raises UsageError where it has two."""
        name = self.first("hostname", self.asked.host)
        if both := set(name) & _TWO_WAYS:
            what = f"ssh's configuration leads to {name}, with {min(both)!a}, which DNS has in two ways (IDNA 2003 and 2008)"
            raise UsageError(what, fix=f"write HostName xn--… for {self.asked.host}")
        try:
            return name if name.isascii() else name.encode("idna").decode("ascii")
        except UnicodeError:
            return name

    @property
    def port(self) -> int:
        return int(self.first("port", "22"))

    @property
    def user(self) -> str:
        return self.first("user", self.local.user)

    @property
    def host_key_alias(self) -> str:
        """The name under which the host key is in known_hosts; "" where that is address and port."""
        return self.first("hostkeyalias")

    @property
    def proxy_command(self) -> str:
        """The command whose input and output is the connection, its tokens replaced; "" for none."""
        command = self.first("proxycommand")
        return "" if command.lower() == _NOTHING else self._replaced(command, "hnpr")

    @property
    def jumps(self) -> list[Destination]:
        """The hosts to jump over, the one next to the destination last; each one but the first is reached over those before it."""
        text = self.first("proxyjump")
        if not text or text.lower() == _NOTHING:
            return []
        found: list[Destination] = []
        words = self._replaced(text, "hnpr").split(",")
        for number, word in enumerate(words):
            match = _JUMP.fullmatch(word.strip())
            if match is None:
                raise ValueError(f"ProxyJump {text}: {word} is not a host")
            user, port = match["user"], match["port"]
            if user and match["uri"]:
                user = unquote(user)
            before = ",".join(words[:number])
            found.append(Destination(match["v6"] or match["host"], user or None, int(port) if port else None, jump=before))
        return found

    @property
    def identity_files(self) -> list[str]:
        return self._files("identityfile")

    @property
    def certificate_files(self) -> list[str]:
        return self._files("certificatefile")

    @property
    def identities_only(self) -> bool:
        return self.is_on("identitiesonly")

    @property
    def agent(self) -> str:
        """The socket of the agent; "" for none."""
        said = self.first("identityagent", "SSH_AUTH_SOCK")
        if said == _NOTHING:
            return ""
        if said == "SSH_AUTH_SOCK":
            return self.local.environment.get(said, "")
        if re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", said):
            return self.local.environment.get(said[1:], "")
        return self._file(said)

    @property
    def user_known_hosts(self) -> list[str]:
        return self._known_hosts("userknownhostsfile", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"])

    @property
    def global_known_hosts(self) -> list[str]:
        return self._known_hosts("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"])

    @property
    def revoked_host_keys(self) -> str:
        """The file with host keys that no host may show; "" for none."""
        return next(iter(self._files("revokedhostkeys")), "")

    @property
    def connect_timeout(self) -> float | None:
        """Seconds; None where there is no limit of its own."""
        said = self.first("connecttimeout")
        return float(said) if said.isdecimal() and int(said) else None

    def patience(self, most: float) -> float:
        """How many seconds the connection may take: ConnectTimeout, and `most` at most."""
        return min(most, self.connect_timeout or most)

    @property
    def keys_forbidden_by(self) -> str:
        """The line that forbids a login by key; "" where none does."""
        methods = self.first("preferredauthentications")
        if methods and "publickey" not in methods.split(","):
            return f"PreferredAuthentications {methods}"
        return "" if self.is_on("pubkeyauthentication", otherwise="yes") else "PubkeyAuthentication no"

    def is_on(self, keyword: str, otherwise: str = "no") -> bool:
        """Whether a switch is on. One version of ssh prints `no` where another one, or another switch, has `false`."""
        return self.first(keyword, otherwise).lower() not in _OFF

    def listed(self, keyword: str) -> list[str]:
        """A value that is a list with commas."""
        return [word for word in self.first(keyword).split(",") if word]

    def _files(self, keyword: str) -> list[str]:
        return [self._file(name) for name in self.values.get(keyword, ()) if name.lower() != _NOTHING]

    def _known_hosts(self, keyword: str, otherwise: list[str]) -> list[str]:
        """Several files stand in one line, without the quotes that were around a name with spaces."""
        files: list[str] = []
        for word in self.first(keyword, " ".join(otherwise)).split(" "):
            if files and not word.startswith(_BEGINS) and files[-1].startswith(_BEGINS):
                files[-1] += f" {word}"
            elif word:
                files.append(word)
        return [self._file(name) for name in files if name.lower() != _NOTHING]

    def _file(self, name: str) -> str:
        """A file with its tokens replaced. ssh itself replaces them in some values before it prints them, and not in others."""
        path = self._replaced(name)
        return f"{self.local.home}{path[1:]}" if path == "~" or path.startswith("~/") else path

    def _replaced(self, text: str, tokens: str = "CdhijkLlnpru") -> str:
        """The text with the tokens of ssh_config(5); one that is not known, and a variable that is not set, stay as they are."""
        known: dict[str, Callable[[], str]] = {
            "C": self._connection_hash,
            "d": lambda: self.local.home,
            "h": lambda: self.hostname,
            "i": lambda: str(self.local.uid),
            "j": lambda: self.first("proxyjump"),
            "k": lambda: self.host_key_alias or self.asked.host,
            "L": lambda: self.local.host.partition(".")[0],
            "l": lambda: self.local.host,
            "n": lambda: self.asked.host,
            "p": lambda: str(self.port),
            "r": lambda: self.user,
            "u": lambda: self.local.user,
        }

        def value(match: re.Match[str]) -> str:
            if name := match["variable"]:
                return self.local.environment.get(name, match[0]) if len(tokens) > len("hnpr") else match[0]
            letter = match["letter"]
            return "%" if letter == "%" else known[letter]() if letter in tokens else match[0]

        return _TOKEN.sub(value, text)

    def _connection_hash(self) -> str:
        parts = (self.local.host, self.hostname, str(self.port), self.user, self.first("proxyjump"))
        return hashlib.sha1("".join(parts).encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

    def __str__(self) -> str:
        name, address = self.asked.host, self.hostname
        return name if name.lower() == address else f"{name} ({address})"


def parse(asked: Destination, local: Local, text: str) -> ClientConfig:
    """The output of `ssh -G`."""
    values: dict[str, tuple[str, ...]] = {}
    for line in lines_of(text):
        keyword, _, value = line.partition(" ")
        values[keyword.lower()] = (*values.get(keyword.lower(), ()), value)
    return ClientConfig(asked, local, values)


def quoted(file: str) -> str:
    """A file's name as one value of ssh_config(5)."""
    escaped = str(PurePosixPath(file)).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
