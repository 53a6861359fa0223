"""The form of `login:`, the inventory's section for logins by password."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.engine.secret_source import Reference, resolve
from novaops.errors import Refused
from novaops.formats import names
from novaops.formats.passwords import weakness
from novaops.formats.sshd_drop_in import EVERYONE, Grant
from novaops.secret import Secret

Networks = Annotated[tuple[names.Network, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])]


class Allowed(BaseModel):
    """One entry of `users:`; a name alone is an entry without a password."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: names.User
    password: Reference | None = None
    """env:NAME, file:PATH or cmd:WORDS. The account gets this password, and is created if it is missing."""
    addresses: Networks = Field(default=(), alias="from")
    """Networks from which this user may log in by password; empty: those of the section."""


def _allowed(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users: tuple[Annotated[Allowed, BeforeValidator(_allowed, json_schema_input_type=str | Allowed)], ...] = ()
    addresses: Networks = Field(default=(), alias="from")
    """Networks from which passwords are accepted; empty: from everywhere."""
    everyone: bool = False
    """Whether every account except root may log in by password."""
    root: bool = False
    """Whether root may be among `users`."""
    others: Literal["as-is", "denied"] = "as-is"
    """Whether everybody else may log in by password. Without users, `denied` disables password logins altogether."""
    fail2ban: bool = False
    """Whether addresses that try too many passwords are banned for a while."""

    keeps: ClassVar[bool] = False
    """Whether grants that are on the host already stay. Not with an inventory, which names all users."""

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        named = [user.name for user in self.users]
        if twice := next((name for name in named if named.count(name) > 1), None):
            raise ValueError(f"users: {twice} is there twice")
        if "root" in named and not self.root:
            raise ValueError("users: root is let in by password only with root: true")
        if self.root and "root" not in named:
            raise ValueError("root: true needs root among users")
        if self.everyone and self.others == "denied":
            raise ValueError("others: nobody is left whom everyone: true does not let in")
        if not self.users and not self.everyone and self.others == "as-is" and not self.fail2ban:
            raise ValueError("users: nobody is named; everyone: true lets every account in, others: denied none")
        return self

    @property
    def grants(self) -> tuple[Grant, ...]:
        named = tuple(Grant(user.name, user.addresses or self.addresses) for user in self.users)
        return (*named, Grant(EVERYONE, self.addresses)) if self.everyone else named

    def passwords(self) -> dict[str, Secret]:
        """By user. Raises UsageError when one cannot be resolved, Refused when one is too weak."""
        found = {user.name: resolve(user.password) for user in self.users if user.password}
        for user, password in found.items():
            if weak := weakness(password.reveal(), user):
                raise Refused(
                    f"the password of {user} {weak}",
                    why="Every address that answers ssh is tried with the common ones all day.",
                    fix="choose a longer one, such as: openssl rand -base64 15",
                )
        return found


class Beside(Settings):
    """The settings as flags give them: one more user."""

    keeps: ClassVar[bool] = True
