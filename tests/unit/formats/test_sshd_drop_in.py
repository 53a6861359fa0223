"""The drop-in: what was written reads back, and the machine's own sshd makes of it what was meant, whoever is named in it."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats import names
from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.formats.sshd_drop_in import DROP_IN, EVERYONE, KEYWORDS, MAIN, DropIn, Grant, included, read

SSHD = Path("/usr/sbin/sshd")
CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "login" / "drop_ins.yaml").read_text("utf-8"))

needs_sshd = pytest.mark.skipif(
    not SSHD.exists() or os.geteuid() != 0, reason="asks the machine's own sshd: needs /usr/sbin/sshd, and root"
)


def passes(check: Any, text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True).filter(lambda name: name != "all")
HOSTILE_NAMES = st.text(st.sampled_from("ab9-_ ,!*?@\n\r\t\"'#=\\%;$`é\0"), max_size=12)
NETWORKS = st.one_of(
    st.ip_addresses().map(str),
    st.builds(lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)), st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)), st.ip_addresses(v=6), st.integers(0, 128)),
)
ADDRESSES = st.lists(NETWORKS.filter(lambda text: passes(names.network, text)).map(names.network), max_size=3, unique=True).map(tuple)
GRANTS = st.builds(Grant, st.one_of(NAMES, st.just(EVERYONE)), ADDRESSES)
DROP_INS = st.builds(
    lambda grants, denied: DropIn(tuple(grants), denied), st.lists(GRANTS, max_size=4, unique_by=lambda grant: grant.who), st.booleans()
)


def granted(config: DropIn) -> dict[str, tuple[str, ...]]:
    return {grant.who: grant.addresses for grant in config.grants}


@given(DROP_INS)
@example(DropIn())
@example(DropIn((Grant("ana"), Grant("bo", ("192.0.2.0/24",))), others_denied=True, pam=False))
@example(DropIn((Grant("match"), Grant("no"), Grant("user"), Grant(EVERYONE)), others_denied=True))
def test_what_was_written_reads_back(config: DropIn) -> None:
    found = read(config.text())
    assert (granted(found), found.others_denied) == (granted(config), config.others_denied)
    assert found.text() == config.text(), "written once more it is the same"


@given(st.text(max_size=200))
@example("Match User root\n    PasswordAuthentication yes\n")
def test_what_somebody_else_wrote_is_nobody_s_grant(text: str) -> None:
    assert read(text) == DropIn()


def test_what_was_changed_by_hand_is_read_as_far_as_it_is_known() -> None:
    text = DropIn((Grant("ana"), Grant("bo")), others_denied=True).text()
    assert read(text.replace("PasswordAuthentication yes", "PasswordAuthentication  yes", 1)) == DropIn((Grant("bo"),), others_denied=True)
    assert read(text.replace("\n", "\r\n")) == DropIn()


@given(DROP_INS, DROP_INS)
def test_over_what_was_there(one: DropIn, other: DropIn) -> None:
    """Who is named anew has what is said anew; the others keep what they have."""
    both = one.over(other)
    assert granted(both) == granted(other) | granted(one)
    assert both.others_denied == (one.others_denied or other.others_denied)
    assert read(both.text()) == both
    assert one.over(one).text() == one.text()


# -- sshd -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{made}/key"], check=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        yield Path(made)


def told(folder: Path, config: DropIn, *peers: Peer, rest: str = "") -> list[tuple[str, ...]]:
    """What sshd says of the pair for each of them; it complains of nothing. `rest` is what else it reads."""
    (folder / "drop-in").write_text(config.text())
    file = folder / "sshd_config"
    file.write_text(f"Include {folder}/drop-in\nHostKey {folder}/key\n{rest}")
    answers = []
    for words in (["-t"], *(["-T", "-C", f"user={p.user},host={p.address},addr={p.address},laddr=127.0.0.1,lport=22"] for p in peers)):
        done = subprocess.run([SSHD, *words, "-f", file], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        settings = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        answers.append(tuple(settings[keyword] for keyword in KEYWORDS if settings))
    return answers[1:]


@needs_sshd
@given(grants=st.lists(GRANTS, min_size=1, max_size=4, unique_by=lambda grant: grant.who), denied=st.booleans())
@example(grants=[Grant("match"), Grant("all-of-it", ("::/0", "0.0.0.0/0")), Grant("a" * 32), Grant("_-")], denied=True)
@example(grants=[Grant("root", ("192.0.2.1/32",)), Grant(EVERYONE)], denied=False)
def test_sshd_takes_whatever_the_types_take(folder: Path, grants: list[Grant], denied: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
    config = DropIn(tuple(grants), others_denied=denied)
    inside = [Peer(g.who if g.who != EVERYONE else "sshd", address=first_in(g)) for g in grants]
    assert told(folder, config, *inside) == [("yes", "yes") if allowed(config, peer) else ("no", "no") for peer in inside]


def first_in(grant: Grant) -> str:
    return str(ipaddress.ip_network(grant.addresses[0])[0]) if grant.addresses else "192.0.2.7"


def allowed(config: DropIn, peer: Peer) -> bool:
    """The same by another way: by this module's own reading of sshd's rules."""
    winner = SshdConfig({MAIN: config.text()}).ruling(KEYWORDS[0], peer).winner
    return winner is None or winner.value == "yes"


@needs_sshd
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_what_sshd_makes_of_it(folder: Path, case: dict[str, Any]) -> None:
    """Whatever the host says otherwise: each row holds on one that lets all in by password, and on one that lets none."""
    grants = tuple(Grant(who, tuple(addresses or ())) for who, addresses in case.get("grants", {}).items())
    config = DropIn(grants, case.get("others", "as-is") == "denied", case.get("pam", True))
    if "text" in case:
        assert config.text().partition("\n\n")[2] == case["text"]
    for default in ("yes", "no"):
        rest = "".join(f"{keyword} {default}\n" for keyword in KEYWORDS)
        for who, answer in case["says"].items():
            user, _, address = who.partition(" from ")
            expected = default if answer == "as-is" else answer
            both = (expected, "no" if answer == "yes" and not config.pam else expected)
            assert told(folder, config, Peer(user, address=address or "192.0.2.7"), rest=rest) == [both], who


def test_the_main_file_keeps_every_byte() -> None:
    main = "# Ümläut\r\n\tPort 22"
    assert included(main).endswith(f"\nInclude {DROP_IN}\n{main}")
    assert SshdConfig({MAIN: included(main)}).includes_early(DROP_IN)


# -- what does not get as far -----------------------------------------------------------------------------------------


@given(HOSTILE_NAMES)
@example("a,b")
@example("*")
@example("!root")
@example("a\nMatch all")
@example("a Address 0.0.0.0/0")
def test_a_name_that_could_break_out_is_no_name(text: str) -> None:
    """Whatever passes is one pattern that takes itself, and nobody else."""
    if passes(names.user, text):
        assert read(DropIn((Grant(text),)).text()) == DropIn((Grant(text),))
        assert SshdConfig({MAIN: DropIn((Grant(text),)).text()}).ruling(KEYWORDS[0], Peer(text)).winner
        assert not set(text) & set(" ,!*?@\n\r\t\"'#=\\%;$`\0")


@given(st.text(st.sampled_from("0123456789abcdef.:/,!* \n%-"), max_size=20))
@example("192.0.2.0/24,!192.0.2.7")
@example("192.0.2.0/24\nMatch all")
@example("fe80::1%eth0")
@example("192.0.2.*")
@example("192.0.2.7/24")
def test_a_network_that_could_break_out_is_no_network(text: str) -> None:
    if passes(names.network, text):
        found = names.network(text)
        assert read(DropIn((Grant("ana", (found,)),)).text()) == DropIn((Grant("ana", (found,)),))
        assert not set(found) & set(" ,!*\n")
