"""A fresh login: a connection of its own, by the way of logging in that must work after a change."""

from __future__ import annotations

import time
from dataclasses import replace

from novaops.errors import ClosedAfterPassword, LoginFailed, Unreachable
from novaops.model.plan import FreshLogin
from novaops.ssh.session import ConnectionLost, Session

LEAST = 1.0
"""Seconds that a login has at least, however near the deadline is."""

PAUSE = 0.2
"""Seconds between tries: while sshd reads its configuration it takes no connections."""


def log_in(own: Session, login: FreshLogin, script: str, deadline: float) -> None:
    """Log in and run `script`, as the login's own user. `own` is the session that novaops works over.

    A server that does not answer is tried again until `deadline`, on the monotonic clock. One that refuses the login is not: it
    may count failures, as fail2ban does.
    Raises Unreachable, LoginFailed, HostFailed, ConnectionLost.
    """
    session = _session(own, login, max(LEAST, deadline - time.monotonic()))
    while True:
        try:
            try:
                _open(session, login)
                _run(session, login, script)
            finally:
                session.close()
        except (ConnectionLost, Unreachable) as error:
            if isinstance(error, LoginFailed) or time.monotonic() + PAUSE > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return


def _open(session: Session, login: FreshLogin) -> None:
    try:
        session.open(no_passwords=login.no_passwords)
    except ClosedAfterPassword:  # the password was refused, and was the only try of that connection: now the key
        session.close()
        session.open()


def _session(own: Session, login: FreshLogin, seconds: float) -> Session:
    target = own.target
    user = login.user or target.user
    session = Session(replace(target, user=user, password=login.password, timeout=min(target.timeout, seconds)))
    if login.password is None and login.user is None:
        session.key = own.key
    return session


def _run(session: Session, login: FreshLogin, script: str) -> None:
    done = session.run(script, root=False)
    if done.status:
        raise LoginFailed(f"{login}: the login works, but nothing can be run by it (exit status {done.status})", why=done.stderr.strip())
