"""Password files of web servers: one line a user, with a bcrypt hash. Pure but for the salt."""

from __future__ import annotations

from collections.abc import Container, Mapping

from novaops.secret import Secret
from novaops.shell import lines_of

COST = 5
"""bcrypt's cost, the default of htpasswd(1). nginx computes the hash for each request, and a cost of 10 takes about 50 ms each time.
The passwords are long, and only root and nginx can read the file."""

LONGEST = 72
"""Bytes of a password that bcrypt uses."""


def written(users: Mapping[str, Secret], old: str = "", keep: Container[str] = ()) -> str:
    """The file for these users, and for those of `keep` whom `old` has.

    A line of `old` that has the right password stays as it is: a new hash would be a change.
    """
    lines = {}
    others = []
    for line in lines_of(old):
        user, _, hashed = line.partition(":")
        if user in users and user not in lines and _matches(users[user], hashed):
            lines[user] = hashed
        elif user not in users and user in keep:
            others.append(f"{line}\n")
    return "".join(others) + "".join(f"{user}:{lines.get(user) or _hash(password)}\n" for user, password in users.items())


def users(text: str) -> tuple[str, ...]:
    """Whom a file lets in."""
    return tuple(line.partition(":")[0] for line in lines_of(text) if ":" in line and not line.startswith("#"))


def _hash(password: Secret) -> str:
    import bcrypt

    # $2y$ is the same algorithm, under the name that Apache's tools and older systems know.
    return bcrypt.hashpw(password.reveal().encode(), bcrypt.gensalt(COST)).decode().replace("$2b$", "$2y$", 1)


def _matches(password: Secret, hashed: str) -> bool:
    import bcrypt

    if not hashed.startswith("$2y$"):
        return False
    try:
        return bcrypt.checkpw(password.reveal().encode(), hashed.encode())
    except ValueError:
        return False
