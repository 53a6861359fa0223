"""The line of a tunnel in the gateway's authorized_keys: its key, limited to the tunnel's ports. Other lines stay, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from novaops.errors import Refused, WaitingForPeer
from novaops.facts.listening import Listening
from novaops.features.tunnel.facts.ends import AuthorizedKeys, AuthorizedKeysFile, TunnelKey
from novaops.features.tunnel.paths import HOME, USER, key_file
from novaops.formats.names import pair
from novaops.model.action import Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.directory import taken_away
from novaops.shell import quote, sh_file, whole_lines


@dataclass(frozen=True)
class AuthorizedKey(Resource):
    client: str
    name: str
    comment: str
    options: str | None
    """None: no such line."""
    hosts: frozenset[str] = frozenset()
    """The names of the inventory's hosts. The client may have had another one before, by which its line is still there."""

    @property
    def id(self) -> str:
        return f"admitted:{self.client}/{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield AuthorizedKeys()

    def peer_questions(self) -> Iterable[tuple[str, Question[Any]]]:
        if self.options is not None:
            yield self.client, TunnelKey(self.name)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts.known(AuthorizedKeys())
        if not found.path:
            if self.options is None:
                return
            raise Refused(
                "sshd here takes no keys from a file of one user's own (AuthorizedKeysFile)",
                why="There is no file to put the tunnel's key in.",
                fix=f"give {USER} one, in a Match User block: AuthorizedKeysFile .ssh/authorized_keys",
            )
        self._refuse_shared(found, facts)
        wanted = self._wanted(found, facts)
        if wanted == found.content and (wanted is None or self._permissions(found) == (found.mode, found.owner, found.group)):
            return
        mode, owner, group = self._permissions(found)
        old = self._line(found) or next((line for line, client in self._shared(found, facts) if client), "")
        changes = [Change("key", old or None, self._new(facts))] if wanted != found.content else []
        if found.content == b"" and wanted is None:
            changes = [Change("file", "empty", None)]
        if found.content is not None and wanted is not None and (mode, owner, group) != (found.mode, found.owner, found.group):
            changes.append(Change("rights", f"{found.mode} {found.owner}", f"{mode} {owner}"))
        write = WriteFile(
            *(found.path, wanted, mode, owner, group),
            before=found.content,
            permissions_before=(found.mode, found.owner, found.group) if found.content is not None else None,
        )
        yield Step(self.id, tuple(changes), (*self._folders(found, wanted), write))

    def predict(self, facts: Facts) -> Facts:
        """The next one writes into the same file. Where a line goes, sshd listens no more for it."""
        found = facts.known(AuthorizedKeys())
        mode, owner, group = self._permissions(found)
        if self.options is None and Listening() in facts:
            places = set(re.findall(r'permitlisten="([^"]+)"', self._line(found)))
            left = (one for one in facts.known(Listening()) if one.user != USER or pair(one.address, one.port) not in places)
            facts = facts.but(Listening(), tuple(left))
        return facts.but(
            AuthorizedKeys(),
            replace(found, content=self._wanted(found, facts), mode=mode, owner=owner, group=group, folder=True, home=found.home or "made"),
        )

    def _new(self, facts: Facts) -> str | None:
        """Raises WaitingForPeer while the client has no key."""
        if self.options is None:
            return None
        key = facts.of(self.client)[TunnelKey(self.name)]
        if key is Missing.ABSENT or not key.public:
            raise WaitingForPeer(f"{self.client}'s key")
        return f"{self.options} {key.public} {self.comment}"

    def _is_own(self, line: str) -> bool:
        return line.split()[-1:] == [self.comment] and not line.lstrip().startswith("#")

    def _shared(self, found: AuthorizedKeysFile, facts: Facts) -> Iterator[tuple[str, str]]:
        """The lines of others that let the tunnel's own key do something else, and by which client's name. sshd takes the first line of a key."""
        if self.options is None or (new := self._new(facts)) is None:
            return
        key = (
            new.removeprefix(f"{self.options} ").removesuffix(f" {self.comment}").split()[1]
        )  # without its kind: any blanks may stand between
        for line in takewhile(lambda one: one != new, found.lines):
            if (
                key in line.split()
                and not self._is_own(line)
                and not line.lstrip().startswith("#")
                and not line.startswith(f"{self.options} ")
            ):
                client = re.fullmatch(rf".*\snovaops:(\S+)/{re.escape(self.name)}", line.rstrip())
                yield line, client[1] if client else ""

    def _refuse_shared(self, found: AuthorizedKeysFile, facts: Facts) -> None:
        """Raises Refused where such a line is no former one of this client."""
        for line, client in self._shared(found, facts):
            if client and client not in self.hosts:
                continue
            where = f"{found.path}:{found.lines.index(line) + 1}"
            again = f"on a host that is a copy of the other one: rm {key_file(self.name)}, then novaops tunnel up makes another key"
            raise Refused(
                f"{where} lets the key of {self.client}'s tunnel {self.name} do something else",
                why=f"That line is of {client or 'somebody else'}, and sshd takes the first line that has a key.",
                fix=again if client else "take it out: the key is this tunnel's alone",
            )

    def _line(self, found: AuthorizedKeysFile) -> str:
        return next((line for line in found.lines if self._is_own(line)), "")

    def _wanted(self, found: AuthorizedKeysFile, facts: Facts) -> bytes | None:
        new = self._new(facts)
        text = (found.content or b"").decode("utf-8", "surrogateescape")
        former = {line for line, _ in self._shared(found, facts)}
        own = [line for line in text.split("\n") if self._is_own(line) or line in former]
        kept = "".join(line for line in whole_lines(text) if line.rstrip("\n") not in own)
        if new is not None:
            if own == [new]:
                return found.content
            kept += "\n" if kept and not kept.endswith("\n") else ""
            kept += f"{new}\n"
        elif kept == text:
            return found.content or None
        return kept.encode("utf-8", "surrogateescape") or None

    def _permissions(self, found: AuthorizedKeysFile) -> tuple[str, str, str]:
        """Mode, owner and group. In the user's home the file is root's, as its folders are: else root would work where the user can put links."""
        if found.path.startswith(f"{HOME}/"):
            return "0644", "root", "root"
        return found.mode or "0644", found.owner or "root", found.group or "root"

    def _take(self, found: AuthorizedKeysFile) -> Command:
        """The home of an earlier novaops, which its user owns."""
        names = found.path.removeprefix(f"{HOME}/").split("/")
        places = [HOME, *("/".join((HOME, *names[:count])) for count in range(1, len(names) + 1))]
        given_back = f'[ "$(stat -c %U -- {quote(HOME)})" = {USER} ]'
        undo = Command(("chown", "-h", f"{USER}:{USER}", "--", *reversed(places[:-1])), holds=given_back)
        return Command(("sh", "-c", sh_file(__package__, "own_home.sh"), "own-home", *places), undo=undo)

    def _folders(self, found: AuthorizedKeysFile, wanted: bytes | None) -> Iterable[Command]:
        folder = found.path.rpartition("/")[0]
        inside = found.path.startswith(f"{HOME}/")
        missing = [] if found.folder or wanted is None else [folder]
        if inside and not found.home and wanted is not None:
            missing = list(dict.fromkeys((HOME, folder)))
        if inside and found.home and found.home.rpartition(" ")[2] not in {"root", "made"}:
            yield self._take(found)
        for path in missing:
            words = ("install", "-d", "-m", "0755", "--", path)
            yield Command(words, holds=f"[ -d {quote(path)} ]", undo=taken_away(path))
