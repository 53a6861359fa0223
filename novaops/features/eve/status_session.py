"""A host looked at for `eve status`: what it shows, and what its API says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from novaops.engine.query import ask, silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import NovaopsError
from novaops.features.eve.api_access import Access, open_api
from novaops.features.eve.api_answer import LoginRefused
from novaops.features.eve.paths import DEFAULT_PASSWORD
from novaops.features.eve.status import Web, details, eve_host, questions
from novaops.model.finding import has_problem
from novaops.secret import Secret
from novaops.ssh.session import Session
from novaops.ssh.target import Target

_ADMIN = "admin"
_KINDS = ("iol", "dynamips", "qemu", "docker", "vpcs")
_MISSING = ".missing"
"""The end of a title whose template has no image."""


def status_host(target: Target, access: Access | None, port: int | None, warn: Callable[[str], None]) -> HostReport:
    """Two execs, or three where `access` does not tell of admin's password. `access`: None where no password is known."""

    def work(session: Session) -> HostReport:
        host = eve_host(ask(session, questions()))
        found = details(host, ask_web(session, access, port, warn) if host else Web())
        return HostReport(target.name, "failed" if has_problem(found) else "unchanged", details=found)

    return with_session(target, silent, work)


def ask_web(session: Session, access: Access | None, port: int | None, warn: Callable[[str], None]) -> Web:
    """What the API says to that login, and whether admin still has the password that everybody knows."""
    web = _ask(session, access, warn) if access else Web()
    if access and access.user == _ADMIN and web.trouble is None:
        return replace(web, default_password=access.password.reveal() == DEFAULT_PASSWORD)
    by_default = _ask(session, Access(Secret(DEFAULT_PASSWORD), _ADMIN, port), warn)
    if by_default.trouble is None:
        return replace(web if access and web.trouble is None else by_default, default_password=True)
    refused = isinstance(by_default.trouble, LoginRefused)
    trouble = web.trouble if access else _NO_PASSWORD if refused else by_default.trouble
    return replace(web, default_password=False if refused else None, trouble=trouble)


_NO_PASSWORD = NovaopsError(
    "nothing was asked of the API: no password is known for it",
    fix="--web-password env:NAME, or the password in the section eve of the host",
)


def _ask(session: Session, access: Access, warn: Callable[[str], None]) -> Web:
    try:
        with open_api(session, access, warn) as api:
            status, titles = api.status(), api.templates()
    except NovaopsError as error:
        return Web(trouble=error)
    running = sum(int(status.get(kind, 0)) for kind in _KINDS)
    return Web(str(status.get("version", "")), running, {name: not title.endswith(_MISSING) for name, title in titles.items()})
