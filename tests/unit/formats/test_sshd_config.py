"""sshd's configuration: the line that a value comes from, by tables and by what the machine's own sshd says."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novaops.formats.sshd_config import Peer, SshdConfig

SSHD = Path("/usr/sbin/sshd")
CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "sshd_config" / "rulings.yaml").read_text("utf-8"))
MAIN = "/etc/ssh/sshd_config"
ROOT = Peer("root", ("root",), "192.0.2.7", local_address="192.0.2.1", local_port="22")

needs_sshd = pytest.mark.skipif(
    not SSHD.exists() or os.geteuid() != 0, reason="asks the machine's own sshd: needs /usr/sbin/sshd, and root"
)


def config(files: Mapping[str, str]) -> SshdConfig:
    return SshdConfig({f"/etc/ssh/{name}": text for name, text in files.items()})


def one(text: str, peer: Peer = ROOT, keyword: str = "maxauthtries") -> str | None:
    """The value of the winner in a main file of `text`."""
    winner = SshdConfig({MAIN: text}).ruling(keyword, peer).winner
    return winner.value if winner else None


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_which_lines_win_and_lose(case: dict[str, Any]) -> None:
    sshd_config = config(case["files"])
    ruling = sshd_config.ruling(case["keyword"], ROOT)
    winner, losers, force = ruling.winner, ruling.losers, sshd_config.in_force(case["keyword"], ROOT)
    names = [f"/etc/ssh/{place}" for place in case.get("force", [case["winner"]] if "winner" in case else [])]
    assert [setting.where for setting in force] == names
    assert (winner.where if winner else None) == (f"/etc/ssh/{case['winner']}" if "winner" in case else None)
    assert [setting.where for setting in losers] == [f"/etc/ssh/{place}" for place in case.get("losers", [])]
    if "value" in case:
        assert winner
        assert winner.value == case["value"]


@needs_sshd
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if case.get("sshd", True)])
def test_sshd_says_the_same_of_each_case(case: dict[str, Any]) -> None:
    keyword = "kbdinteractiveauthentication" if case["keyword"].startswith("Challenge") else case["keyword"].lower()
    assert told(config(case["files"]), ROOT, keyword) == effective(config(case["files"]), ROOT)[keyword]


BLOCKS = (
    "User bob",
    "User *,!bob",
    "Group staff",
    "Address 192.0.2.0/24",
    "Address *,!10.0.0.0/8 User bob",
    "LocalPort 2222",
    "all",
    "Host x*",
)


@given(
    st.lists(
        st.one_of(st.sampled_from([f"Match {block}" for block in BLOCKS]), st.integers(1, 9).map("MaxAuthTries {}".format)), max_size=9
    ),
    st.sampled_from(["bob", "ana"]),
    st.sampled_from(["192.0.2.7", "10.1.2.3", "2001:db8::1"]),
    st.sampled_from(["22", "2222"]),
)
def test_what_decides_from_somewhere_is_among_what_may(lines: list[str], user: str, address: str, port: str) -> None:
    read = SshdConfig({MAIN: "\n".join(lines)})
    peer = Peer(user, ("staff",) if user == "bob" else (), address, local_port=port)
    winner = read.ruling("maxauthtries", peer).winner
    may = read.possible("maxauthtries", Peer(user, peer.groups))
    assert winner is None or winner in may


@pytest.mark.parametrize(
    ("text", "user", "lines"),
    [
        ("MaxAuthTries 1\nMaxAuthTries 2\nMatch Address 10.0.0.0/8\nMaxAuthTries 3", "bob", [4, 1]),
        ("MaxAuthTries 1\nMatch User bob\nMaxAuthTries 2\nMatch Address 10.0.0.0/8\nMaxAuthTries 3", "bob", [3]),
        ("MaxAuthTries 1\nMatch User bob Address 10.0.0.0/8\nMaxAuthTries 2\nMatch all\nMaxAuthTries 3", "bob", [3, 5]),
        ("MaxAuthTries 1\nMatch User bob Address 10.0.0.0/8\nMaxAuthTries 2", "ana", [1]),
        ("Match Group staff,!wheel LocalPort 22\nMaxAuthTries 2", "bob", [2]),
    ],
)
def test_what_may_decide_for_a_user_wherever_he_comes_from(text: str, user: str, lines: list[int]) -> None:
    may = SshdConfig({MAIN: text}).possible("MaxAuthTries", Peer(user, ("staff",)))
    assert [setting.line for setting in may] == lines


ELSEWHERE = Peer("bob", ("staff", "wheel"), "10.1.2.3", "Gate.Example.org", "2001:db8::1", "2222")
ZONED = Peer("bob", address="fe80::1%eth0")
GHOST = Peer("ghost", ("staff",), user_exists=False)


@pytest.mark.parametrize(
    ("criteria", "peer", "holds"),
    [
        ("all", ROOT, True),
        ("ALL", ROOT, True),
        ("all user root", ROOT, False),
        ("user root all", ROOT, False),
        ("user root", ROOT, True),
        ("USER root", ROOT, True),
        ("User Root", ROOT, False),
        ("user=root", ROOT, True),
        ("user = root", ROOT, True),
        ("user= root", ROOT, True),
        ("user =root", ROOT, True),
        ('user "root"', ROOT, True),
        ("user root # really", ROOT, True),
        ("user bob,root", ROOT, True),
        ("user bob,,root", ROOT, True),
        ("user *,!root", ROOT, False),
        ("user !root,*", ROOT, False),
        ("user !root", ROOT, False),
        ("user !root", ELSEWHERE, False),
        ("user *,!root", ELSEWHERE, True),
        ("user r??t", ROOT, True),
        ("user r?t", ROOT, False),
        ("user r*", ROOT, True),
        ("user [r]oot", ROOT, False),
        ("user ?", Peer("é"), False),
        ("user ??", Peer("é"), True),
        ("user caf\udce9", Peer("caf\udce9"), True),
        ("user caf\udce9", Peer("caf\udcea"), False),
        ("user", ROOT, False),
        ('user ""', Peer(""), False),
        ("user root,", Peer(""), False),
        ("group wheel", ELSEWHERE, True),
        ("group wheel,!staff", ELSEWHERE, False),
        ("group wheel,!other", ELSEWHERE, True),
        ("group root", ELSEWHERE, False),
        ("group staff", GHOST, False),
        ("invalid-user", GHOST, True),
        ("invalid-user user ghost", GHOST, True),
        ("invalid-user user root", GHOST, False),
        ("invalid-user", ROOT, False),
        ("host gate.*", ELSEWHERE, True),
        ("host GATE.*,!*.com", ELSEWHERE, True),
        ("host 192.0.2.*", ROOT, True),
        ("host *", Peer("root"), False),
        ("address 192.0.2.7", ROOT, True),
        ("address 192.0.2.0/24", ROOT, True),
        ("address 192.0.2.0/24,!192.0.2.7", ROOT, False),
        ("address !192.0.2.7,192.0.2.0/24", ROOT, False),
        ("address *,!10.0.0.0/8", ROOT, True),
        ("address 192.0.2.*", ROOT, True),
        ("address 192.0.2.1?", ROOT, False),
        ("address 192.0.2.7/24", ROOT, False),
        ("address 192.0.2.0/255.255.255.0", ROOT, False),
        ("address 192.0.2.0/33", ROOT, False),
        ("address 192.0.2.7/", ROOT, False),
        ("address 0.0.0.0/0", ROOT, True),
        ("address ::/0", ROOT, False),
        ("address 0.0.0.0/0", ELSEWHERE, True),
        ("address *", Peer("root"), False),
        ("address *", Peer("root", address="somewhere"), False),
        ("address fe80::/10", ZONED, False),
        ("address fe80::1%eth0", ZONED, True),
        ("address fe80:0::1", Peer("root", address="fe80::1"), True),
        ("localaddress 2001:DB8::/32", ELSEWHERE, True),
        ("localaddress 10.1.2.3", ELSEWHERE, False),
        ("localport 2222", ELSEWHERE, True),
        ("localport 02222", ELSEWHERE, True),
        ("localport 22", ELSEWHERE, False),
        ("localport 22", Peer("root"), False),
        ("user root address 192.0.2.7 localport 22", ROOT, True),
        ("user root address 192.0.2.8 localport 22", ROOT, False),
        ("user root rdomain *", ROOT, False),
        ("version *", ROOT, False),
        ("moon full", ROOT, False),
    ],
)
def test_a_match_holds(criteria: str, peer: Peer, *, holds: bool) -> None:
    assert (one(f"Match {criteria}\nMaxAuthTries 1\n", peer) == "1") is holds


def test_a_setting_says_where_it_stands() -> None:
    setting = config({"sshd_config": "Port 22\nMatch User root\n\tX11Forwarding  yes  \n"}).ruling("X11forwarding", ROOT).winner
    assert setting
    assert vars(setting) == {"keyword": "x11forwarding", "value": "yes", "file": MAIN, "line": 3}
    assert setting.where == f"{MAIN}:3"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ForceCommand = a", "a"),
        ("ForceCommand=a =", "a ="),
        ("ForceCommand == a", "= a"),
        ("ForceCommand== a", "= a"),
        ('ForceCommand "a', None),
        (r"Banner 'a\' b", None),
        ('Banner a"b', None),
        (r'Banner "a\"b\\c\d" ', r'a"b\c\d'),
        (r"Banner a\ b\'c", "a b'c"),
        (r'Banner "a\ b"', r"a\ b"),
        (r"Banner 'a\'b'", "a'b"),
        (r'Banner "a\" b', None),
        ("Banner a#b #c", "a#b"),
        ("Banner a\f", "a"),
        ("Banner caf\udce9", "caf\udce9"),
    ],
)
def test_a_value_loses_its_quotes(line: str, value: str | None) -> None:
    assert one(line, keyword=line.partition(" ")[0].partition("=")[0]) == value


def test_a_file_is_put_there_and_taken_away() -> None:
    before = config({"sshd_config": "Include sshd_config.d/*.conf\nMaxAuthTries 2\n"})
    path = "/etc/ssh/sshd_config.d/10-a.conf"
    after = before.with_file(path, "MaxAuthTries 1\n")
    assert [found.winner.where for found in (after.ruling("maxauthtries", ROOT),) if found.winner] == [f"{path}:1"]
    assert after.with_file(path, None) == before
    assert before.with_file(path, None) == before


@pytest.mark.parametrize(
    ("main", "siblings", "early"),
    [
        ("Include /etc/ssh/sshd_config.d/*.conf\n", {}, True),
        ("Include sshd_config.d/50-ours.conf\nPasswordAuthentication no\n", {}, True),
        ("Port 22\nHostKey /a\nUsePAM yes\nInclude sshd_config.d/*\n", {}, True),
        ("Include first.conf\nInclude sshd_config.d/*\n", {"first.conf": "Port 22\n"}, True),
        ("Include first.conf\n", {"first.conf": "Include sshd_config.d/*\n"}, True),
        ("Include sshd_config.d/*.conf\n", {"sshd_config.d/60-later.conf": "PasswordAuthentication yes\n"}, True),
        ("Include sshd_config.d/*.conf\n", {"sshd_config.d/50-ours.conf": "Port 22\n"}, True),
        ("Include sshd_config.d/*.conf\n", {"sshd_config.d/10-first.conf": "PermitRootLogin yes\n"}, False),
        ("Include sshd_config.d/*.conf\n", {"sshd_config.d/10-first.conf": "Match User git\nMaxAuthTries 1\n"}, False),
        ("Include first.conf\nInclude sshd_config.d/*\n", {"first.conf": "PasswordAuthentication no\n"}, False),
        ("PasswordAuthentication no\nInclude sshd_config.d/*.conf\n", {}, False),
        ("ChallengeResponseAuthentication no\nInclude sshd_config.d/*.conf\n", {}, False),
        ("PermitRootLogin no\nInclude sshd_config.d/*.conf\n", {}, False),
        ("AuthenticationMethods any\nInclude sshd_config.d/*.conf\n", {}, False),
        ("Match all\nInclude sshd_config.d/*.conf\n", {}, False),
        ("#Include sshd_config.d/*.conf\n", {}, False),
        ("Include sshd_config.d/*.cfg\n", {}, False),
        ("", {}, False),
    ],
)
def test_a_drop_in_is_read_in_time(main: str, siblings: dict[str, str], *, early: bool) -> None:
    assert config({"sshd_config": main, **siblings}).includes_early("/etc/ssh/sshd_config.d/50-ours.conf") is early


def test_the_main_file_is_no_drop_in() -> None:
    assert not config({"sshd_config": "Port 22\n"}).includes_early(MAIN)


SIGNS = st.text(st.sampled_from("aA1 \t\r\n\f\0\"'\\#=,!*?[]/.:%~-\x85\u2028é\udcff"), max_size=12)
WORDS = SIGNS | st.sampled_from(
    ["user", "address", "localport", "invalid-user", "all", "/etc/ssh/*", "a", "1.2.3.4/", "9" * 5000, "[z-a]", "::/-1"]
)
STARTS = SIGNS | st.sampled_from(["Match", "Match address", "Match localport", "Include", "Port", "a"])
BROKEN = st.lists(st.builds("{} {}".format, STARTS, st.lists(WORDS, max_size=3).map(" ".join)), max_size=5).map("\n".join)


@given(BROKEN, BROKEN, SIGNS)
@example("Match address 1.2.3.4/", "", "")
@example("Include /etc/ssh/*", "", "")
@settings(max_examples=50)
def test_nothing_in_a_file_is_too_broken_to_be_read(main: str, other: str, keyword: str) -> None:
    sshd_config = config({"sshd_config": f"{main}\na 1", "a": other, "d/\udce9[": other})
    for name in (keyword, "port", "a"):
        sshd_config.ruling(name, ROOT)
    sshd_config.includes_early("/etc/ssh/b")


@functools.cache
def host_key() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="novaops-sshd-"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return folder / "key"


@pytest.fixture(scope="module", autouse=True)
def no_key_is_left() -> Any:
    yield
    if host_key.cache_info().currsize:
        shutil.rmtree(host_key().parent)


def effective(sshd_config: SshdConfig, peer: Peer) -> dict[str, list[str]]:
    """What `sshd -T` says: keyword → the words of its lines. The files lie elsewhere for that, and so do the paths in them."""
    key = host_key()
    with tempfile.TemporaryDirectory(prefix="novaops-sshd-") as root:
        for path, text in sshd_config.files.items():
            file = Path(path.replace("/etc/ssh", root, 1))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.replace("/etc/ssh", root).encode("utf-8", "surrogateescape"))
        asked = {
            "user": peer.user,
            "host": peer.host or peer.address,
            "addr": peer.address,
            "laddr": peer.local_address,
            "lport": peer.local_port,
        }
        words = [
            str(SSHD),
            "-T",
            "-h",
            str(key),
            "-f",
            f"{root}/sshd_config",
            "-C",
            ",".join(f"{name}={value}" for name, value in asked.items()),
        ]
        done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    told: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").replace(root, "/etc/ssh").splitlines():
        keyword, _, value = line.partition(" ")
        told.setdefault(keyword, []).extend(value.split())
    return {keyword: shown(values) for keyword, values in told.items()}


def shown(values: list[str]) -> list[str]:
    """Each value once, and two names of one thing as one."""
    return list(dict.fromkeys("without-password" if value == "prohibit-password" else value for value in values))


@functools.cache
def defaults() -> dict[str, list[str]]:
    return effective(SshdConfig({MAIN: ""}), ROOT)


def told(sshd_config: SshdConfig, peer: Peer, keyword: str) -> list[str]:
    """The value by the lines that were found to be in force."""
    force = sshd_config.in_force(keyword, peer)
    return shown([word for setting in force for word in setting.value.split()]) if force else defaults().get(keyword, [])


def local(user: str, address: str, host: str, port: str) -> Peer:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return Peer(user, (), address, host, "192.0.2.1", port, user_exists=False)
    groups = tuple(grp.getgrgid(number).gr_name for number in os.getgrouplist(user, entry.pw_gid))
    return Peer(user, groups, address, host, "192.0.2.1", port)


PEERS = st.builds(
    local,
    st.sampled_from(["root", "daemon", "nobody", "ghost"]),
    st.sampled_from(["192.0.2.7", "10.1.2.3", "2001:db8::7", "::1"]),
    st.sampled_from(["", "gate.example.org", "Other.example.com"]),
    st.sampled_from(["22", "2222"]),
)
VALUES = {
    "PasswordAuthentication": ["yes", "no"],
    "KbdInteractiveAuthentication": ["yes", "no"],
    "ChallengeResponseAuthentication": ["yes", "no"],
    "PermitRootLogin": ["yes", "no", "prohibit-password", "forced-commands-only"],
    "MaxAuthTries": ["1", "2", "3", "4", '"5"', "'6'"],
    "AllowUsers": ["root", "root daemon", "*,!x", '"a b" c', "d#e"],
    "DenyGroups": ["x", "y z"],
    "AcceptEnv": ["A", "B C"],
    "SetEnv": ["A=1", "B=2 C=3"],
    "AuthenticationMethods": ["publickey", "publickey,password publickey", '"publickey" password'],
    "ForceCommand": ["/bin/a b", '"/bin/a" b#c'],
    "Banner": ["/a", '"/b c"', r"/d\ e"],
}
ASKED = sorted({"kbdinteractiveauthentication", "logingracetime", *map(str.lower, VALUES)} - {"challengeresponseauthentication"})
PATTERNS = {
    "user": ["root", "*", "!root", "*,!root", "r?ot,daemon", "d*", "ghost", '"root"', "root,"],
    "group": ["root", "*", "*,!daemon", "nogroup,root", "!root"],
    "host": ["gate.*", "*.EXAMPLE.com", "*,!gate.example.org", "192.0.2.7", "*"],
    "address": [
        "192.0.2.7",
        "192.0.2.0/24",
        "10.0.0.0/8,2001:db8::/32",
        "!192.0.2.7,*",
        "*,!::1",
        "10.*",
        "::/0",
        "0.0.0.0/0",
        "10.0.0.0/255.0.0.0",
    ],
    "localaddress": ["192.0.2.1", "192.0.2.0/30", "!192.0.2.1", "10.0.0.0/8"],
    "localport": ["22", "2222", "0022"],
    "rdomain": ["*"],
}
CRITERIA = st.lists(
    st.sampled_from(sorted(PATTERNS)).flatmap(
        lambda name: st.builds(
            "{}{}{}".format,
            st.sampled_from([name, name.title(), name.upper()]),
            st.sampled_from([" ", "=", " = ", "\t", "= "]),
            st.sampled_from(PATTERNS[name]),
        )
    ),
    min_size=1,
    max_size=2,
).map(" ".join)
SPELT = st.sampled_from(["{}", "{}", "\t{}", "  {} # why", "{}\r", "{} \t\f"])
BETWEEN = st.sampled_from([" ", " ", "\t", "=", " = ", " =", "=  "])
SET = st.sampled_from(sorted(VALUES)).flatmap(
    lambda keyword: st.builds(
        lambda name, between, value, spelt: spelt.format(f"{name}{between}{value}"),
        st.sampled_from([keyword, keyword.lower(), keyword.upper(), f'"{keyword}"' if keyword < "B" else keyword]),
        BETWEEN if keyword > "B" else st.just(" "),
        st.sampled_from(VALUES[keyword]),
        st.just("{}") if keyword == "ForceCommand" else SPELT,
    )
)
MATCH = st.builds(lambda criteria, spelt: spelt.format(f"Match {criteria}"), CRITERIA | st.sampled_from(["all", "ALL"]), SPELT)
FOLDERS = ["a", "b", "c"]
INCLUDED = {
    "": ["a/*.conf", "a/1.conf", "b/*", "?/2.conf", "[bc]/[!2].conf", "c/.1.conf", "none", "a//1.conf", "b/../a/2.conf"],
    "a": ["b/*.conf", "c/*"],
    "b": ["c/*.conf"],
    "c": [],
}


def lines(folder: str) -> st.SearchStrategy[str]:
    """The text of a file, which includes only from folders that come later: no circles."""
    kinds = [SET, SET, MATCH]
    if INCLUDED[folder]:
        names = st.lists(st.sampled_from(INCLUDED[folder]).map("/etc/ssh/{}".format), min_size=1, max_size=2)
        kinds.append(names.map(lambda found: f"Include {' '.join(found)}"))
    if not folder:
        kinds.append(st.sampled_from(["10", "20"]).map("LoginGraceTime {}".format))
    return st.lists(st.one_of(*kinds, st.sampled_from(["", "# MaxAuthTries 9", " \t"])), max_size=7).map(
        lambda found: "\n".join(startable(found))
    )


def startable(found: list[str]) -> list[str]:
    """Without what sshd refuses: LoginGraceTime in any block but that of all."""
    kept, free = [], True
    for line in found:
        if line.lstrip().startswith("Match "):
            free = line.split()[1].lower() == "all"
        if free or not line.startswith("LoginGraceTime"):
            kept.append(line)
    return kept


FILES = st.fixed_dictionaries(
    {"sshd_config": lines("")},
    optional={f"{folder}/{name}": lines(folder) for folder in FOLDERS for name in ["1.conf", "2.conf", "10.conf", ".1.conf", "x.bak"]},
).map(config)


@needs_sshd
@given(FILES, PEERS)
@settings(max_examples=100, derandomize=True)
def test_sshd_says_the_same(sshd_config: SshdConfig, peer: Peer) -> None:
    said = effective(sshd_config, peer)
    assert {keyword: told(sshd_config, peer, keyword) for keyword in ASKED} == {keyword: said.get(keyword, []) for keyword in ASKED}
