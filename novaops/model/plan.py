"""What a plan is made of, and what a resource must be able to say. Pure data."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

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
    if_refused: str = field(default="", repr=False, compare=False)
    """sh for root, whose output says why the host refused this login; "" where nothing is asked."""

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
    together: str = ""
    """From the first to the last step with the same word here, all steps are done, or those that were are undone."""
    fresh_logins: tuple[FreshLogin, ...] = ()
    """Of a step that could lock somebody out: what must work afterwards. Empty: the login by which novaops came."""
    reboots: bool = False
    """Whether the host is rebooted when the run is done. What is left to do is planned on what it answers after that."""


@dataclass(frozen=True)
class ListensAt:
    """A port that something of the inventory will listen on."""

    what: str
    """In words: "the tunnel openai"."""
    port: int
    address: str = ""
    """"" for all of the host, IPv4 and IPv6."""
    protocol: str = "tcp"
    program: str = ""
    """What of one program listens may share a port: the sites of nginx."""

    def conflicts(self, other: ListensAt) -> bool:
        """Whether the two cannot both be: the same port, and addresses of which one covers the other."""
        if (self.port, self.protocol) != (other.port, other.protocol) or self.what == other.what:
            return False
        return not (self.program and self.program == other.program) and (self._covers(other) or other._covers(self))

    def _covers(self, other: ListensAt) -> bool:
        if self.address in {"", other.address}:
            return True
        is_all = self.address in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        return is_all and (":" in self.address) == (":" in other.address)


class Resource(ABC):
    """Something a host can have, and how it should be.

    A resource has an id, questions and a plan. Everything else is optional: the defaults below say nothing and change nothing.
    """

    yields_to_present: ClassVar[bool] = False
    """Whether this takes something away that stays where another resource of the same id wants it there."""

    comes_first: ClassVar[bool] = False
    """Whether it rests on nothing that sections of novaops's own want, and so may be done before all of it."""

    @property
    @abstractmethod
    def id(self) -> str:
        """`kind:name`, the same in plans, reports and JSON: file:/etc/motd, mount:/mnt/data."""

    @abstractmethod
    def questions(self) -> Iterable[Question[Any]]:
        """What must be known of the host to tell whether it is right."""

    @abstractmethod
    def plan(self, facts: Facts) -> Iterable[Step]:
        """The steps that would put it right; none when it is right already.

        Raises Refused when that would not be safe, WaitingForPeer while something of another host is missing.
        """

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        """What must be known of other hosts: pairs of a host's name and a question."""
        return ()

    def notes(self, facts: Facts) -> Iterable[str]:
        """What is true and worth saying although it changes nothing."""
        del facts
        return ()

    def exclusive_keys(self, facts: Facts) -> Iterable[str]:
        """What it takes for itself. Two resources of one host that take the same are refused."""
        del facts
        return ()

    def listens_at(self) -> Iterable[ListensAt]:
        """The ports it will listen on, said before any host is asked. Two resources that cannot both have theirs are an error."""
        return ()

    def predict(self, facts: Facts) -> Facts:
        """The facts as they will be once its steps are done, beyond the files that they write. Later resources are planned on them."""
        return facts

    def verify_works(self, facts: Facts) -> None:
        """Asked once nothing is left to do, of what can be right on paper and still not work. Raises HostFailed when it does not work."""
        del facts


class Wrapped(Resource):
    """A resource with something added to it. All that is not overridden is the wrapped one's own."""

    resource: Resource

    @property
    def id(self) -> str:
        return self.resource.id

    @property
    def yields_to_present(self) -> bool:  # type: ignore[override]
        return self.resource.yields_to_present

    @property
    def comes_first(self) -> bool:  # type: ignore[override]
        return self.resource.comes_first

    def questions(self) -> Iterable[Question[Any]]:
        return self.resource.questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        return self.resource.plan(facts)

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        return self.resource.peer_questions()

    def notes(self, facts: Facts) -> Iterable[str]:
        return self.resource.notes(facts)

    def exclusive_keys(self, facts: Facts) -> Iterable[str]:
        return self.resource.exclusive_keys(facts)

    def listens_at(self) -> Iterable[ListensAt]:
        return self.resource.listens_at()

    def predict(self, facts: Facts) -> Facts:
        return self.resource.predict(facts)

    def verify_works(self, facts: Facts) -> None:
        self.resource.verify_works(facts)


@dataclass(frozen=True)
class Note:
    """Something true and worth saying about a resource that needs no change: "ext4 that was there was kept"."""

    resource: str
    text: str


@dataclass(frozen=True)
class Plan:
    resources: tuple[str, ...]
    """The ids of all resources, in the order written, each once: two sections may want the same package."""
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
