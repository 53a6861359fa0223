"""The configuration of sshd, read the way sshd reads it: which file and line a setting of a connection comes from.

sshd reads its files twice. At its start it applies the lines outside of Match blocks, and those of `Match all`. On each
connection it reads them again, and the lines of the blocks that match override the first ones. Both times the first line
that sets a keyword wins, and each file is read where it is included (sshd_config(5); in servconf.c parse_server_config_depth
and copy_set_server_options).

Where releases differ, the newer one is followed. Broken lines, and whatever else makes sshd refuse to start, are ignored: `sshd -t` on
the host reports them.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from novaops.formats.sshd_options import PLACE

_BLANKS = " \t\r\n"
_INCLUDES_DEEP = 16  # SERVCONF_MAX_DEPTH

_ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostdsakey": "hostkey",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "rsaminsize": "requiredrsasize",
    "keepalive": "tcpkeepalive",
    "gssapicleanupcreds": "gssapicleanupcredentials",
}

_AT_START = frozenset(
    """
    addressfamily ciphers compression debianbanner fingerprinthash gssapicleanupcredentials gssapidelegatecredentials gssapikexalgorithms
    gssapikeyexchange gssapistorecredentialsonrekey gssapistrictacceptorcheck hostcertificate hostkey hostkeyagent hostkeyalgorithms
    ignoreuserknownhosts kerberosgetafstoken kerberosorlocalpasswd kerberosticketcleanup kexalgorithms listenaddress logingracetime macs
    maxstartups modulifile pamservicename permituserenvironment persourcemaxstartups persourcenetblocksize persourcepenalties
    persourcepenaltyexemptlist pidfile port printlastlog printmotd securitykeyprovider sshdauthpath sshdsessionpath strictmodes
    syslogfacility tcpkeepalive usedns usepam versionaddendum xauthlocation
    """.split()  # noqa: SIM905 - a table of names is read without quotes
)
"""Keywords that no Match block can change: SSHCFG_GLOBAL. The exception is `Match all`, whose block sshd applies at its start."""

_ADDED_UP = frozenset(
    """
    acceptenv allowgroups allowusers denygroups denyusers hostcertificate hostkey listenaddress persourcepenalties port subsystem
    """.split()  # noqa: SIM905 - a table of names is read without quotes
)
_LAST_WINS = frozenset({"fingerprinthash", "streamlocalbindmask"})
_RAW = frozenset({"authorizedkeyscommand", "authorizedprincipalscommand", "forcecommand", "versionaddendum"})
"""Their value is the rest of the line, quotes and # included."""

_DECIDES_LOGINS = frozenset({"authenticationmethods", "kbdinteractiveauthentication", "passwordauthentication", "permitrootlogin"})

_Criteria = tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """The connection in question. An empty field matches nothing, except that `host` defaults to the address."""

    user: str
    groups: tuple[str, ...] = ()
    address: str = ""
    host: str = ""
    local_address: str = ""
    local_port: str = ""
    user_exists: bool = True


@dataclass(frozen=True)
class Setting:
    """One line: its keyword in lower case and by its current name, its arguments unquoted and joined by single blanks."""

    keyword: str
    value: str
    file: str
    line: int

    @property
    def where(self) -> str:
        return PLACE if self.file == PLACE else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Ruling:
    """The line that a value comes from, and the other lines that apply to the connection but have no effect, in reading order."""

    winner: Setting | None
    losers: tuple[Setting, ...]


@dataclass(frozen=True)
class SshdConfig:
    """The files of a host: absolute path → text. A file that `Include` names and that is not among them does not exist."""

    files: Mapping[str, str]
    main: str = "/etc/ssh/sshd_config"
    options: str = ""
    """What stands before all files: the lines that sshd got by -o."""

    def ruling(self, keyword: str, peer: Peer) -> Ruling:
        """For a keyword whose lines add up (AllowUsers, Port, …) the winner is the first of several: see `in_force`."""
        applying, deciding = self._judge(keyword, peer)
        return Ruling(next(iter(deciding), None), tuple(setting for setting in applying if setting not in deciding))

    def in_force(self, keyword: str, peer: Peer) -> tuple[Setting, ...]:
        """All lines that contribute to the value: at most one, unless the lines of the keyword add up."""
        return self._judge(keyword, peer)[1]

    def possible(self, keyword: str, peer: Peer) -> tuple[Setting, ...]:
        """The lines that decide for a login of this user from one address or another: where it comes from is left open."""
        name = _present_name(keyword)
        lines = [(setting, blocks) for setting, blocks in _read(self) if setting.keyword == name]
        found: dict[Setting, None] = {}
        for setting, blocks in lines:
            holds = [_may_hold(criteria, peer) for criteria in blocks]
            if blocks and False not in holds:
                found[setting] = None
                if None not in holds:
                    return tuple(found)
        outside = next((setting for setting, blocks in lines if not blocks), None)
        return (*found, outside) if outside else tuple(found)

    def with_file(self, path: str, text: str | None) -> SshdConfig:
        """The same with `text` at `path`; None removes the file."""
        others = {other: content for other, content in self.files.items() if other != path}
        return replace(self, files=others if text is None else {**others, path: text})

    def includes_early(self, path: str) -> bool:
        """Whether a file at `path` is read in time to decide about logins.

        It must be included outside every Match, before any Match block and before any line that sets one of the four keywords in
        question, in whatever file these stand. Whether there is such a file yet does not matter, nor what options say: blocks override it.
        """
        marked = replace(self, options="").with_file(path, "PasswordAuthentication no")
        deciding = (setting for setting, _ in _read(marked) if setting.keyword in {"match", *_DECIDES_LOGINS})
        return path != self.main and next((setting.file == path for setting in deciding), False)

    def _judge(self, keyword: str, peer: Peer) -> tuple[tuple[Setting, ...], tuple[Setting, ...]]:
        """The lines of `keyword` that apply to `peer`, and those of them that decide. Lines of a file included twice count once."""
        name = _present_name(keyword)
        lines = [(setting, blocks) for setting, blocks in _read(self) if setting.keyword == name]
        at_start = dict.fromkeys(setting for setting, blocks in lines if all(map(_is_all, blocks)))
        in_blocks = [] if name in _AT_START else [(setting, blocks) for setting, blocks in lines if blocks]
        matched = dict.fromkeys(setting for setting, blocks in in_blocks if all(_holds(criteria, peer) for criteria in blocks))
        applying = tuple(dict.fromkeys(setting for setting, _ in lines if setting in at_start or setting in matched))
        deciding = tuple(matched or at_start)
        if name == "subsystem":
            first = {setting.value.split(" ")[0]: setting for setting in reversed((*matched, *at_start))}
            deciding = tuple(setting for setting in applying if setting in first.values())
        elif name in _LAST_WINS:
            deciding = deciding[-1:]
        elif name not in _ADDED_UP:
            deciding = deciding[:1]
        return applying, deciding


def _read(config: SshdConfig) -> Iterator[tuple[Setting, tuple[_Criteria, ...]]]:
    """Every line in the order sshd reads them, with the Match lines that must all hold for it to count.

    Reading ends where files include each other too deeply, as in sshd.
    """
    with suppress(RecursionError):
        yield from _read_file({PLACE: config.options}, PLACE, (), 0)
        yield from _read_file(config.files, config.main, (), 0)


def _read_file(
    files: Mapping[str, str], path: str, outer: tuple[_Criteria, ...], depth: int
) -> Iterator[tuple[Setting, tuple[_Criteria, ...]]]:
    if depth > _INCLUDES_DEEP:
        raise RecursionError
    blocks = outer
    for number, line in enumerate(files.get(path, "").split("\n"), 1):
        keyword, rest = _keyword(line)
        arguments = _arguments(rest)
        if not keyword or arguments is None:
            continue
        value = rest if keyword in _RAW else " ".join(arguments)
        if value:
            yield Setting(keyword, value, path, number), blocks
        if keyword == "match":
            blocks = (*outer, arguments)
        elif keyword == "include":
            for file in (file for pattern in arguments for file in _included(files, pattern)):
                yield from _read_file(files, file, blocks, depth + 1)


def _included(files: Iterable[str], pattern: str) -> list[str]:
    """The files that one argument of Include matches, sorted by their bytes. "~" is not a home directory here."""
    if pattern.startswith("~"):
        return []
    wanted = posixpath.normpath(posixpath.join("/etc/ssh", pattern)).split("/")
    return sorted((path for path in files if _same_path(path.split("/"), wanted)), key=_octets)


def _present_name(keyword: str) -> str:
    return _ALIASES.get(keyword.lower(), keyword.lower())


def _keyword(line: str) -> tuple[str, str]:
    """A line's keyword, and the rest of the line; empty for a comment or an empty line."""
    keyword, rest = _word(line.lstrip(_BLANKS).rstrip(_BLANKS + "\f"))
    if not keyword:
        keyword, rest = _word(rest)
    return ("", "") if keyword.startswith("#") else (_present_name(keyword), rest)


def _word(text: str) -> tuple[str, str]:
    """The first word, which may be quoted, and what follows the blanks or the one "=" after it (misc.c: strdelim)."""
    plain = re.split(r'[ \t\r\n"=]', text, maxsplit=1)[0]
    end, rest = text[len(plain) : len(plain) + 1], text[len(plain) + 1 :]
    if end == '"':
        quoted, _, rest = rest.partition('"')
        return plain + quoted, rest.lstrip(_BLANKS)
    rest = rest.lstrip(_BLANKS)
    if end != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_BLANKS)
    return plain, rest


_DOUBLE, _SINGLE = r'''"((?:\\['"\\]|[^"])*+)"''', r"""'((?:\\['"\\]|[^'])*+)'"""
_QUOTED = re.compile(rf"""\\(['"\\ ])|{_DOUBLE}|{_SINGLE}""")
_ARGUMENT = re.compile(rf"""(?:\\['"\\ ]|{_DOUBLE}|{_SINGLE}|[^ \t"'])++""")


def _arguments(text: str) -> tuple[str, ...] | None:
    """The words of `text` without their quotes, up to a comment; None when a quote is left open (misc.c: argv_split)."""
    found = []
    while (text := text.lstrip(" \t")) and not text.startswith("#"):
        word = _ARGUMENT.match(text)
        if word is None:
            return None
        found.append(_QUOTED.sub(lambda quoted: quoted[1] or re.sub(r"""\\(['"\\])""", r"\1", quoted[2] or quoted[3] or ""), word[0]))
        text = text[word.end() :]
    return tuple(found)


def _is_all(criteria: _Criteria) -> bool:
    return [word.lower() for word in criteria] == ["all"]


def _holds(criteria: _Criteria, peer: Peer) -> bool:
    """Whether the arguments of a Match line all hold for `peer`. A criterion that is not known here (rdomain, version, …) does not hold."""
    if _is_all(criteria):
        return True
    return all(_criterion_holds(name, patterns, peer) for name, patterns in _pairs(criteria))


def _may_hold(criteria: _Criteria, peer: Peer) -> bool | None:
    """The same, where only the user is known; None: for some connections of that user."""
    if _is_all(criteria):
        return True
    pairs = list(_pairs(criteria))
    of_user = [_criterion_holds(name, patterns, peer) for name, patterns in pairs if name in {"user", "group", "invalid-user"}]
    return False if not all(of_user) else True if len(of_user) == len(pairs) else None


def _pairs(criteria: _Criteria) -> Iterator[tuple[str, str]]:
    """The name and the patterns of each criterion of a Match line."""
    words = iter(criteria)
    for word in words:
        name, _, patterns = word.partition("=")
        if name.lower() != "invalid-user":
            patterns = patterns or next(words, "")
            if patterns.startswith("="):
                patterns = patterns[1:] or next(words, "")
        yield name.lower(), patterns


def _criterion_holds(name: str, patterns: str, peer: Peer) -> bool:
    match name:
        case "invalid-user":
            return not peer.user_exists
        case "user":
            return listed([peer.user], patterns)
        case "group":
            return peer.user_exists and listed(peer.groups, patterns)
        case "host":
            return listed([(peer.host or peer.address).lower()], patterns.lower())
        case "address":
            return listed([peer.address], patterns, covers)
        case "localaddress":
            return listed([peer.local_address], patterns, covers)
        case "localport":
            return patterns.lstrip("0") == str(peer.local_port)
    return False


def listed(names: Iterable[str], patterns: str, matches: Callable[[str, str], bool] | None = None) -> bool:
    """Whether a pattern matches one of `names`, and no pattern with a "!" matches any (PATTERNS in ssh_config(5))."""
    matches = matches or _matches
    hits = [part.startswith("!") for part in patterns.split(",") for name in names if name and matches(name, part.removeprefix("!"))]
    return bool(hits) and not any(hits)


def _matches(name: str, pattern: str) -> bool:
    """Only "*" and "?" are wildcards, and "?" is one byte (match.c: match_pattern)."""
    return fnmatch.fnmatchcase(_octets(name), _octets(pattern.replace("[", "[[]")))


def covers(address: str, pattern: str) -> bool:
    """Whether `pattern`, an address, a network or a text with wildcards, matches (addrmatch.c). fe80::/10 does not match fe80::1%eth0."""
    base, slash, bits = pattern.partition("/")
    try:
        mine = ipaddress.ip_address(address)
    except ValueError:
        return False
    try:
        theirs = ipaddress.ip_address(base)
        outside = mine.max_prefixlen - int(bits) if slash else 0
        network = int(theirs) >> outside
    except ValueError:
        return _matches(address, pattern)
    same_kind = mine.version == theirs.version and getattr(mine, "scope_id", None) == getattr(theirs, "scope_id", None)
    return same_kind and network << outside == int(theirs) and int(mine) >> outside == network


def _same_path(path: list[str], wanted: list[str]) -> bool:
    """Whether a path matches a pattern as in glob(3); both are split at "/"."""
    return len(path) == len(wanted) and all(map(_takes, path, wanted))


def _takes(name: str, pattern: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    plain = re.sub(r"\\(.)", lambda escaped: f"[{escaped[1]}]" if escaped[1] in "*?[" else escaped[1], pattern)
    return fnmatch.fnmatchcase(_octets(name), _octets(plain))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
