"""What the flags of `login allow` and `login deny` say, over what the host's section says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from novaops.engine.inventory import Host
from novaops.engine.playbooks import Playbook
from novaops.errors import UsageError
from novaops.model.plan import Note

if TYPE_CHECKING:
    from novaops.features.login.settings import Settings


def nobody(playbook: Playbook, host: Host) -> Any:
    """The settings of `login deny`: no password of anybody, and fail2ban as the section has it."""
    section = _section(host)
    return playbook.read({**{key: section[key] for key in ("fail2ban",) if key in section}, "others": "denied"})


def allowed(playbook: Playbook, host: Host, users: Sequence[Mapping[str, Any]], flags: Mapping[str, Any]) -> Any:
    """The settings of `login allow`: the section with `users` instead of its users of the same names, and `flags` over the rest.

    Raises UsageError where nobody is named, or root is without saying so.
    """
    section = _section(host)
    named = {user["name"] for user in users}
    if "root" in named and "root" not in flags and not section.get("root"):
        raise UsageError("root is let in by password only when --root says so", why="Whoever guesses passwords tries root first.")
    if not users and not flags and not section:
        raise UsageError("say who: --user NAME", why=f"{host.name} has no login: section to take it from.")
    if not users and not flags and section and not section.keys() & {"users", "everyone", "fail2ban"}:
        raise UsageError(
            f"the login: section of {host.name} lets nobody in by password",
            fix=f"say who: --user NAME; or, for what it says: novaops login deny {host.name}",
        )
    before = [user for user in section.get("users") or [] if (user.get("name") if isinstance(user, dict) else user) not in named]
    return playbook.read({**section, **flags, "users": [*before, *users]}, "Beside" if users or flags else "Settings")


def contradictions(wanted: Settings, declared: Settings) -> list[Note]:
    """What a verb says where it wants something else than the inventory declares."""
    if wanted.model_dump() == declared.model_dump():
        return []
    names = ", ".join(grant.name for grant in declared.grants) or "nobody"
    return [Note("login", f"the inventory says otherwise, and apply makes it so again: it lets {names} in by password")]


def _section(host: Host) -> dict[str, Any]:
    written = host.sections.get("login") or {}
    return dict(written) if isinstance(written, dict) else {}
