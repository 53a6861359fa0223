"""The host that a verb of EVE-NG is for, and who logs in to its page: from the command line, else from the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import TIMEOUT, Group, Options
from novaops.errors import UsageError

if TYPE_CHECKING:
    from novaops.engine.inventory import Host
    from novaops.features.eve.api_access import Access
    from novaops.ssh.target import Target

_USER = "admin"


class WebLogin(Group):
    web_user: Annotated[str, typer.Option(help="Who logs in to EVE-NG's page.")] = _USER
    web_password: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS [default: web_password of the section eve].")
    ] = None
    web_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where the page listens on the host [default: 443 with TLS, else 80].")
    ] = None

    def known_access(self, host: Host) -> Access | None:
        """None where no password is known. Raises UsageError where it cannot be had."""
        from novaops.engine import secret_source
        from novaops.features.eve.api_access import Access

        section = host.sections.get("eve")
        reference = self.web_password or (section.get("web_password") if isinstance(section, dict) else None)
        return Access(secret_source.resolve(reference), self.web_user, self.web_port) if reference else None

    def access(self, host: Host) -> Access:
        """Raises UsageError where no password is known."""
        access = self.known_access(host)
        if access is None:
            raise UsageError(
                f"EVE-NG's API on {host.name} wants a login",
                why="No password is known for it, and the default one is not tried.",
                fix="give --web-password env:NAME, or write web_password: into the section eve of the host",
            )
        return access


def one_host(options: Options, word: str | None) -> tuple[Host, Target]:
    """The host that the word names; without one the only host with a section eve. Raises UsageError."""
    known, _ = options.known()
    found = known.find([word] if word else [], "eve")
    if len(found) != 1:
        names = ", ".join(host.name for host in found)
        what = f"{word} is a group, where one host is needed" if word else f"several hosts have EVE-NG: {names}"
        raise UsageError(what, fix="name the host")
    (host,) = found
    password = options.sudo_password()
    return host, host.target(options.timeout or TIMEOUT, password)
