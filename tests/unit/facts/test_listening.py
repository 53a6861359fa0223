"""Who listens, who a name leads to, and which addresses are the host's own: as the tools say it."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.facts.dns import AddressesOf, OwnAddresses
from novaops.facts.listening import OF_SOCKETS, Listener, Listening
from novaops.formats import ss
from novaops.model.question import Question
from tests.unit.facts.test_facts import framed, outcome, read

EVERY = "0.0.0.0"  # noqa: S104 - as ss says it
SS = """\
LISTEN 0      511    0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=694,fd=5),("nginx",pid=693,fd=5),("nginx",pid=691,fd=5))
LISTEN 0      128    0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=34,fd=3))                                                \n\
LISTEN 0      4096   127.0.0.53%lo:53   0.0.0.0:*    users:(("systemd-resolve",pid=605,fd=14))
LISTEN 0      511       [::]:80    [::]:* users:(("nginx",pid=694,fd=6),("nginx",pid=693,fd=6))
LISTEN 0      511          *:443      *:* users:(("apache2",pid=5,fd=4),("it's (a) "name"",pid=7,fd=4))
LISTEN 0      64     0.0.0.0:2049 0.0.0.0:*
LISTEN 0 4096 [fe80::1%eth0]:546 [::]:* users:(("systemd",pid=1,fd=8))
"""

UNITS = "1 init.scope\n34 ssh.service\n605 \n693 nginx.service\n694 nginx.service\nend\n"

IP = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host noprefixroute \\       valid_lft forever preferred_lft forever
2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:DB8::a/64 scope global \\       valid_lft forever preferred_lft forever
3: wg0    inet 10.0.0.2 peer 10.0.0.1/32 scope global wg0\\       valid_lft forever preferred_lft forever
4: odd    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff
"""


def encoded(printed: str) -> str:
    return base64.b64encode(printed.encode()).decode() + "\n"


def answers(questions: list[Any], stdout: str, status: int = 0) -> list[Any]:
    facts = read(questions, framed(questions[0], stdout, status=status))
    return [outcome(facts, question) for question in questions]


def test_who_listens() -> None:
    (found,) = answers([Listening()], encoded(SS) + UNITS)
    assert found == (
        Listener(EVERY, 80, ("nginx",), 694, "nginx.service"),
        Listener(EVERY, 22, ("sshd",), 34, "ssh.service"),
        Listener("127.0.0.53", 53, ("systemd-resolve",), 605),
        Listener("::", 80, ("nginx",), 694, "nginx.service"),
        Listener("*", 443, ("apache2", 'it\'s (a) "name"'), 5),
        Listener(EVERY, 2049, ()),
        Listener("fe80::1", 546, ("systemd",), 1, "init.scope"),
    )
    assert answers([Listening()], encoded("\n") + "end\n") == [()]


def test_whose_a_listener_is() -> None:
    units = "34 ssh.service root\n605  nobody\n694 user@1000.service ana\nend\n"
    (found,) = answers([Listening()], encoded(SS) + units)
    assert [(one.pid, one.unit, one.user) for one in found][:3] == [
        (694, "user@1000.service", "ana"),
        (34, "ssh.service", "root"),
        (605, "", "nobody"),
    ]


@pytest.mark.parametrize(
    ("program", "unit", "command"),
    [
        ("apache2", "apache2.service", " (systemctl disable --now apache2.service)"),
        ("node", "my\\x2dapp.service", " (systemctl disable --now 'my\\x2dapp.service')"),
        ("sshd", "ssh.service", ""),
        ("docker-proxy", "docker.service", ""),
        ("python3", "user@1000.service", ""),
        ("python3", "session-3.scope", ""),
        ("systemd", "init.scope", ""),
        ("nc", "", ""),
    ],
)
def test_how_a_listener_is_stopped_for_good(program: str, unit: str, command: str) -> None:
    """Nobody is told to stop what logins or containers need."""
    assert Listener("*", 80, (program,), 7, unit).stop_it == f"stop it for good{command}"


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-openvpn.slice/openvpn-server@a.service", "openvpn-server@a.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/novaops-tunnel-api.service", "user@1000.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("0::/init.scope", "init.scope"),
        ("3:cpuset:/\n1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service", "ssh.service"),
        ("0::/", ""),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_unit_of_a_listener_is_the_outermost_one(shell: str, group: str, unit: str, tmp_path: Path) -> None:
    """Whoever has a service manager of their own has units of any name below it."""
    process = tmp_path / "694"
    process.mkdir()
    (process / "cgroup").write_text(f"{group}\n")
    (process / "status").write_text("Name:\tx\nUid:\t0\t0\t0\t0\n")
    script = Listening.script_one().replace("/proc/", f"{tmp_path}/")
    done = subprocess.run(
        [shell, "-c", f"ss() {{ echo 'x users:((\"x\",pid=694,fd=3))'; }}\n{script}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == [f"694 {unit} root", "end"]


OWNED = 'LISTEN 0 1 127.0.0.1:8443 0.0.0.0:* users:(("ssh",pid=1,fd=3))'
KERNELS = "LISTEN 0 1 0.0.0.0:2049 0.0.0.0:*"


@pytest.mark.parametrize(
    ("looks", "said", "times"),
    [
        ([OWNED], OWNED, 1),
        ([f"{OWNED[:40]}", OWNED], OWNED, 2),
        ([f"{KERNELS}\n{OWNED[:40]}", f"{KERNELS}\n{OWNED}"], f"{KERNELS}\n{OWNED}", 2),
        ([KERNELS, KERNELS], KERNELS, 2),
        ([""], "", 1),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_socket_that_was_opened_while_ss_looked_has_a_process_too(
    shell: str, looks: list[str], said: str, times: int, tmp_path: Path
) -> None:
    """It looks at the processes, then at the sockets: a tunnel that had just come up was "taken by another program"."""
    for number, printed in enumerate(looks, 1):
        (tmp_path / str(number)).write_text(f"{printed}\n" if printed else "")
    fake = f'ss() {{ echo "$*" >>{tmp_path}/asked; cat {tmp_path}/$(wc -l <{tmp_path}/asked | tr -d " "); }}\n'
    done = subprocess.run([shell, "-c", f"{fake}{OF_SOCKETS}sockets -t"], capture_output=True, text=True, check=True)
    assert done.stdout.strip("\n") == said
    assert (tmp_path / "asked").read_text() == "-l -n -p -H -t\n" * times


def test_own_addresses() -> None:
    assert answers([OwnAddresses()], IP + "end\n") == [("10.0.0.2", "127.0.0.1", "192.0.2.10", "::1", "2001:db8::a")]


NAMES = ["a\nb", "\nend", "\nLISTEN 0 1 *:8", 'x",pid=1,fd=3)', '"),("ssh",pid=1', "\x0c\x1c\x85\u2028", "\x1b[2K", "", "\\\n\t)", "))\n"]
"""What somebody may call a process: 15 bytes of any kind but NUL."""


@pytest.mark.parametrize("name", NAMES)
def test_a_process_of_any_name_hides_nothing(name: str) -> None:
    """Neither the others nor itself."""
    theirs = f'LISTEN 0 5 0.0.0.0:81 0.0.0.0:* users:(("{name}",pid=666,fd=3),("{name}",pid=667,fd=3))\n'
    (found,) = answers([Listening()], encoded(theirs + SS + theirs) + "666 \n667 \n1 init.scope\n" + UNITS)
    (own,) = answers([Listening()], encoded(SS) + UNITS)
    assert found == (Listener(EVERY, 81, (name,), 666), *own, Listener(EVERY, 81, (name,), 666))


@given(st.lists(st.binary(max_size=15).filter(lambda name: b"\0" not in name), min_size=1, max_size=3))
def test_every_name_is_read_back(names: list[bytes]) -> None:
    users = b",".join(b'("%s",pid=%d,fd=3)' % (name, number) for number, name in enumerate(names, 2))
    line = b"LISTEN 0 5 [::1]:81 [::]:* users:(%s)\n" % users
    expected = tuple((name.decode("utf-8", "surrogateescape"), number) for number, name in enumerate(names, 2))
    assert [one.processes for one in ss.listeners(line + line)] == [expected, expected]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of processes are set as on Linux")
@pytest.mark.parametrize("name", ["a\nb", "\nend", "\nLISTEN 0 1 *:8", 'x",pid=1,fd=3)'])
def test_a_real_process_of_such_a_name(name: str) -> None:
    code = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
one = socket.create_server(("127.0.0.1", 0))
print(one.getsockname()[1], flush=True)
sys.stdin.read()
"""
    with (
        socket.create_server(("127.0.0.1", 0)) as own,
        subprocess.Popen([sys.executable, "-c", code, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        port = int(process.stdout.readline())
        done = subprocess.run(["sh", "-c", Listening.script_one()], capture_output=True, text=True, check=True)
        (found,) = answers([Listening()], done.stdout)
        assert process.stdin
        process.stdin.close()
    by_port = {one.port: one for one in found}
    assert by_port[port].pid == process.pid
    assert own.getsockname is not None
    assert len(by_port) > 1


def test_addresses_of_names() -> None:
    names = [AddressesOf("a.example"), AddressesOf("b.example"), AddressesOf("c.example")]
    stdout = """\
2 2001:DB8::2     c.example
0 192.0.2.10 STREAM a.example
0 192.0.2.10 DGRAM
0 192.0.2.9  RAW
2 192.0.2.7 STREAM c.example
0 192.0.2.9     a.example
end
"""
    assert answers(names, stdout) == [("192.0.2.9", "192.0.2.10"), "absent", ("192.0.2.7", "2001:db8::2")]
    assert answers(names, "end\n") == ["absent"] * 3


@pytest.mark.parametrize(
    ("question", "stdout"),
    [
        (Listening(), encoded(SS)),
        (Listening(), SS + "end\n"),
        (Listening(), encoded(SS) + UNITS.removesuffix("end\n")),
        (Listening(), encoded(SS + "LISTEN 0\n") + UNITS),
        (Listening(), encoded(SS)[:-9] + "\n" + UNITS),
        (Listening(), ""),
        (OwnAddresses(), IP),
        (OwnAddresses(), "1: lo    inet nothing\nend\n"),
        (AddressesOf("a"), "0 192.0.2.1\n"),
        (AddressesOf("a"), "1 192.0.2.1\nend\n"),
        (AddressesOf("a"), "0 a.example\nend\n"),
    ],
)
def test_what_was_cut_is_unknown(question: Question[Any], stdout: str) -> None:
    assert answers([question], stdout) == ["unknown"]


@pytest.mark.parametrize("question", [Listening(), OwnAddresses()])
def test_a_tool_that_fails_tells_nothing(question: Question[Any]) -> None:
    assert answers([question], "end\n", status=1) == ["unknown"]


@pytest.mark.parametrize("question", [Listening(), OwnAddresses(), AddressesOf("a")], ids=lambda question: type(question).family)
@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=20)
def test_garbage_is_never_absent(question: Question[Any], garbage: str) -> None:
    assert answers([question], garbage.replace("end", "") or "%") == ["unknown"]
