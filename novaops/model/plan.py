"""What a plan is made of, and what a resource must be able to say. Pure data."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from novaops.errors import HostFailed, Refused, WaitingForPeer
from novaops.model.action import Action
from novaops.model.question import Facts, Question
from novaops.secret import Secret


class Risk(enum.Enum):
    """What could go wrong beyond the resource itself."""

    NONE = "none"
    LOCKOUT = "lockout"
    """Could keep somebody from logging in. Neighbouring steps of this risk are done under guard: all of them, or none."""
    DATA_LOSS = "data_loss"


@dataclass(frozen=True)
class Change:
    """One field of a resource, as a person reads it. `before` is None when there was nothing."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class FreshLogin:
    """A login over a connection of its own. Only when it works is what was done under guard kept."""

    user: str | None = None
    """None: the login by which novaops came itself."""
    password: Secret | None = None
    """None: by key, as novaops came itself."""
    no_passwords: bool = False
    """The server must turn passwords down on the way."""

    def __str__(self) -> str:
        how = "by password" if self.password else "by key, with passwords turned down" if self.no_passwords else "by key"
        return f"{self.user or 'the same login'} {how}"


@dataclass(frozen=True)
class Step:
    """One resource put right: all of its actions happen, or those that did are undone."""

    resource: str
    changes: tuple[Change, ...]
    actions: tuple[Action, ...]
    risk: Risk = Risk.NONE
    cannot_undo: str = ""
    """What of this step no undo brings back, said beforehand; "" when all of it can be undone."""
    fresh_logins: tuple[FreshLogin, ...] = ()
    """Of a step that could lock somebody out: what must work afterwards. Empty: the login by which novaops came."""


class Resource(Protocol):
    """Something a host can have, and how it should be."""

    @property
    def id(self) -> str:
        """`kind:name`, the same in plans, reports and JSON: file:/etc/motd, mount:/mnt/data."""
        ...

    def questions(self) -> Iterable[Question[Any]]:
        """What must be known to tell whether it is right."""
        ...

    def plan(self, facts: Facts) -> Iterable[Step]:
        """What would put it right; nothing when it is right already.

        Raises Refused when that would not be safe, Waits while something of another host is missing.
        """
        ...


@dataclass(frozen=True)
class Note:
    """Something true and worth saying about a resource that needs no change: "ext4 that was there was kept"."""

    resource: str
    text: str


@dataclass(frozen=True)
class Plan:
    resources: tuple[str, ...]
    """The ids of all resources, in the order written."""
    steps: tuple[Step, ...]
    refusals: tuple[tuple[str, Refused], ...] = ()
    """Resources that cannot be put right safely. One of them, and nothing of the plan is done."""
    notes: tuple[Note, ...] = ()
    unproven: tuple[tuple[str, HostFailed], ...] = ()
    """Resources that are as wanted, and do not work. Asked only when there is nothing left to do."""
    waits: tuple[tuple[str, WaitingForPeer], ...] = ()
    """Resources that need something of another host, which is not there yet."""

    def __bool__(self) -> bool:
        return bool(self.steps or self.refusals or self.unproven or self.waits)
