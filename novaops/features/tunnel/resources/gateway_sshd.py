"""What sshd on a gateway lets the user of tunnels do: a drop-in with a Match block. Refused where other lines of sshd's would win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.sshd import Sshd, SshdEffective, SshdState
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.paths import DROP_IN, USER
from novaops.formats.authorized_keys import AuthorizedKey
from novaops.formats.sshd_config import Peer
from novaops.model.plan import Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.resources.sshd_access import LoginContext, to_everything
from novaops.resources.sshd_file import TESTS, refuse_unusable, taken_up
from novaops.shell import lines_of

_CLIENT_SPECIFIED = "GatewayPorts clientspecified"

_KIND = "ssh-ed25519"
"""Of the tunnels' keys."""

_PERMITLISTEN = (7, 8)
"""The OpenSSH that has it."""

_ALGORITHMS = (8, 5)
"""The OpenSSH that has PubkeyAcceptedAlgorithms; before it was PubkeyAcceptedKeyTypes."""

_DECIDING = ("allowtcpforwarding", "permitopen", "permitlisten", "maxsessions", "authenticationmethods", "allowstreamlocalforwarding")

_ACCEPTS = rf"""{TESTS}whole=$(mktemp) || exit; trap 'rm -f "$whole"' EXIT
{{ echo "Include $1"; cat "$sshd_main"; }} >"$whole" && tests -f "$whole"
as_started "$sshd" -T -f "$whole" -C "user=$2,host=$3,addr=$3,laddr=127.0.0.1,lport=22" | grep -q -x 'allowtcpforwarding yes' && exit
echo "with this file sshd would still not forward ports for $2"; exit 1"""


@dataclass(frozen=True)
class GatewaySshd(Resource):
    text: str
    """The text of the drop-in."""
    client_address: str = ""
    """Where the client comes from; "" where the inventory does not say. Match blocks of sshd may depend on it."""
    needs: str = "local"
    """local or remote: the direction of AllowTcpForwarding that is needed."""
    listens: bool = False
    """Whether sshd itself listens for one of the tunnels (reverse)."""

    @property
    def id(self) -> str:
        return "sshd:tunnels"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (SshdState(), FileAt(DROP_IN), SshdEffective(USER, self.client_address))

    def plan(self, facts: Facts) -> Iterable[Step]:
        sshd = facts.known(SshdState())
        refuse_unusable(sshd)
        if sshd.version is not None and sshd.version < _PERMITLISTEN:
            raise Refused(
                f"OpenSSH {'.'.join(map(str, sshd.version))} on the host is too old for the tunnel's key",
                why="It takes no line with permitlisten, which keeps the key from every other port; 7.8 and later do.",
                fix="choose another gateway, or a newer release of its system (Amazon Linux 2, CentOS 7 and Ubuntu 18.04 have 7.4 to 7.6)",
            )
        self._refuse_blockers(facts, sshd)
        text = self._text(facts)
        if not self._is_read(sshd):
            self._refuse_forbidden(facts, sshd)
            return
        self._refuse_other_lines(sshd, text, facts.known(SshdEffective(USER, self.client_address)).get("port", ("",))[0])
        address = self.client_address or "127.0.0.1"
        check = ("sh", "-c", _ACCEPTS, "sshd-accepts", "{}", USER, address)
        for step in File(DROP_IN, text, "0600", check=check, then=taken_up(sshd)).plan(facts):
            yield replace(step, resource=self.id, risk=Risk.LOCKOUT)

    def notes(self, facts: Facts) -> Iterator[str]:
        if not self._is_read(facts.known(SshdState())):
            main = facts.known(SshdState()).config.main
            yield f"sshd reads no drop-ins here: only the options of the key limit it, and they do not close Unix sockets of the host to it ({main} has no Include)"

    def _text(self, facts: Facts) -> str:
        """With GatewayPorts as a tunnel of another client may need it: what is there is not narrowed."""
        found = facts[FileAt(DROP_IN)]
        there = isinstance(found, FileState) and _CLIENT_SPECIFIED in (found.content or b"").decode("utf-8", "replace")
        return self.text.replace("GatewayPorts no", _CLIENT_SPECIFIED) if there else self.text

    def _is_read(self, sshd: Sshd) -> bool:
        marked = sshd.config.with_file(DROP_IN, self.text)
        lines = marked.in_force("maxsessions", Peer(USER, (USER,)))
        losers = marked.ruling("maxsessions", Peer(USER, (USER,))).losers
        return any(line.file == DROP_IN for line in (*lines, *losers))

    def _context(self, facts: Facts, sshd: Sshd) -> LoginContext:
        peer = Peer(USER, (USER,), self.client_address)
        return LoginContext(peer, None, facts.known(SshdEffective(USER, self.client_address)), sshd.config, sshd.nologin)

    def _refuse_blockers(self, facts: Facts, sshd: Sshd) -> None:
        """Raises Refused where sshd would not let the user log in at all."""
        context = self._context(facts, sshd)
        found = list(to_everything(context))
        for keyword, shown, bad in (
            ("pubkeyauthentication", "PubkeyAuthentication", "no"),
            ("disableforwarding", "DisableForwarding", "yes"),
        ):
            if context.value(keyword) == bad:
                found.append(context.said(keyword, shown))
        shown = "PubkeyAcceptedAlgorithms" if sshd.version is None or sshd.version >= _ALGORITHMS else "PubkeyAcceptedKeyTypes"
        if not AuthorizedKey(_KIND).taken(context.effective.get("pubkeyacceptedalgorithms", ())):
            blocker = context.said("pubkeyacceptedalgorithms", shown)
            found.append(replace(blocker, fix=f"let {USER} show a key of the kind {_KIND}: {shown} +{_KIND}"))
        if found:
            is_list = any(blocker.text.startswith(("Allow", "Deny")) for blocker in found)
            fix = f"let {USER} in there, such as: AllowUsers … {USER}" if is_list else "change that line"
            raise Refused(
                f"sshd would not let {USER} log in, the user of tunnels",
                why="\n".join(map(str, found)),
                fix="; ".join(dict.fromkeys(blocker.fix or fix for blocker in found)),
            )

    def _refuse_forbidden(self, facts: Facts, sshd: Sshd) -> None:
        """Raises Refused where sshd reads no drop-in, and the rest of its configuration does not allow what the tunnel needs."""
        context = self._context(facts, sshd)

        def refused(what: str, keyword: str, shown: str, needed: str) -> Refused:
            why = f"{context.said(keyword, shown)}\n{sshd.config.main} includes no drop-ins, so novaops cannot override it."
            return Refused(what, why=why, fix=f"put this at its end: Match User {USER}, and below it: {shown} {needed}")

        if context.value("allowtcpforwarding") not in {"yes", "all", self.needs}:
            raise refused("sshd forwards no ports here", "allowtcpforwarding", "AllowTcpForwarding", "yes")
        ports = context.value("gatewayports")
        if self.listens and ports not in {"clientspecified", _value(self.text, "gatewayports")}:
            who = "everybody" if ports == "yes" else "this host alone"
            raise refused(f"GatewayPorts {ports} would open the tunnel's port to {who}", "gatewayports", "GatewayPorts", "clientspecified")
        for keyword, shown in (("permitopen", "PermitOpen"), ("permitlisten", "PermitListen")):
            if " ".join(context.effective.get(keyword, ("any",))) != "any":
                raise refused(f"{shown} of sshd shuts the tunnel's port out", keyword, shown, "any")
        methods = " ".join(context.effective.get("authenticationmethods", ("any",)))
        if methods != "any" and "publickey" not in methods.split():
            raise Refused("sshd asks for more than a key", why=str(context.said("authenticationmethods", "AuthenticationMethods")))

    def _refuse_other_lines(self, sshd: Sshd, text: str, port: str) -> None:
        peer = Peer(USER, (USER,), self.client_address, local_port=port)
        after = sshd.config.with_file(DROP_IN, text)
        for keyword in (*_DECIDING, *(("gatewayports",) if self.listens else ())):
            winner = after.ruling(keyword, peer).winner
            if winner is not None and winner.file != DROP_IN and winner.value.lower() not in {_value(text, keyword), "clientspecified"}:
                raise Refused(
                    f"another Match block comes before the one that novaops would write for {USER}",
                    why=f"{winner.keyword} {winner.value} ← {winner.where}",
                    fix=f"take {USER} out of it, or move it behind: Include /etc/ssh/sshd_config.d/*.conf",
                )


def _value(text: str, keyword: str) -> str:
    return next((line.split(None, 1)[1].lower() for line in lines_of(text) if line.strip().lower().startswith(f"{keyword} ")), "")


@dataclass(frozen=True)
class GatewaySshdRemoved(Resource):
    """No such drop-in, once no tunnel ends here any more."""

    yields_to_present: ClassVar[bool] = True

    @property
    def id(self) -> str:
        return "sshd:tunnels"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (SshdState(), FileAt(DROP_IN), AuthorizedKeys())

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts[FileAt(DROP_IN)] is Missing.ABSENT or facts.known(AuthorizedKeys()).content:
            return
        for step in File(DROP_IN, None, then=taken_up(facts.known(SshdState()))).plan(facts):
            yield replace(step, resource=self.id, risk=Risk.LOCKOUT)
