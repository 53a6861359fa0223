"""The form of `login:`, the inventory's section for logins by password."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.errors import Refused
from novaops.formats import names
from novaops.formats.passwords import weakness
from novaops.formats.sshd_drop_in import EVERYONE, Grant
from novaops.secret import Secret
from novaops.secret_source import Reference, resolve

Networks = Annotated[tuple[names.Network, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])]


class Allowed(BaseModel):
    """One entry of `users:`; a mere name stands for one without a password."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: names.User
    password: Reference | None = None
    """env:NAME, file:PATH or cmd:WORDS. The account gets this password, and is made if it is not there."""
    addresses: Networks = Field(default=(), alias="from")
    """Where this user may log in from by password; without it what holds for all."""


def _allowed(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users: tuple[Annotated[Allowed, BeforeValidator(_allowed, json_schema_input_type=str | Allowed)], ...] = ()
    addresses: Networks = Field(default=(), alias="from")
    """Networks to log in from by password; without it from everywhere."""
    everyone: bool = False
    """Every account, but root's."""
    root: bool = False
    """Whether root may be among `users`."""
    others: Literal["as-is", "denied"] = "as-is"
    """What becomes of passwords for everybody else. With no users, `denied` means that no password works any more."""
    fail2ban: bool = False
    """Whether addresses that try too many passwords are shut out for a while."""

    keeps: ClassVar[bool] = False
    """Whether those whom the host lets in already stay: not where an inventory names them all."""

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
        """By user. Raises UsageError when one cannot be had, Refused when one is too weak."""
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
    """As flags say it: one user more."""

    keeps: ClassVar[bool] = True
