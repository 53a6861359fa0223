"""The errors of novaops, with their exit codes.

    NovaopsError                      exit  a sentence: what happened, why, and what to type next
    ├── InternalError                 1     a bug in novaops
    ├── UsageError                    2     the command line is wrong; nothing was contacted
    │   └── InventoryError            2     the inventory is wrong; carries file:line and the path inside it
    ├── HostFailed                    1     a host was reached and something on it went wrong
    │   ├── NoRoot                    1     the login cannot become root there
    │   ├── LockHeld                  1     another run is in progress on the host
    │   ├── RunLost                   1     the connection went away and the run could not be followed to its end
    │   ├── RolledBack                1     a fresh login did not work, and the host rolled the change back
    │   ├── WaitingForPeer            1     something needs what another host does not have yet
    │   ├── GoingOn                   1     interrupted: a run goes on by itself on the host
    │   ├── Unknown                   1     who worked on the host did not say what came of it
    │   └── NotBegun                  1     nothing was done on the host, because the command ended before
    ├── Refused                       4     going on could lose data or cut someone off
    └── Unreachable                   5     no ssh session: network, host key or login
        ├── UnknownHostKey            5
        ├── ChangedHostKey            5
        └── LoginFailed               5     the server refused the login
            ├── ClosedAfterPassword   5     it closed the connection after one password
            └── PasswordsAccepted     5     it accepts passwords, where it should not

Library code raises these and never prints or exits; the command line catches them once.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, ClassVar


class NovaopsError(Exception):
    """An error with what happened, why, and the next command to type.

    `code` is `error.code` in --json and never changes, `exit_code` is that of the process.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.fix) if part)


class InternalError(NovaopsError):
    """An unexpected exception, which is its `__cause__` and shown with -vv."""

    code = "bug"

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"novaops itself went wrong: {type(cause).__name__}: {cause}",
            fix="run it again with -vv and report what it prints",
        )
        self.__cause__ = cause


def as_sentence(error: Exception) -> NovaopsError:
    """The error itself, or that novaops went wrong."""
    return error if isinstance(error, NovaopsError) else InternalError(error)


class UsageError(NovaopsError):
    code = "usage"
    exit_code = 2


class InventoryError(UsageError):
    code = "inventory"


class HostFailed(NovaopsError):
    code = "failed"
    exit_code = 1


class NoRoot(HostFailed):
    code = "no-root"


class LockHeld(HostFailed):
    code = "locked"


class RunLost(HostFailed):
    code = "run-lost"


class RolledBack(HostFailed):
    code = "rolled-back"


class WaitingForPeer(HostFailed):
    """A step needs something of a peer that is not there yet. `what` names it: "aliyun's key".

    The step is planned again after the peer's own steps. `steps` are those it would have, where they are known.
    """

    code = "waits"

    def __init__(self, what: str, steps: Sequence[Any] = ()) -> None:
        super().__init__(what)
        self.steps = tuple(steps)


class GoingOn(HostFailed):
    code = "going-on"


class Unknown(HostFailed):
    code = "unknown"


class NotBegun(HostFailed):
    code = "not-begun"


class NotWritten(NovaopsError):
    """Standard output cannot be written: to find all right is worth nothing when nobody is told."""

    code = "not-written"
    exit_code = 1

    def __init__(self, cause: OSError) -> None:
        is_closed = cause.errno == errno.EBADF
        super().__init__(
            f"the results could not be written to standard output: {'it is closed' if is_closed else cause.strerror or cause}",
            why="What was done on hosts is done, and is in their history.",
            fix=f"{'leave it open, >/dev/null hides what it says,' if is_closed else 'make room there'} and run it again",
        )
        self.__cause__ = cause


class Refused(NovaopsError):
    code = "refused"
    exit_code = 4


class Unreachable(NovaopsError):
    code = "unreachable"
    exit_code = 5


class UnknownHostKey(Unreachable):
    code = "host-key-unknown"


class ChangedHostKey(Unreachable):
    code = "host-key-changed"


class LoginFailed(Unreachable):
    code = "login-failed"


class ClosedAfterPassword(LoginFailed):
    """The server refused a password and closed the connection, as with MaxAuthTries 1."""


class PasswordsAccepted(LoginFailed):
    code = "passwords-taken"
