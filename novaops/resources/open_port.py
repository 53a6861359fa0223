"""A TCP or UDP port that is open to everybody in the host's firewall. The firewall of a cloud, in front of the host, is not covered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall, FirewallFacts, Zone
from novaops.formats.iptables import Protocol, Ruleset, Verdict, accepting
from novaops.model.action import Action, Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import rewrite
from novaops.resources.firewall_at_boot import LOADERS, boot_questions, notes_of_tables, refuse_asleep, starts, ufw_at_boot, ufw_is_loaded
from novaops.shell import join, quote

SAVED = {
    "iptables": ("/etc/iptables/rules.v4", "/etc/sysconfig/iptables"),
    "ip6tables": ("/etc/iptables/rules.v6", "/etc/sysconfig/ip6tables"),
}
"""The files that LOADERS read at boot."""

_INSERT = """\
program=$1 chain=$2 before=$3; shift 3
[ -n "$before" ] || exec "$program" -w 10 -A "$chain" "$@"
number=$("$program" -w 10 -S "$chain" | grep '^-A ' | grep -n -F -x -e "$before" | head -n 1 | cut -d : -f 1)
[ -n "$number" ] || { echo "the rule is gone since it was looked at: $before"; exit 1; }
exec "$program" -w 10 -I "$chain" "$number" "$@"
"""
"""The number of the rule `before` is looked up at the insertion: numbers may have changed since the probe."""

_TEST = '"$1" --test <"$2"'

_BOTH = """\
firewall-cmd -q --permanent --zone="$1" "--$2-port=$3" || exit
firewall-cmd -q --zone="$1" "--$2-port=$3"
"""

_Pair = tuple[Change, Action]


@dataclass(frozen=True)
class OpenPort(Resource):
    port: int
    protocol: Protocol = "tcp"

    @property
    def id(self) -> str:
        return f"port:{self._shown}"

    @property
    def _shown(self) -> str:
        """The number alone for TCP."""
        return str(self.port) if self.protocol == "tcp" else self._name

    @property
    def _name(self) -> str:
        return f"{self.port}/{self.protocol}"

    def questions(self) -> Iterable[Question[Any]]:
        yield Firewall()
        yield from (FileAt(path) for paths in SAVED.values() for path in paths)
        yield from boot_questions()

    def plan(self, facts: Facts) -> Iterable[Step]:
        firewall = facts.known(Firewall())
        refuse_asleep(self.port, self.protocol, firewall, facts)
        self._refuse_led_away(firewall)
        if firewall.zone is not None:
            pairs = list(self._firewalld(firewall.zone))
        elif ufw_is_loaded(firewall):
            pairs = list(self._ufw(firewall, facts))
        else:
            pairs = [pair for program, text in firewall.rules.items() for pair in self._iptables(program, Ruleset(text), facts)]
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, action in pairs))

    def notes(self, facts: Facts) -> Iterator[str]:
        firewall = facts.known(Firewall())
        for unread in firewall.unread:
            yield f"whether port {self._shown} is open could not be told in full: {unread}"
        for table in firewall.tables:
            if not any(first <= self.port <= last for first, last in (table.accepts if self.protocol == "tcp" else table.accepts_udp)):
                rule = f"nft insert rule {table.name} {table.chain} {self.protocol} dport {self.port} accept"
                yield (
                    f"the nftables table {table.name} turns away what it does not name, and port {self._shown} is not named: it is not"
                    f" novaops' own, and left as it is. {rule} opens the port; so does that rule in the file it is loaded from"
                )
        for program, text in firewall.rules.items():
            ours = any(rule.text == join(accepting(self.port, rule.chain, self.protocol)) for rule in Ruleset(text).rules)
            if ours:
                yield from self._lost_at_boot(program, facts)
        yield from notes_of_tables(self.port, self.protocol, firewall, facts)

    def _refuse_led_away(self, firewall: FirewallFacts) -> None:
        """Raises Refused where what comes to the port goes elsewhere. What the host itself asks does not pass those rules, and so proves nothing."""
        rules = [
            f"{program}: {rule.text}"
            for program, text in firewall.rules.items()
            for rule in Ruleset(text, "nat").led_away(self.port, self.protocol)
        ]
        rules += [
            f"a rule of nftables in {one.place}"
            for one in firewall.away
            if any(first <= self.port <= last for first, last in (one.tcp if self.protocol == "tcp" else one.udp))
        ]
        if rules:
            raise Refused(
                f"what comes to port {self._shown} from elsewhere is led on by {rules[0]}",
                why="Nobody but the host itself would reach what listens at the port.",
                fix="take that rule away, where nobody needs it any more, or choose another port",
            )

    # -- iptables itself --------------------------------------------------------------------------------------------------

    def _iptables(self, program: str, now: Ruleset, facts: Facts) -> Iterator[_Pair]:
        verdict = now.verdict(self.port, self.protocol)
        if not verdict.accepted:
            self._refuse_deliberate(program, verdict)
            rule = accepting(self.port, verdict.chain, self.protocol)
            yield Change(f"{program} {verdict.chain}", verdict.place, f"{join(rule)} before it"), self._insert(program, rule, verdict)
        for path, file in saved(program, facts):
            at_boot = Ruleset((file.content or b"").decode("utf-8", "surrogateescape"))
            then = at_boot.verdict(self.port, self.protocol)
            if then.accepted:
                continue
            self._refuse_deliberate(path, then)
            line = join(accepting(self.port, then.chain, self.protocol))
            new = at_boot.with_rule(line, then).encode("utf-8", "surrogateescape")
            yield Change(path, then.place, f"{line} before it"), write(program, path, file, new)

    def _lost_at_boot(self, program: str, facts: Facts) -> Iterator[str]:
        gone = f"the rule of {program} for port {self._shown} is gone after a boot"
        paths = [path for path, _ in saved(program, facts)]
        if not paths:
            yield f"{gone}: nothing on the host puts it back (iptables-persistent does)"
        elif not any(starts(LOADERS[path], facts) for path in paths):
            yield f"{gone}: it is in {paths[0]}, but {LOADERS[paths[0]]}, which loads that file, is not enabled"

    def _refuse_deliberate(self, where: str, verdict: Verdict) -> None:
        """Raises Refused when the rule that closes the port names it."""
        if verdict.rule is not None and verdict.rule.is_about_a_port:
            raise Refused(
                f"somebody has closed port {self._shown} in {where}: {verdict.rule.text}",
                why="A rule that names the port is there on purpose. It is neither removed nor outdone.",
                fix="remove it, where nobody needs it any more",
            )

    def _insert(self, program: str, rule: tuple[str, ...], verdict: Verdict) -> Command:
        _, chain, *specification = rule
        there = f"{program} -w 10 -C {chain} {join(specification)} 2>/dev/null"
        delete = Command((program, "-w", "10", "-D", chain, *specification), holds=f"! {there}")
        before = "" if verdict.rule is None else verdict.rule.text
        return Command(("sh", "-c", _INSERT, "insert-rule", program, chain, before, *specification), holds=there, undo=delete)

    # -- what keeps iptables for somebody ---------------------------------------------------------------------------------

    def _ufw(self, firewall: FirewallFacts, facts: Facts) -> Iterator[_Pair]:
        """By the command ufw, which places its rules, saves them for the next boot, and can remove them."""
        verdicts = [Ruleset(text).verdict(self.port, self.protocol) for text in firewall.rules.values()]
        at_boot = ufw_at_boot(self.port, self.protocol, facts)
        shut = [verdict for verdict in (*verdicts, at_boot) if verdict is not None and not verdict.accepted]
        for verdict in shut:
            self._refuse_deliberate("ufw", verdict)
        if not shut:
            return
        name = self._name
        there = f"ufw show added | grep -q -E {quote(f'^ufw allow {name}( |$)')}"
        delete = Command(("ufw", "delete", "allow", name), holds=f"! {there}")
        yield Change("ufw", None, f"allow {name}"), Command(("ufw", "allow", name, "comment", "novaops"), holds=there, undo=delete)

    def _firewalld(self, zone: Zone) -> Iterator[_Pair]:
        if zone.accepts_all or (_within(self, zone.open_now) and _within(self, zone.open_at_boot)):
            return
        name = self._name
        asked = (f"firewall-cmd -q {when}--zone={quote(zone.name)} --query-port={name}" for when in ("--permanent ", ""))
        there = " && ".join(asked)
        gone = f"! firewall-cmd -q --permanent --zone={quote(zone.name)} --query-port={name}"
        script = ("sh", "-c", _BOTH, "firewalld", zone.name)
        close = Command((*script, "remove", name), holds=gone)
        yield (
            Change(f"firewalld zone {zone.name}", None, f"{name}, now and at boot"),
            Command((*script, "add", name), holds=there, undo=close),
        )


def saved(program: str, facts: Facts) -> Iterator[tuple[str, FileState]]:
    """The files of SAVED that are there."""
    for path in SAVED[program]:
        file = facts[FileAt(path)]
        if file is not Missing.ABSENT and file.is_regular and file.content is not None:
            yield path, file


def write(program: str, path: str, file: FileState, content: bytes) -> WriteFile:
    """Write such a file, after `program` has checked the new content."""
    check = ("sh", "-c", _TEST, "test", f"{program}-restore", "{}")
    return rewrite(path, file, content, check=check)


def _within(one: OpenPort, opened: Iterable[str]) -> bool:
    spans = (span.partition("-") for span, _, protocol in (name.partition("/") for name in opened) if protocol == one.protocol)
    return any(int(first) <= one.port <= int(last or first) for first, _, last in spans)
