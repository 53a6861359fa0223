"""A host looked at for `eve status`: what it shows, and what its API says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from novaops.engine.query import ask, silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import NovaopsError
from novaops.features.eve.api_access import Access, open_api
from novaops.features.eve.api_answer import LoginRefused
from novaops.features.eve.lab_plan import MISSING, running_nodes
from novaops.features.eve.paths import DEFAULT_PASSWORD
from novaops.features.eve.status import NO_PASSWORD, Web, details, eve_host, questions
from novaops.model.finding import has_problem
from novaops.secret import Secret
from novaops.ssh.session import Session
from novaops.ssh.target import Target

_ADMIN = "admin"


def status_host(target: Target, access: Access | None, port: int | None, warn: Callable[[str], None]) -> HostReport:
    """Two execs, or three where `access` does not tell of admin's password. `access`: None where no password is known."""

    def work(session: Session) -> HostReport:
        host = eve_host(ask(session, questions()))
        found = details(host, ask_web(session, access, port, warn) if host else Web())
        return HostReport(target.name, "failed" if has_problem(found) else "unchanged", details=found)

    return with_session(target, silent, work)


def ask_web(session: Session, access: Access | None, port: int | None, warn: Callable[[str], None]) -> Web:
    """What the API says to that login, and whether admin still has the password that everybody knows."""
    web, entered = _ask(session, access, warn) if access else (Web(), False)
    if access and access.user == _ADMIN and entered:
        return replace(web, default_password=access.password.reveal() == DEFAULT_PASSWORD)
    by_default, entered = _ask(session, Access(Secret(DEFAULT_PASSWORD), _ADMIN, port), warn)
    if entered:
        return replace(web if access and web.trouble is None else by_default, default_password=True)
    refused = isinstance(by_default.trouble, LoginRefused)
    trouble = web.trouble if access else NO_PASSWORD if refused else by_default.trouble
    return replace(web, default_password=False if refused else None, trouble=trouble)


def _ask(session: Session, access: Access, warn: Callable[[str], None]) -> tuple[Web, bool]:
    """What it says, and whether that login was let in: what it says afterwards may fail by itself."""
    entered = False
    try:
        with open_api(session, access, warn) as api:
            entered = True
            status, titles = api.status(), api.templates()
            running = running_nodes(status)
    except NovaopsError as error:
        return Web(trouble=error), entered
    return Web(str(status.get("version", "")), running, {name: not title.endswith(MISSING) for name, title in titles.items()}), entered
