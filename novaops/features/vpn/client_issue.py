"""Give a client of a VPN server a certificate, and write its profile. Its key is made here, and goes nowhere but into that file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from novaops.engine.converge import RunOptions
from novaops.engine.peers import converge_in
from novaops.engine.query import Progress, with_session
from novaops.engine.report import HostReport
from novaops.engine.secret_source import resolve
from novaops.errors import HostFailed, Refused, UsageError
from novaops.features.vpn import client_profile
from novaops.features.vpn.resources.server_client import ClientCertificate
from novaops.formats.x509 import Chain
from novaops.model.plan import Note
from novaops.secret import Secret
from novaops.ssh.session import Session
from novaops.ssh.target import Target

_SHORTEST, _LONGEST = 4, 127
"""Bytes of a passphrase: the first is OpenSSL's bound, the other one OpenVPN's."""


def passphrase_from(source: str | None) -> Secret | None:
    """Raises UsageError for one that OpenVPN could not read."""
    if source is None:
        return None
    found = resolve(source)
    if not _SHORTEST <= len(found.reveal().encode()) <= _LONGEST or any(c in found.reveal() for c in "\r\n\0"):
        raise UsageError(f"--passphrase: {_SHORTEST} to {_LONGEST} bytes in one line are needed", why="OpenVPN takes no others.")
    return found


@dataclass(frozen=True)
class ProfileFile:
    """Where a client's profile is written on the operator's machine. No other file is ever overwritten."""

    path: Path
    client: str
    renew: bool = False
    """Whether it may take the place of a profile of the same client."""

    def check_free(self) -> None:
        """Raises Refused where a file would be lost."""
        if not self.path.exists() and not self.path.is_symlink():
            return
        fix = "name another file: --out FILE"
        if not self.renew or not self.path.is_file() or self.path.is_symlink():
            raise Refused(f"{self.path} is there already", why="Nothing was contacted, and it was left as it is.", fix=fix)
        if not self._is_of_client():
            raise Refused(f"{self.path} is there already, and is no profile of {self.client}", fix=fix)

    def _is_of_client(self) -> bool:
        try:
            return Chain.read(client_profile.certificate_in(self.path.read_text("utf-8"))).leaf.common_name == self.client
        except (OSError, ValueError):
            return False

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """An empty file beside it that only its owner can read: made beforehand, it proves that there is a place to write to.

        Raises UsageError where there is none.
        """
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            why = str(error.strerror or error)
            raise UsageError(f"{self.path} cannot be written", why=why, fix="name another file: --out FILE") from None
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def write(self, draft: Path, text: Secret) -> None:
        """Raises OSError: FileExistsError where somebody else has written the file meanwhile."""
        draft.write_text(text.reveal(), "utf-8")
        if self.renew:
            draft.replace(self.path)
        else:
            os.link(draft, self.path)


@dataclass(frozen=True)
class Issue:
    """A certificate to be given to the client of a profile."""

    server: str
    file: ProfileFile
    days: int
    passphrase: Secret | None = None

    def run(self, target: Target, options: RunOptions, tell: Progress) -> HostReport:
        """Raises UsageError where the profile cannot be written; what goes wrong later is in the report."""
        asked = client_profile.ask(self.file.client, self.passphrase)
        with nullcontext(self.file.path) if options.check else self.file.draft() as draft:
            return with_session(target, tell, lambda session: self._issue(session, asked, draft, options, tell))

    def _issue(self, session: Session, asked: client_profile.Asked, draft: Path, options: RunOptions, tell: Progress) -> HostReport:
        name, path = self.file.client, self.file.path
        resource = ClientCertificate(self.server, name, asked.request, asked.public, self.days, self.file.renew)
        report, facts = converge_in(session, [resource], options, tell)
        if report.status != "changed":
            return report
        text = client_profile.profile(self.server, name, facts.known(resource.question), asked.key)
        client_profile.check(text, self.passphrase)
        try:
            self.file.write(draft, text)
        except OSError as error:
            raise HostFailed(
                f"the certificate of {name} is made, and {path} could not be written",
                why=f"{error.strerror or error}. The key was never anywhere else, and is lost.",
                fix=f"make another one: novaops vpn client renew HOST {name} --server {self.server} --out FILE",
            ) from error
        written = Note(resource.id, f"its profile is {path}: whoever has that file comes in")
        return replace(report, notes=(*report.notes, written), details={"profile": str(path)})
