"""ssh's configuration at work, against the real sshd: who is connected to, over whom, with which key, and whose fault it is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from novaops.errors import LoginFailed, UnknownHostKey, Unreachable, UsageError
from novaops.features.host.trust import trust
from novaops.lab.process import wait_until
from novaops.ssh import ask_ssh
from novaops.ssh.session import Session
from novaops.ssh.target import Target

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="sshd lets in its own user, who must be root here"),
    pytest.mark.skipif(SSHD is None, reason="there is no sshd"),
]


class Sshd:
    """A real sshd on a free port of 127.0.0.1. It lets root in with the keys of `authorized_keys`."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder = folder
        folder.mkdir()
        self.key = make_key(folder / "host")
        self.authorized = folder / "authorized_keys"
        self.authorized.touch(0o600)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.key}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {self.authorized}\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"LogLevel VERBOSE\n{extra}"
        )
        self.log = folder / "log"
        Path("/run/sshd").mkdir(exist_ok=True)
        assert SSHD is not None
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(folder / "config")], stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        wait_until(lambda: "Server listening" in self.log.read_text(), 20)

    @property
    def public(self) -> str:
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    def lets_in(self, key: Path) -> None:
        self.authorized.write_text(self.authorized.read_text() + key.with_name(f"{key.name}.pub").read_text())

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def make_key(file: Path, passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(file)], stdin=subprocess.DEVNULL, check=True)
    return file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SHELL", "/bin/sh")
    ask_ssh._ask.cache_clear()
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts an sshd."""
    started: list[Sshd] = []

    def start(extra: str = "") -> Sshd:
        started.append(Sshd(home / f"sshd{len(started)}", extra))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def box(server: Callable[..., Sshd], home: Path) -> Sshd:
    """An sshd that the default key logs in to."""
    made = server()
    made.lets_in(make_key(home / ".ssh/id_ed25519"))
    return made


def configure(home: Path, text: str) -> None:
    (home / ".ssh/config").write_text(text)


def knows(home: Path, *lines: str, file: str = "known_hosts") -> None:
    (home / ".ssh" / file).write_text("".join(f"{line}\n" for line in lines))


def says(target: Target) -> str:
    with Session(target) as session:
        return session.run('echo "$SSH_CONNECTION"').stdout


def to(name: str, timeout: float = 20) -> Target:
    return Target(name, name, timeout=timeout)


def test_a_host_key_under_an_alias(box: Sshd, home: Path) -> None:
    """As `gcloud compute config-ssh` writes it."""
    configure(
        home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  HostKeyAlias=compute.123\n  UserKnownHostsFile={home}/.ssh/google\n"
    )
    with pytest.raises(UnknownHostKey, match="host key of vm is not known"):
        says(to("vm"))
    report = trust(to("vm"), "", check=False)
    assert (report.status, (home / ".ssh/google").read_text()) == ("changed", f"compute.123 {box.public}\n")
    assert says(to("vm"))
    assert trust(to("vm"), "", check=False).status == "unchanged"
    ssh = ["ssh", "-F", str(home / ".ssh/config"), "-i", str(home / ".ssh/id_ed25519"), "-o", "BatchMode=yes", "vm", "echo in"]
    assert subprocess.run(ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout == "in\n"


def test_known_hosts_files_with_quotes_and_tokens(box: Sshd, home: Path) -> None:
    files = f'"{home}/.ssh/known hosts" {home}/.ssh/kh_%h'
    configure(home, f"UserKnownHostsFile {files}\nHost vm\n  HostName 127.0.0.1\n  Port {box.port}\n")
    knows(home, f"[127.0.0.1]:{box.port} {box.public}", file="kh_127.0.0.1")
    assert says(to("vm"))
    (home / ".ssh/kh_127.0.0.1").unlink()
    assert trust(to("vm"), "", check=False).status == "changed"
    assert (home / ".ssh/known hosts").read_text() == f"[127.0.0.1]:{box.port} {box.public}\n"
    assert says(to("vm"))


def test_a_key_that_is_kept_nowhere_cannot_be_trusted(box: Sshd, home: Path) -> None:
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  UserKnownHostsFile /dev/null\n")
    with pytest.raises(Exception, match="cannot be kept: ssh's configuration has UserKnownHostsFile /dev/null"):
        trust(to("vm"), "", check=False)
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  UserKnownHostsFile /dev/null {home}/.ssh/kept\n")
    assert trust(to("vm"), "", check=False).status == "changed"
    assert says(to("vm"))


def test_a_key_known_without_its_port_is_known(box: Sshd, home: Path) -> None:
    """As it is to ssh."""
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n")
    knows(home, f"127.0.0.1 {box.public}")
    assert says(to("vm"))


def chain(home: Path, first: Sshd, second: Sshd, more: str = "") -> None:
    """`far` is reached over `near`."""
    near, far = (f"  HostName 127.0.0.1\n  Port {one.port}\n" for one in (first, second))
    configure(home, f"Host near\n{near}Host far\n{far}  ProxyJump near\n{more}")
    knows(home, *(f"[127.0.0.1]:{one.port} {one.public}" for one in (first, second)))


def test_over_jump_hosts(server: Callable[..., Sshd], home: Path) -> None:
    """Each of them has a key of its own; the last one is reached from the one before it."""
    hosts = [server() for _ in range(3)]
    blocks = []
    for number, one in enumerate(hosts):
        one.lets_in(make_key(home / f".ssh/key {number}"))
        blocks.append(f'Host h{number}\n  HostName 127.0.0.1\n  Port {one.port}\n  IdentityFile "~/.ssh/key {number}"\n')
    knows(home, *(f"[127.0.0.1]:{one.port} {one.public}" for one in hosts))
    configure(home, "".join(blocks) + "Match host 127.0.0.1 originalhost h2\n  ProxyJump h0,root@h1\n")
    assert says(to("h2"))
    assert ["Accepted publickey for root" in one.log.read_text() for one in hosts] == [True, True, True]


@pytest.mark.parametrize("jump", ["ssh://root@127.0.0.1:{port}", "root@[127.0.0.1]:{port}"])
def test_each_form_of_a_jump_host(server: Callable[..., Sshd], box: Sshd, home: Path, jump: str) -> None:
    near = server()
    near.lets_in(home / ".ssh/id_ed25519")
    chain(home, near, box)
    text = (home / ".ssh/config").read_text().replace("ProxyJump near", f"ProxyJump {jump.format(port=near.port)}")
    configure(home, f"{text}Host *\n  ProxyJump none\n")
    assert says(to("far"))
    assert all("Accepted publickey" in one.log.read_text() for one in (near, box))


def test_a_jump_host_that_is_not_known_is_the_one_to_trust(server: Callable[..., Sshd], box: Sshd, home: Path) -> None:
    near = server()
    near.lets_in(home / ".ssh/id_ed25519")
    chain(home, near, box)
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    with pytest.raises(UnknownHostKey, match=r"the host key of far: the jump host near \(127.0.0.1\) is not known") as error:
        says(to("far"))
    assert error.value.fix.endswith("novaops host trust root@near")
    assert trust(to("near"), "", check=False).status == "changed"
    assert says(to("far"))


def test_a_target_that_its_jump_host_does_not_reach(box: Sshd, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configure(
        home, f"Host near\n  HostName 127.0.0.1\n  Port {box.port}\nHost far\n  HostName 127.0.0.1\n  Port {port}\n  ProxyJump near\n"
    )
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    with pytest.raises(Unreachable, match=rf"far: nothing answers at 127.0.0.1:{port}, asked from its jump host near"):
        says(to("far"))


def test_a_jump_host_that_forwards_nothing(server: Callable[..., Sshd], box: Sshd, home: Path) -> None:
    near = server("AllowTcpForwarding no\n")
    near.lets_in(home / ".ssh/id_ed25519")
    chain(home, near, box)
    with pytest.raises(Unreachable, match=r"the jump host near \(127.0.0.1\) forwards no connection to") as error:
        says(to("far"))
    assert "AllowTcpForwarding" in error.value.fix


def test_a_jump_host_that_lets_nobody_in(server: Callable[..., Sshd], box: Sshd, home: Path) -> None:
    chain(home, server(), box)
    with pytest.raises(LoginFailed, match=r"far: the jump host near \(127.0.0.1\): the login was refused"):
        says(to("far"))


def test_a_jump_host_that_does_not_resolve(home: Path) -> None:
    configure(home, "Host a\n  HostName 127.0.0.9\n  ProxyJump nosuch.invalid\n")
    with pytest.raises(Unreachable, match=r"^a: the name nosuch.invalid of its jump host cannot be resolved"):
        says(to("a"))


def test_a_jump_host_where_nothing_answers(home: Path) -> None:
    configure(home, "Host b\n  HostName 127.0.0.9\n  ProxyJump root@127.0.0.1:2\n")
    with pytest.raises(Unreachable, match=r"b: the jump host 127.0.0.1: nothing answers at 127.0.0.1:2"):
        says(to("b"))


def test_a_proxy_command_carries_the_connection(box: Sshd, home: Path) -> None:
    """Through the shell, with its tokens, as ssh runs it."""
    program = home / "pass on"
    program.write_text(
        "import os, socket, sys, threading\n"
        "line = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def out():\n"
        "    while data := os.read(0, 65536):\n"
        "        line.sendall(data)\n"
        "threading.Thread(target=out, daemon=True).start()\n"
        "while data := line.recv(65536):\n"
        "    os.write(1, data)\n"
    )
    configure(home, f'Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  ProxyCommand {sys.executable} "{program}" %h %p 2>/dev/null\n')
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    assert says(to("vm"))
    configure(home, f'Host vm\n  HostName 127.0.0.1\n  Port 2\n  ProxyCommand {sys.executable} "{program}" %h %p\n')
    with pytest.raises(Unreachable, match="vm: its ProxyCommand ended"):
        says(to("vm"))


def test_a_proxy_command_that_ends(home: Path) -> None:
    configure(home, "Host c\n  HostName 127.0.0.9\n  ProxyCommand false\nHost e\n  ProxyCommand sh -c 'echo no token for %h >&2; exit 3'\n")
    with pytest.raises(Unreachable, match=r"c: its ProxyCommand ended \(exit status 1\)") as error:
        says(to("c"))
    assert error.value.fix == "ssh's configuration has ProxyCommand false"
    with pytest.raises(Unreachable, match=r"e: its ProxyCommand ended \(exit status 3\)") as error:
        says(to("e"))
    assert error.value.why == "no token for e"


def test_a_proxy_command_that_waits_for_somebody(home: Path) -> None:
    configure(home, "Host c\n  HostName 127.0.0.9\n  ProxyCommand sh -c 'echo please open https://login.example >&2; sleep 20'\n")
    with pytest.raises(Unreachable, match="c: its ProxyCommand runs, and no ssh server answered through it within 2 s") as error:
        says(Target("c", "c", timeout=2))
    assert error.value.why == "It said: please open https://login.example"


def test_a_proxy_command_whose_program_is_missing(home: Path) -> None:
    configure(home, "Host d\n  HostName 127.0.0.9\n  ProxyCommand /no/such/program %h %p\n")
    with pytest.raises(Unreachable, match="d: the program of its ProxyCommand cannot be run") as error:
        says(to("d"))
    assert "/no/such/program" in error.value.why


def test_the_address_that_it_connects_from(box: Sshd, home: Path) -> None:
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  BindAddress 127.0.0.7\n")
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    assert says(to("vm")).startswith("127.0.0.7 ")
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  BindAddress 192.0.2.1\n")
    with pytest.raises(Unreachable, match=r"BindAddress 192.0.2.1 cannot be used"):
        says(to("vm"))


@pytest.fixture
def agent(home: Path) -> Iterator[Path]:
    """An agent that SSH_AUTH_SOCK does not name."""
    path = home / "my agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    wait_until(path.exists, 20)
    yield path
    process.terminate()
    process.wait()


def add(agent: Path, *keys: Path) -> None:
    subprocess.run(["ssh-add", "-q", *map(str, keys)], env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=True)


def test_the_agent_that_the_configuration_names(server: Callable[..., Sshd], home: Path, agent: Path) -> None:
    """As 1Password, Secretive and yubikey-agent are used; the key of a .pub file is only in the agent."""
    box, other, mine = server("MaxAuthTries 2\n"), make_key(home / "other"), make_key(home / "mine")
    box.lets_in(mine)
    add(agent, other, make_key(home / "third"), mine)
    mine.unlink()
    block = f'Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  IdentityAgent "{agent}"\n'
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    configure(home, block)
    with pytest.raises(LoginFailed):
        says(to("vm"))  # of three keys two are too many
    configure(home, f"{block}  IdentityFile {home}/mine.pub\n  IdentitiesOnly yes\n")
    with Session(to("vm")) as first:
        key = first.key
    again = Session(to("vm"))
    again.key = key
    with again:
        assert again.run("echo in").stdout == "in\n"
    configure(home, f"{block}  IdentityAgent none\n".replace(f'  IdentityAgent "{agent}"\n', ""))
    with pytest.raises(LoginFailed, match="there is no key to log in with"):
        says(to("vm"))


def test_an_encrypted_key_is_taken_from_the_agent(server: Callable[..., Sshd], home: Path, agent: Path) -> None:
    box, mine = server(), make_key(home / "mine")
    box.lets_in(mine)
    add(agent, mine)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(mine)], check=True, capture_output=True)
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    configure(home, f'Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  IdentityFile "{mine}"\n  IdentityAgent none\n')
    with pytest.raises(LoginFailed, match="needs a passphrase"):
        says(to("vm"))
    configure(home, f'Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  IdentityFile "{mine}"\n  IdentityAgent "{agent}"\n')
    assert says(to("vm"))
    (home / "mine.pub").unlink()
    assert says(Target("vm", "vm", identity=str(mine)))


@pytest.mark.parametrize("where", ["file", "agent"])
def test_a_certificate(server: Callable[..., Sshd], home: Path, agent: Path, where: str) -> None:
    authority, mine = make_key(home / "authority"), make_key(home / "mine")
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", "root", f"{mine}.pub"], check=True)
    (home / "mine-cert.pub").rename(home / "my certificate")
    box = server(f"TrustedUserCAKeys {authority}.pub\n")
    knows(home, f"[127.0.0.1]:{box.port} {box.public}")
    if where == "agent":
        add(agent, mine)
        mine.unlink()
    configure(
        home,
        f'Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  IdentityAgent "{agent}"\n  IdentityFile {home}/mine\n'
        f'  CertificateFile "{home}/my certificate"\n',
    )
    assert says(to("vm"))
    assert "ED25519-CERT" in box.log.read_text()
    assert says(Target("vm", "vm", identity=f"{home}/mine")), "the key that the inventory names, with its certificate"


@pytest.mark.parametrize(
    ("lines", "kind", "offers"),
    [
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com\n", "key exchange", "sntrup761x25519-sha512@openssh.com"),
        ("Ciphers chacha20-poly1305@openssh.com\n", "cipher", "chacha20-poly1305@openssh.com"),
        ("Ciphers aes128-ctr\nMACs umac-128@openssh.com\n", "MAC", "umac-128@openssh.com"),
    ],
)
def test_a_server_of_another_age(server: Callable[..., Sshd], home: Path, lines: str, kind: str, offers: str) -> None:
    """Only what paramiko does not know."""
    box = server(lines)
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n")
    with pytest.raises(Unreachable, match=rf"vm: 127.0.0.1:[0-9]+ and novaops have no {kind} in common") as error:
        says(to("vm"))
    assert f"The server offers {offers}." in error.value.why
    with pytest.raises(Unreachable, match=f"have no {kind} in common"):
        trust(to("vm"), "", check=True)


@pytest.mark.parametrize("line", ["KexAlgorithms sntrup761x25519-sha512@openssh.com", "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com"])
def test_a_configuration_that_allows_nothing_novaops_can(box: Sshd, home: Path, line: str) -> None:
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  {line}\n")
    with pytest.raises(Unreachable, match=f"{line.partition(' ')[0]} of ssh's configuration allows nothing that novaops can do"):
        says(to("vm"))


def test_the_algorithms_that_the_configuration_allows(box: Sshd, home: Path) -> None:
    lines = (
        "  KexAlgorithms ecdh-sha2-nistp384\n  HostKeyAlgorithms ssh-ed25519\n  PreferredAuthentications publickey\n  AddressFamily inet\n"
    )
    configure(home, f"Host vm\n  HostName localhost\n  Port {box.port}\n{lines}")
    knows(home, f"[localhost]:{box.port} {box.public}")
    with Session(to("vm")) as session:
        assert session.connection is not None
        assert session.connection.transport.get_security_options().kex == ("ecdh-sha2-nistp384",)
    for line in ("PreferredAuthentications password", "PubkeyAuthentication no"):
        configure(home, f"Host vm\n  HostName localhost\n  Port {box.port}\n  {line}\n")
        with pytest.raises(LoginFailed, match="ssh's configuration allows no login by key") as error:
            says(to("vm"))
        assert error.value.why == line


def test_a_command_for_known_hosts_is_told_of(box: Sshd, home: Path) -> None:
    configure(home, f"Host vm\n  HostName 127.0.0.1\n  Port {box.port}\n  KnownHostsCommand /bin/echo %H\n")
    with pytest.raises(UnknownHostKey) as error:
        says(to("vm"))
    assert "KnownHostsCommand of ssh's configuration (/bin/echo %H) is not supported" in error.value.why


@pytest.mark.parametrize("text", ["Host *\n  ProxyJump j1\n", "Host j1\n  ProxyJump j2\nHost *\n  ProxyJump j1\n"])
def test_a_circle_ends_with_2(home: Path, text: str) -> None:
    configure(home, text)
    with pytest.raises(UsageError, match="lead in a circle"):
        says(to("vm"))
    words = [sys.executable, "-m", "novaops", "host", "facts", "root@vm"]
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "lead in a circle" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
