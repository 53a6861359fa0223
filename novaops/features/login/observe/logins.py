"""What is observed of logins: fresh connections from here, and what `sshd -T` says of each user and address."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import paramiko

from novaops.engine.secret_source import resolve
from novaops.errors import HostFailed, NovaopsError, PasswordsAccepted, Unreachable
from novaops.features.login.observe import fail2ban
from novaops.features.login.observe.fail2ban import Ban
from novaops.formats import sshd_options
from novaops.shell import lines_of
from novaops.ssh.session import Session
from novaops.verify import output
from novaops.verify.reach import endpoints

if TYPE_CHECKING:
    from testinfra.host import Host

METHODS = ("password", "keyboard-interactive")
"""Both ask for the same password; without PAM the second one asks for nothing."""

ANYBODY = "nobody"
"""An account that every host has, and that no inventory names."""

MOST_REFUSALS = 2
"""After so many rejected right passwords no more are tried: sshd counts connections that end without a login (PerSourcePenalties)."""

OUTSIDE = ("192.0.2.77", "198.51.100.77", "203.0.113.77", "2001:db8::77")
"""Addresses for documentation (RFC 5737, RFC 3849): no login comes from them."""


@dataclass(frozen=True)
class ExpectedLogin:
    kind: Literal["user", "everyone", "others", "root", "keys", "fail2ban"]
    user: str = ""
    password: str | None = None
    """The reference of the password, if it is known."""
    addresses: tuple[str, ...] = ()
    """Networks that passwords may come from; none: from everywhere."""
    named: frozenset[str] = frozenset()
    """All users who may log in by password."""

    def inside(self, address: str) -> bool:
        return not self.addresses or any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in self.addresses)

    @property
    def asked(self) -> tuple[str, ...]:
        """Addresses to ask sshd about: one in each network, and one in none."""
        within = [str(next(ipaddress.ip_network(network).hosts())) for network in self.addresses]
        return (*within, *[address for address in OUTSIDE if self.addresses and not self.inside(address)][:1])


@dataclass(frozen=True)
class Tried:
    """What became of each password that was tried."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """By method, why the right password was rejected; "" when it logged in and ran a command."""
    let_in: tuple[str, ...] = ()
    """Wrong passwords that were accepted."""
    untried: str = ""
    """Why no wrong password was tried, or no password at all."""


@dataclass(frozen=True)
class ObservedLogin:
    wanted: ExpectedLogin
    here: str = ""
    """This machine's address, as the host sees it."""
    login: str = ""
    """The user that novaops logs in as."""
    offered: frozenset[str] = frozenset()
    """The password methods that the running sshd offers."""
    tried: Tried | None = None
    judged: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What sshd -T says: by address for a user, by user for the others."""
    has_password: bool = False
    key: str = ""
    """Why the session's own key was rejected; "" when it logged in."""
    taken: str = ""
    """What was wrong when the own login first offered a password, which should be rejected, and then the key."""
    untried: str = ""
    """Why that was not tried."""
    ban: Ban | None = None


Question = tuple[str, str]
"""A user and an address."""


def observe(host: Host, entries: Sequence[ExpectedLogin]) -> list[ObservedLogin]:
    """A login or two for each user. Raises HostFailed where the host cannot be seen, Unreachable, UsageError for a password."""
    session: Session = host.backend.session
    here, _, server, port = endpoints(session)
    accounts = output(host, "getent shadow | awk -F: '$2 !~ /^[!*]/ && $2 != \"\" { print $1 }'").split()
    questions = [question for wanted in entries for question in _questions(wanted, here, accounts)]
    said = _judged(host, questions, server, port)
    wants_ban = any(wanted.kind == "fail2ban" for wanted in entries)
    caution = ""
    if not wants_ban and any(wanted.password or wanted.kind == "others" for wanted in entries) and fail2ban.watches(host):
        caution = "fail2ban watches sshd, and would count a wrong password against this machine"
    sshd = _Sshd(session, here, accounts, said, caution)
    with fail2ban.spared(host, here) if wants_ban else nullcontext():
        found = {index: sshd.observe(wanted) for index, wanted in enumerate(entries) if wanted.kind != "fail2ban"}
        # Last of all: once fail2ban has seen this, it has read, and left out, what was tried before.
        found |= {
            index: ObservedLogin(wanted, ban=fail2ban.observe(host, server, port))
            for index, wanted in enumerate(entries)
            if wanted.kind == "fail2ban"
        }
    return [found[index] for index in range(len(entries))]


class _Sshd:
    """One host's sshd, connected to from here. It counts the logins that it rejected."""

    def __init__(
        self, session: Session, here: str, accounts: Sequence[str], said: Mapping[Question, Mapping[str, str]], caution: str
    ) -> None:
        self._session, self._here, self._accounts, self._said, self._caution = session, here, accounts, said, caution
        self._refusals = 0

    def observe(self, wanted: ExpectedLogin) -> ObservedLogin:
        own = _own_login(self._session)
        judged = {
            (user if wanted.kind == "others" else address): self._said[user, address]
            for user, address in _questions(wanted, self._here, self._accounts)
        }
        seen: dict[str, Any] = {"here": self._here, "login": own, "judged": judged}
        if wanted.kind == "keys":
            seen["key"] = _by_key(self._session)
        elif wanted.kind == "others":
            seen["untried"] = f"novaops comes as {own}, who is let in by password" if own in wanted.named else self._caution
            seen["taken"] = "" if seen["untried"] else _by_key(self._session, no_passwords=True)
        if wanted.kind == "user" and wanted.password and wanted.inside(self._here):
            seen["tried"], seen["offered"] = self._try(wanted, wanted.password)
        elif wanted.kind != "keys":
            with _connect(self._session) as line:
                seen["offered"] = _offered(line, wanted.user)
        return ObservedLogin(wanted, has_password=wanted.user in self._accounts, **seen)

    def _try(self, wanted: ExpectedLogin, reference: str) -> tuple[Tried, frozenset[str]]:
        """The right password by each method. Wrong ones go before it on the same connection, so that they are not counted."""
        password = resolve(reference).reveal()
        if self._refusals >= MOST_REFUSALS:
            return Tried(untried=f"{self._refusals} passwords were turned down already, and sshd may shut out whoever goes on"), frozenset()
        about = [said for (user, _), said in self._said.items() if user == wanted.user]
        least = min(int(said["maxauthtries"]) for said in about)
        methods = METHODS if all(map(asks_by_keyboard, about)) else METHODS[:1]
        untried = self._caution or ("" if least > 2 else f"sshd lets nobody try more than {least} times (MaxAuthTries)")  # noqa: PLR2004
        wrong = {} if untried else {"a wrong password": secrets.token_hex(16), "the empty password": ""}
        refused: dict[str, str] = {}
        let_in: list[str] = []
        offered: frozenset[str] = frozenset()
        for method in methods:
            with _connect(self._session) as line:
                if method == METHODS[0]:
                    offered = _offered(line, wanted.user)
                    let_in = [name for name, text in wrong.items() if not line.is_authenticated() and not _refusal(line, wanted.user, text)]
                if not let_in:
                    refused[method] = _refusal(line, wanted.user, password, method) or _command(line)
            if let_in or refused[method]:
                self._refusals += 1
                break
        return Tried(refused, tuple(let_in), untried), offered


def asks_by_keyboard(said: Mapping[str, str]) -> bool:
    """Whether keyboard-interactive asks for a password: not without PAM, nor where OpenSSH before 8.7 has its other switch off."""
    return said.get("usepam") == "yes" and said.get("challengeresponseauthentication") != "no"


# -- connections --------------------------------------------------------------------------------------------------------------


@contextmanager
def _connect(session: Session) -> Iterator[paramiko.Transport]:
    """A second connection: by the session's own route, to the same host key, and not logged in."""
    own = session.connection
    assert own is not None
    try:
        line = own.open_gateway() if own.gateway else socket.create_connection((own.host, own.port), session.target.timeout)
    except (paramiko.SSHException, OSError) as error:
        raise _unseen(session, error) from error
    with line, paramiko.Transport(line) as made:
        made.banner_timeout = made.auth_timeout = session.target.timeout
        key = own.transport.get_remote_server_key()
        options = made.get_security_options()
        options.key_types = sorted(options.key_types, key=lambda name: name != own.transport.host_key_type)
        try:
            made.start_client(timeout=session.target.timeout)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _unseen(session, error) from error
        if made.get_remote_server_key() != key:
            raise HostFailed(f"{session.target} shows another host key than a moment ago")
        yield made


def _unseen(session: Session, error: Exception) -> HostFailed:
    return HostFailed(f"{session.target} takes no further connection", why=str(error) or type(error).__name__)


def _offered(line: paramiko.Transport, user: str) -> frozenset[str]:
    try:
        line.auth_none(user)
    except paramiko.BadAuthenticationType as error:
        return frozenset(error.allowed_types) & frozenset(METHODS)
    except paramiko.SSHException:
        return frozenset()
    return frozenset({"none"})


def _refusal(line: paramiko.Transport, user: str, password: str, method: str = METHODS[0]) -> str:
    """Why a password is rejected; "" when it logs in."""
    answers = iter([password])
    ways: dict[str, Callable[[], list[str]]] = {
        "password": lambda: line.auth_password(user, password, fallback=False),
        "keyboard-interactive": lambda: line.auth_interactive(user, lambda _, __, prompts: [next(answers, "") for _ in prompts]),
    }
    try:
        more = ways[method]()
    except (paramiko.SSHException, EOFError, OSError) as error:
        return str(error).strip(".") or "the server closed the connection"
    return f"the server also wants {' or '.join(more)}" if more else ""


def _command(line: paramiko.Transport) -> str:
    """Why no command runs on a connection that is logged in; "" when one does."""
    try:
        with line.open_session(timeout=line.auth_timeout) as channel:
            channel.settimeout(line.auth_timeout)
            channel.exec_command("echo novaops")
            said = channel.makefile("rb").read()
    except (paramiko.SSHException, EOFError, OSError) as error:
        return f"it gets in and runs no command: {str(error) or type(error).__name__}"
    return "" if b"novaops" in said else f"it gets in and runs no command: {said.decode(errors='replace').strip() or 'nothing is printed'}"


def _by_key(session: Session, *, no_passwords: bool = False) -> str:
    """What is wrong with a fresh login by the session's own key; "" when it works. `no_passwords`: a password must be rejected first."""
    if session.key is None:
        return "novaops came here by no key"
    fresh = Session(session.target)
    fresh.key = session.key
    try:
        fresh.open(no_passwords=no_passwords)
        done = fresh.run("true", root=False)
    except PasswordsAccepted as error:
        return error.what.rpartition(": ")[2]
    except Unreachable as error:
        return error.why or error.what
    except NovaopsError as error:
        return error.what
    finally:
        fresh.close()
    return "" if not done.status else f"it runs no command (exit status {done.status})"


def _own_login(session: Session) -> str:
    own = session.connection
    return str(own.user) if own is not None else ""


# -- asking the host ----------------------------------------------------------------------------------------------------------


def _questions(wanted: ExpectedLogin, here: str, accounts: Iterable[str]) -> list[Question]:
    if wanted.kind == "others":
        return [(user, here) for user in dict.fromkeys([*accounts, ANYBODY]) if user not in wanted.named]
    return [(wanted.user, address) for address in dict.fromkeys([here, *wanted.asked])] if wanted.user else []


_JUDGE = """\
PATH=$PATH:/usr/sbin:/sbin
server=%s port=%s
set -- {words}
while [ $# -gt 0 ]; do
  echo "= $1 $2"
  as_started "$(command -v sshd)" -T -C "user=$1,host=$2,addr=$2,laddr=$server,lport=$port" || exit
  shift 2
done"""


def _judged(host: Host, questions: Iterable[Question], server: str, port: str) -> dict[Question, dict[str, str]]:
    """What sshd says of its configuration files as they are now, with the options that the running one has."""
    words = [word for question in dict.fromkeys(questions) for word in question]
    text = output(host, sshd_options.SH.replace("%", "%%") + _JUDGE.format(words=" ".join(["%s"] * len(words))), server, port, *words)
    blocks = [lines_of(block) for block in f"\n{text}".split("\n= ")[1:]]
    return {_question(head): dict(line.partition(" ")[::2] for line in lines) for head, *lines in blocks}


def _question(head: str) -> Question:
    user, address = head.split(" ")
    return user, address
