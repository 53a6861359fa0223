"""The host's side of an upload: what is there, and putting in place what arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from novaops.errors import HostFailed
from novaops.features.eve import paths
from novaops.features.eve.image_names import FOLDERS, ImageName
from novaops.features.eve.image_source import Part
from novaops.shell import assign, lines_of, quote, sh_file, whole
from novaops.ssh.session import Session

UPLOAD = ".novaops-upload"
"""The beginning of the names of directories that take uploads."""
_SLOWEST = 20 << 20
"""Bytes a second that a host sums, converts and checks, at the least."""
_REFUSED = 65
"""The exit status of image_finish.sh for what did not arrive whole, or is damaged."""
_PLACED = 66
"""The same for an image that is in place, and whose permissions could not be set."""


@dataclass(frozen=True)
class OnHost:
    """What the host has of an image."""

    room: int
    """Bytes."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """By sha256 how many bytes of it an upload has left."""
    files: Mapping[str, str] = field(default_factory=dict)
    """By name the sha256 of each file of the image, where that is there."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The same of what the host made a file of, where the file is still as it made it."""

    def same(self, parts: Sequence[Part]) -> bool:
        """Whether the image is made of these."""
        wanted = {part.name for part in parts}
        return set(self.files) == wanted and all(part.sha256 in {self.files[part.name], self.sources.get(part.name)} for part in parts)


class ImageHost:
    def __init__(self, session: Session, name: ImageName) -> None:
        self.session, self.name = session, name

    @property
    def _owner(self) -> str:
        """The login, which has a directory for uploads of its own."""
        assert self.session.connection is not None
        return str(self.session.connection.user)

    def look(self, parts: Sequence[Part] = (), *, prepare: bool = False) -> OnHost:
        """Without `parts` the image's own files are not looked at. `prepare` makes the directory that takes the upload.

        Raises HostFailed.
        """
        values = assign(
            addons=paths.ADDONS,
            folder=FOLDERS[self.name.kind],
            name=self.name.name,
            owner=self._owner,
            compare="yes" if parts else "",
            prepare="yes" if prepare else "",
        )
        printed = self._run(values + sh_file(__package__, "image_begin.sh"), parts)
        words = [line.split(" ", 2) for line in lines_of(printed)]
        if ["no-eve"] in words:
            what = f"{self.session.target} has no EVE-NG"
            raise HostFailed(what, why=f"There is no {paths.ADDONS}.", fix="novaops eve install HOST makes one")
        (room,) = [int(line[1]) for line in words if line[0] == "room"]
        return OnHost(
            room,
            {line[1]: int(line[2]) for line in words if line[0] == "part"},
            {line[2]: line[1] for line in words if line[0] == "file"},
            {line[2]: line[1] for line in words if line[0] == "source"},
        )

    def writer(self, part: Part, offset: int) -> str:
        """A command that writes its standard input into the file that takes the upload, from that byte on.

        Whatever a writer before it may still have to write has the same place in the file, and the same content.
        """
        file = quote(f"{paths.ADDONS}/{FOLDERS[self.name.kind]}/{UPLOAD}-{self._owner}/{part.sha256}")
        return f"exec dd of={file} bs=1M seek={offset} oflag=seek_bytes conv=notrunc status=none"

    def finish(self, parts: Sequence[Part]) -> None:
        """Raises HostFailed; then nothing of the image is there but what was before, or it says that it is in place."""
        self._end(parts, "directory" if self.name.kind == "qemu" else "file")

    def clear(self, parts: Sequence[Part]) -> None:
        """Take away what an upload of these has left."""
        self._end(parts, "clear")

    def _end(self, parts: Sequence[Part], how: str) -> None:
        lines = [f"{part.sha256} {part.convert or ('as-is' if part.checked else _unchecked(part))} {part.name}" for part in parts]
        values = assign(
            addons=paths.ADDONS,
            wrapper=paths.WRAPPER,
            folder=FOLDERS[self.name.kind],
            name=self.name.name,
            owner=self._owner,
            how=how,
            parts="\n".join(lines),
        )
        self._run(values + sh_file(__package__, "image_finish.sh"), parts)

    def _run(self, script: str, parts: Sequence[Part]) -> str:
        """Raises HostFailed."""
        seconds = self.session.target.timeout + sum(part.size for part in parts) / _SLOWEST
        done = self.session.run(whole(script), timeout=seconds)
        if done.status == _PLACED:
            what = f"the image {self.name.name} is in place on {self.session.target}, and its permissions could not be set"
            raise HostFailed(what, why=done.stderr.strip(), fix=f"{paths.WRAPPER} -a fixpermissions, there; until then nodes may not start")
        if done.status:
            kept = "Nothing was put in place, and what was sent is gone." if done.status == _REFUSED else "Nothing was put in place."
            what = f"the image {self.name.name} was not put in place on {self.session.target}"
            raise HostFailed(what, why=f"{done.stderr.strip()}\n{kept}".strip())
        return done.stdout


def _unchecked(part: Part) -> str:
    return "qcow2" if part.name.endswith(".qcow2") else "as-is"
