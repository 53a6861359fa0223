"""Reboot a host, and wait until it has booted again."""

from __future__ import annotations

import time
from dataclasses import replace

from novaops.errors import ChangedHostKey, HostFailed, NovaopsError, UnknownHostKey, Unreachable
from novaops.shell import UNTIL_BOOTED, quote
from novaops.ssh.session import ConnectionLost, Session

LIMIT = 300.0
"""Seconds for a host to go down and come back. Large cloud machines check their memory first."""
BOOTED = 120
"""Seconds for the boot to finish once a login works: a mount with nofail may come after sshd."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_ATTEMPT = 5.0


def reboot(session: Session, limit: float = LIMIT) -> None:
    """Reboot, wait for a new boot id, and for the boot to end; the session is open again after it.

    Raises Unreachable when the host does not come back, HostFailed when it does not go down.
    """
    before = boot_id(session)
    try:
        done = session.run("systemctl --no-block reboot || shutdown -r now\n")
    except ConnectionLost:
        pass  # it went down before it answered
    else:
        if done.status:
            raise HostFailed(f"{session.target} did not take the order to reboot", why=done.stderr.strip())
    session.close()
    _wait_for_another_boot(session, before, limit)
    session.open()
    session.run(f"[ ! -d /run/systemd/system ] || timeout {BOOTED} sh -c {quote(UNTIL_BOOTED)}\n", timeout=BOOTED + session.target.timeout)


def boot_id(session: Session) -> str:
    """What the kernel calls this boot. Raises HostFailed."""
    done = session.run("cat /proc/sys/kernel/random/boot_id\n")
    if done.status or not done.stdout.strip():
        raise HostFailed(f"{session.target} does not say which boot this is", why=done.stderr.strip())
    return done.stdout.strip()


def _wait_for_another_boot(session: Session, before: str, limit: float) -> None:
    """Tries to connect, with growing pauses and growing timeouts."""
    deadline = time.monotonic() + limit
    pause = _FIRST_PAUSE
    last: NovaopsError | None = None
    while time.monotonic() < deadline:
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        attempt = Session(replace(session.target, timeout=min(session.target.timeout, _ATTEMPT + pause)))
        try:
            with attempt:
                if boot_id(attempt) != before:
                    return
            last = HostFailed("it still answers as before: it did not go down")
        except (UnknownHostKey, ChangedHostKey):
            raise
        except NovaopsError as error:  # a booting host may fail in every way, logins included
            last = error
        finally:
            session.execs += attempt.execs
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    raise Unreachable(
        f"{session.target} did not come back from its reboot within {limit:g} s",
        why=last.what if last else "",
        fix="look at its console",
    )
