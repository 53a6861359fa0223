"""The way to EVE-NG's API: through the ssh connection that is open already, with the certificate that was read over it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from novaops.errors import HostFailed
from novaops.features.eve.api_client import EveApi
from novaops.secret import Secret
from novaops.shell import assign, sh_file, whole
from novaops.ssh.forward import Forward
from novaops.ssh.session import Session

_HTTP = 80
_HTTPS = 443


@dataclass(frozen=True)
class Access:
    """Who logs in to EVE-NG's page, and where that listens on its host."""

    password: Secret
    user: str = "admin"
    port: int | None = None
    """None: 443 where TLS is spoken there, else 80."""


@contextmanager
def open_api(
    session: Session, access: Access, warn: Callable[[str], None] = lambda _: None, *, at: tuple[int, str] | None = None
) -> Iterator[EveApi]:
    """A client that is logged in. Raises ApiFailed, HostFailed: one exec, and a port of 127.0.0.1 here while it is open.

    `at` is what `page` has said before: then it needs no exec.
    """
    port, certificate = at or page(session, access.port)
    with Forward(session, port) as forward:
        url = f"{'https' if certificate else 'http'}://127.0.0.1:{forward.port}"
        api = EveApi(
            url,
            access.user,
            access.password,
            certificate=certificate,
            timeout=session.target.timeout,
            warn=warn,
            trouble=lambda: forward.trouble,
        )
        with api:
            yield api


def page(session: Session, port: int | None = None) -> tuple[int, str]:
    """Where the page listens on the host, and its certificate as PEM; "" where it speaks no TLS."""
    script = assign(port=port or _HTTPS) + sh_file(__package__, "page_certificate.sh")
    output = session.run(whole(script), root=False)
    found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", output.stdout, re.DOTALL)
    if "no openssl" in output.stdout:
        raise HostFailed(
            f"{session.target} cannot show the certificate of its web page",
            why="It has no openssl, which EVE-NG's own packages need.",
            fix="is that an EVE-NG host? novaops eve status HOST",
        )
    return (port or _HTTPS, found[0]) if found else (port or _HTTP, "")
