"""What is observed of an EVE-NG host: logins that are tried, ports that are tried from here, and one look from inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from novaops.engine.secret_source import resolve
from novaops.errors import HostFailed, LoginFailed, NovaopsError
from novaops.features.eve.api_access import Access, page
from novaops.features.eve.api_answer import ApiFailed, LoginRefused
from novaops.features.eve.api_client import EveApi
from novaops.features.eve.paths import ADDONS, CONFIGURED, DEFAULT_DATABASE_PASSWORD, DEFAULT_PASSWORD, PORTS, SSHD
from novaops.features.eve.settings import Eve
from novaops.formats import sshd_options
from novaops.secret import Secret
from novaops.shell import join, lines_of, sh_file
from novaops.ssh.forward import Forward
from novaops.ssh.session import Session
from novaops.verify import output
from novaops.verify.reach import Reach, addresses

if TYPE_CHECKING:
    from testinfra.host import Host

_SCRIPT = sh_file(__package__, "observe.sh")


@dataclass(frozen=True)
class Inside:
    """What the host says of itself."""

    services: Mapping[str, str]
    """By unit what systemd says; "active" is right."""
    addons: str
    """What is mounted there; "" for nothing."""
    is_link: bool
    configured: bool
    """Whether the wizard leaves the next login alone."""
    known: tuple[str, ...]
    """The users of the database that are let in with the password that everybody knows."""
    kernel: str
    newest: str
    """The newest kernel of EVE-NG in /boot; "" for none."""
    default: str
    """The entry that GRUB boots by itself; "" where it is not GRUB that chooses."""
    way: str
    """The device of the default route."""
    has_member: bool
    """Whether the card is in pnet0."""
    root: str
    """What sshd says of root."""
    kept: str
    """What novaops's file says that it should; "" where there is no such file."""


@dataclass(frozen=True)
class ObservedEve:
    wanted: Eve
    inside: Inside
    page: str
    """Why the inventory's password did not log admin in; "" where it did."""
    default_web: str
    """Why the password that everybody knows did not log admin in; "" where it did."""
    default_root: str
    """The same of root, over ssh."""
    open: tuple[int, ...]
    """Of EVE-NG's ports, those that took a connection from here."""
    tried: tuple[int, ...]
    here: str
    """This machine's address, as the host sees it."""


def observe(host: Host, entries: Sequence[Eve]) -> list[ObservedEve]:
    """Raises HostFailed where the host cannot be seen."""
    return [_observe(host, wanted) for wanted in entries]


def _observe(host: Host, wanted: Eve) -> ObservedEve:
    session: Session = host.backend.session
    here, inner = addresses(session)
    reach = Reach(session, here, inner)
    single = tuple(int(port.partition("-")[0]) for port in PORTS)
    tried = tuple(sorted({*single, *(one.port for one in wanted.open)}))
    return ObservedEve(
        wanted,
        inside(host),
        page=_page_says(session, resolve(wanted.web_password), ApiFailed),
        default_web=_page_says(session, Secret(DEFAULT_PASSWORD), LoginRefused),
        default_root=_root_says(session),
        open=tuple(port for port in tried if not reach.closed(port)),
        tried=tried,
        here=here,
    )


def _page_says(session: Session, password: Secret, refusal: type[ApiFailed]) -> str:
    """Why admin is not let in with it; "" where he is. Raises HostFailed for what is no `refusal`.

    A server in trouble has refused nobody.
    """
    port, certificate = page(session)
    access = Access(password)
    try:
        with Forward(session, port) as forward:
            url = f"{'https' if certificate else 'http'}://127.0.0.1:{forward.port}"
            with EveApi(url, access.user, access.password, certificate=certificate, timeout=session.target.timeout):
                return ""
    except refusal as error:
        return error.why or error.what


def _root_says(session: Session) -> str:
    """Why root is not let in over ssh with the password that everybody knows; "" where he is. Nothing else is offered."""
    fresh = Session(replace(session.target, user="root", password=Secret(DEFAULT_PASSWORD), identity=None))
    try:
        fresh.open()
    except LoginFailed as error:
        return error.what
    except NovaopsError as error:
        raise HostFailed(f"whether root is let in with the password {DEFAULT_PASSWORD} could not be tried", why=error.what) from None
    finally:
        fresh.close()
    return ""


def inside(host: Host) -> Inside:
    said: dict[str, str] = {}
    services: dict[str, str] = {}
    known: list[str] = []
    for line in lines_of(output(host, f"{sshd_options.SH}set -- {join((ADDONS, CONFIGURED, SSHD, DEFAULT_DATABASE_PASSWORD))}\n{_SCRIPT}")):
        word, _, value = line.partition(" ")
        if word == "unit":
            services[value.partition(" ")[0]] = value.partition(" ")[2]
        known += [value] if word == "known" else []
        said[word] = value
    texts = {key: said.get(key, "") for key in ("addons", "kernel", "newest", "default", "way", "root", "kept")}
    return Inside(
        services, is_link="link" in said, configured="configured" in said, known=tuple(known), has_member="member" in said, **texts
    )


def before_reboot(host: Host, seen: Sequence[ObservedEve]) -> None:
    """Nothing is left on the host for it."""
    del host, seen


def after_reboot(host: Host, seen: Sequence[ObservedEve]) -> list[ObservedEve]:
    return observe(host, [one.wanted for one in seen])
