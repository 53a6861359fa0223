"""ssh's configuration, against what `ssh -G` says: for real files, and for generated ones."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from novaops.engine.inventory import Access, Host, adhoc
from novaops.engine.templates import Templates
from novaops.errors import UsageError
from novaops.features.host import ssh_config
from novaops.ssh import ask_ssh
from novaops.ssh.client_config import ClientConfig, Destination, Local, parse
from novaops.ssh.route import route
from novaops.ssh.target import Target

CASES = Path("tests/cases/ssh")
OTHERS = ["unknown.example", "192.0.2.77", "i-0abc", "db.compute.internal", "gpu7"]

UseConfig = Callable[[bytes | str], Path]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UseConfig]:
    """Makes a text the user's configuration."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def write(text: bytes | str) -> Path:
        ask_ssh._ask.cache_clear()
        (folder / "config").write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / "config"

    yield write
    ask_ssh._ask.cache_clear()


def said(config: Path, *words: str) -> dict[str, list[str]]:
    """What ssh itself says of the file alone."""
    done = subprocess.run(["ssh", "-G", "-T", "-F", str(config), *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        found.setdefault(line.partition(" ")[0], []).append(line.partition(" ")[2])
    return found


def hosts_of(text: bytes) -> list[str]:
    words = [word for line in re.findall(rb"(?im)^\s*host\s+([^#\n]*)", text) for word in line.decode("utf-8", "replace").split()]
    return [*dict.fromkeys(word for word in words if not set(word) & set("*?!"))]


def same(ours: ClientConfig, theirs: dict[str, list[str]]) -> None:
    """Every value that counts for a connection. Which known_hosts files are the default depends on HOME for us."""
    assert (ours.hostname, str(ours.port), ours.user) == (theirs["hostname"][0], theirs["port"][0], theirs["user"][0])
    for keyword in (
        *("identityfile", "identitiesonly", "certificatefile", "identityagent", "proxyjump", "proxycommand", "hostkeyalias"),
        *("globalknownhostsfile", "knownhostscommand", "bindaddress", "addressfamily", "connecttimeout", "preferredauthentications"),
        *("hostkeyalgorithms", "kexalgorithms", "pubkeyauthentication", "proxyusefdpass"),
    ):
        assert list(ours.values.get(keyword, ())) == theirs.get(keyword, []), keyword
    for keyword in ("identitiesonly", "pubkeyauthentication", "proxyusefdpass"):
        assert ours.is_on(keyword, "yes") is (theirs[keyword][0] not in {"no", "false"}), keyword
    default = f"{pwd.getpwuid(os.getuid()).pw_dir}/.ssh/known_hosts"
    if not theirs["userknownhostsfile"][0].startswith(default):
        assert ours.first("userknownhostsfile") == theirs["userknownhostsfile"][0]


@pytest.mark.parametrize("case", sorted(CASES.glob("*.config")), ids=lambda case: case.stem)
def test_real_files_mean_what_ssh_says(case: Path, use: UseConfig) -> None:
    text = case.read_bytes()
    config = use(text)
    if subprocess.run(["ssh", "-G", "-T", "-F", str(config), "x"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
        with pytest.raises(UsageError):  # this ssh does not know a criterion of Match that later ones do
            ask_ssh.ask(Destination("x"), 20)
        return
    hosts = [*hosts_of(text), *OTHERS]
    assert len(hosts) > len(OTHERS) - 1
    for host in hosts:
        asked = Destination(host)
        same(ask_ssh.ask(asked, 20), said(config, host))
    user = Destination(hosts[0], "jane.doe", 2299)
    same(ask_ssh.ask(user, 20), said(config, "-l", "jane.doe", "-p", "2299", hosts[0]))


def test_the_way_through_a_configuration(use: UseConfig) -> None:
    use((CASES / "c12.config").read_bytes())
    hops = route(Target("agent", "agent"))
    assert [(hop.user, hop.hostname, hop.port) for hop in hops] == [("ubuntu", "ground.example.de", 22), ("adm", "localhost", 2222)]
    use((CASES / "c16.config").read_bytes())
    hops = route(Target("db", "db.compute.internal"))
    assert (hops[0].user, hops[0].hostname, hops[0].port) == ("ec2-user", "bastion.compute.internal", 2200)
    assert route(Target("i", "i-0abc", 2022))[0].proxy_command == (
        "sh -c \"aws ssm start-session --target i-0abc --document-name AWS-StartSSHSession --parameters 'portNumber=2022'\""
    )


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        ((CASES / "c17.config").read_text(), "j1 jumps over j1"),
        ("Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump a\n", "a jumps over b jumps over c jumps over a"),
        ("Host *\n ProxyJump me@gw\n", "jumphost loop via gw"),
        ("Host *\n ProxyJump %h.x\n", "a jumps over a.x jumps over"),
    ],
)
def test_a_circle_of_jump_hosts_is_one_sentence(use: UseConfig, text: str, circle: str) -> None:
    use(text)
    with pytest.raises(UsageError) as error:
        route(Target("box", "a" if "Host a" in text or "%h" in text else "v6"))
    assert "lead in a circle" in error.value.what
    assert circle in error.value.why


@pytest.mark.parametrize(
    ("jump", "ways"),
    [
        ("none", []),
        ("b", ["b"]),
        ("jane.doe@b:2200", ["jane.doe@b:2200"]),
        ("[2001:db8::1]:2200", ["[2001:db8::1]:2200"]),
        ("u@[::1]", ["u@::1"]),
        ("ssh://u@b:2200", ["u@b:2200"]),
        ("j@corp@b,CORP\\x@c", ["j@corp@b", "CORP\\x@c"]),
        ("a,ssh://u@b:23,%r.c", ["a", "u@b:23", "root.c"]),
    ],
)
def test_every_form_of_a_jump(jump: str, ways: list[str], use: UseConfig) -> None:
    config = use(f"Host x\n  User root\n  ProxyJump {jump}\n")
    same(ask_ssh.ask(Destination("x"), 20), said(config, "x"))
    found = ask_ssh.ask(Destination("x"), 20).jumps
    assert [str(one) for one in found] == ways
    assert [one.jump.count(",") + bool(one.jump) for one in found] == list(range(len(ways)))


LOCAL = Local("/home/me", "me", 1000, "box.example", {"X": "y", "SSH_AUTH_SOCK": "/run/agent", "MINE": "/run/mine"})


def config(**values: str) -> ClientConfig:
    return parse(Destination("w1"), LOCAL, "".join(f"{key} {value}\n" for key, value in {"hostname": "h", "user": "u", **values}.items()))


def test_tokens_of_files() -> None:
    found = config(identityfile="~/k_%h_%r_%p_%n_%u_%i_%L_%l_%d_${X}_%%_%q_${NO}").identity_files
    assert found == ["/home/me/k_h_u_22_w1_me_1000_box_box.example_/home/me_y_%_%q_${NO}"]


@pytest.mark.parametrize(
    ("said", "socket"),
    [("none", ""), ("SSH_AUTH_SOCK", "/run/agent"), ("$MINE", "/run/mine"), ("$NO", ""), ("~/a b/%u.sock", "/home/me/a b/me.sock")],
)
def test_the_agent(said: str, socket: str) -> None:
    assert config(identityagent=said).agent == socket
    assert config().agent == "/run/agent"


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ("/root/.ssh/known hosts /root/.ssh/kh_h", ["/root/.ssh/known hosts", "/root/.ssh/kh_h"]),
        ("~/a ~/b c", ["/home/me/a", "/home/me/b c"]),
        ("~/a %d/b ${HOME}/c", ["/home/me/a", "/home/me/b", "${HOME}/c"]),  # such a variable is not set there
        ("kh kh2", ["kh", "kh2"]),
        ("none", []),
        ("/dev/null", ["/dev/null"]),
    ],
)
def test_known_hosts_files_lost_their_quotes(said: str, files: list[str]) -> None:
    assert config(userknownhostsfile=said).user_known_hosts == files


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("User u\n", ["{home}/.ssh/known_hosts", "{home}/.ssh/known_hosts2"]),
        ("Match final\n  UserKnownHostsFile /last\n", ["/last"]),
        ("Match final all\n  UserKnownHostsFile /last\nHost *\n  UserKnownHostsFile /first\n", ["/first"]),
        ("Host other\n  UserKnownHostsFile /other\n", ["{home}/.ssh/known_hosts", "{home}/.ssh/known_hosts2"]),
    ],
)
def test_known_hosts_where_home_is_another_one(text: str, files: list[str], use: UseConfig, tmp_path: Path) -> None:
    """Ssh itself takes the account's home. Its default must come last, and so cannot be written into the configuration."""
    use(text)
    assert ask_ssh.ask(Destination("x"), 20).user_known_hosts == [file.format(home=tmp_path) for file in files]


def test_a_name_with_other_letters_is_ssh_s_own_first(use: UseConfig) -> None:
    """It is looked for as it is written; what is connected to is in the form of DNS."""
    use("Host büro\n  HostName 192.0.2.9\n  User jane\nHost b\n  HostName bücher.example\nHost s\n  HostName straße.example\n")
    found = ask_ssh.ask(Destination(adhoc("u@büro").address), 20)
    assert (found.hostname, ask_ssh.ask(Destination("b"), 20).hostname) == ("192.0.2.9", "xn--bcher-kva.example")
    assert ask_ssh.ask(Destination("bücher.example"), 20).hostname == "xn--bcher-kva.example"
    with pytest.raises(UsageError, match="which DNS has in two ways"):
        _ = ask_ssh.ask(Destination("s"), 20).hostname


@pytest.mark.parametrize(
    ("line", "forbids"),
    [
        ("PubkeyAuthentication no", "PubkeyAuthentication no"),
        ("PubkeyAuthentication false", "PubkeyAuthentication no"),
        ("PubkeyAuthentication yes", ""),
        ("PubkeyAuthentication unbound", ""),
        ("PreferredAuthentications password,keyboard-interactive", "PreferredAuthentications password,keyboard-interactive"),
        ("PreferredAuthentications password,publickey", ""),
        ("User u", ""),
    ],
)
def test_what_forbids_keys(line: str, forbids: str, use: UseConfig) -> None:
    use(f"Host x\n  {line}\n")
    assert ask_ssh.ask(Destination("x"), 20).keys_forbidden_by == forbids
    keyword, _, value = line.partition(" ")
    assert config(**{keyword.lower(): value}).keys_forbidden_by == forbids, "as another ssh prints it"


@pytest.mark.parametrize("keyword", ["IdentitiesOnly", "ProxyUseFdpass"])
@pytest.mark.parametrize("value", ["yes", "true", "no", "false"])
def test_a_switch_however_it_is_written(keyword: str, value: str, use: UseConfig) -> None:
    on = value in {"yes", "true"}
    use(f"Host x\n  {keyword} {value}\n")
    assert ask_ssh.ask(Destination("x"), 20).is_on(keyword.lower()) is on
    found = config(**{keyword.lower(): value})
    assert found.is_on(keyword.lower()) is on, "as another ssh prints it"
    assert found.identities_only is (on and keyword == "IdentitiesOnly")


def test_a_configuration_that_ssh_refuses(use: UseConfig) -> None:
    file = use("Host a\n  Prot 22\n")
    with pytest.raises(UsageError) as error:
        route(Target("a", "a"))
    assert str(file) in error.value.why
    assert "line 2" in error.value.why


def test_included_files_and_bytes_that_are_no_text(use: UseConfig, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("User inner\n")
    use(f"Host a\n  Include {tmp_path}/more\n# B\xfcro\nHost *\n  User outer\n".encode("latin-1"))
    assert [ask_ssh.ask(Destination(host), 20).user for host in ("a", "b")] == ["inner", "outer"]


def test_what_is_said_explicitly_is_seen_by_match(use: UseConfig, tmp_path: Path) -> None:
    use("Match user special\n  Port 2222\n  HostName 192.0.2.9\nHost *\n  User other\n  IdentityFile ~/theirs\n")
    found = ask_ssh.ask(Destination("a", "special", identity=f"{tmp_path}/my %k"), 20)
    assert (found.port, found.hostname, found.user, found.identity_files[0]) == (2222, "192.0.2.9", "special", f"{tmp_path}/my %k")
    assert found.identities_only
    assert ask_ssh.ask(Destination("a", "special", 22), 20).port == 22


def test_asked_once_for_each_destination(use: UseConfig, tmp_path: Path) -> None:
    use(f'Match exec "echo >>{tmp_path}/asked"\n')
    for _ in range(3):
        ask_ssh.ask(Destination("a"), 20)
    assert (tmp_path / "asked").read_text() == "\n"


def test_a_match_that_waits_is_not_waited_for(use: UseConfig) -> None:
    use('Match exec "sleep 20"\n')
    with pytest.raises(Exception, match=r"ssh did not say within 0.3 s"):
        ask_ssh.ask(Destination("a"), 0.3)


WORD = st.sampled_from(["a", "b", "a.b", "*", "a*", "?", "!a", "*.b"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "HostName": st.sampled_from(["192.0.2.1", "%h.example", '"h"', "::1"]),
    "User": st.sampled_from(["u", "jane.doe", "CORP\\jane", '"x"', "u # comment"]),
    "Port": st.sampled_from(["22", "2222", "2223 # why"]),
    "IdentityFile": st.sampled_from(["~/k", '"~/a b"', "none", "%d/x_%r"]),
    "ProxyJump": st.sampled_from(["none", "j", "u@j:23,k"]),
    "ProxyCommand": st.sampled_from(["none", "nc %h %p", "false"]),
    "HostKeyAlias": st.sampled_from(["alias", "al.ias"]),
    "UserKnownHostsFile": st.sampled_from(["/dev/null", "~/k %d/kh_%h", '"/a b" /c', "none"]),
    "IdentitiesOnly": st.sampled_from(["yes", "no"]),
    "IdentityAgent": st.sampled_from(["none", "SSH_AUTH_SOCK", "~/agent", "$FOO"]),
    "AddressFamily": st.sampled_from(["any", "inet", "inet6"]),
    "ConnectTimeout": st.sampled_from(["5", "2m", "none"]),
    "KexAlgorithms": st.sampled_from(["+diffie-hellman-group14-sha256", "curve25519-sha256", "-ecdh*"]),
    "HostKeyAlgorithms": st.sampled_from(["ssh-ed25519", "^ssh-ed25519", "-ssh-rsa*"]),
    "PreferredAuthentications": st.sampled_from(["publickey", "password,publickey"]),
    "BindAddress": st.sampled_from(["127.0.0.1"]),
    "CertificateFile": st.sampled_from(["~/k-cert.pub", '"~/a b-cert.pub" # mine', "none", "%d/%h-cert.pub"]),
    "GlobalKnownHostsFile": st.sampled_from(["none", "/etc/kh", '"/etc/a b" /c', "/dev/null # none"]),
    "KnownHostsCommand": st.sampled_from(["none", "/bin/echo %H %t", '/bin/echo "a b"']),
    "PubkeyAuthentication": st.sampled_from(["yes", "no", "unbound", "host-bound"]),
    "ProxyUseFdpass": st.sampled_from(["yes", "no"]),
    "Include": st.sampled_from(["FOLDER/inner", '"FOLDER/in*"', "FOLDER/nowhere FOLDER/inner # both", "FOLDER"]),
}
HEAD = st.one_of(
    st.lists(WORD, min_size=1, max_size=3).map(lambda words: f"Host {' '.join(words)}"),
    st.sampled_from(
        [
            "Match all",
            "Match user u",
            "Match host a,*.b",
            "Match !host a",
            "Match originalhost b",
            'Match exec "test %h = a"',
            "Match final all",
        ]
    ),
)


def lines(keys: set[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(keys)).flatmap(
        lambda key: st.tuples(VALUES[key], st.sampled_from([" ", "=", " = "]), st.booleans()).map(
            lambda parts: f"{'  ' if parts[2] else chr(9)}{key.lower() if parts[2] else key}{parts[1]}{parts[0]}"
        )
    )


def block(line: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(HEAD, st.lists(line, max_size=4)).map(lambda block: "\n".join((block[0], *block[1])))


INNER = lines(set(VALUES) - {"Include"})
LINE = st.one_of(INNER, INNER, INNER, lines({"Include"}))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    first=st.lists(LINE, max_size=2),
    blocks=st.lists(block(LINE), max_size=4),
    inner=st.lists(st.one_of(INNER, block(INNER)), max_size=3),
    host=st.sampled_from(["a", "b", "a.b", "c"]),
    user=st.sampled_from([None, "u"]),
)
def test_any_configuration_means_what_ssh_says(
    use: UseConfig, tmp_path: Path, first: list[str], blocks: list[str], inner: list[str], host: str, user: str | None
) -> None:
    # Here HOME is not the account's home: its known_hosts are named in the first pass, and ssh keeps what that pass has set.
    text = "\n".join((*first, *blocks, *inner)).lower()
    assume(not ("final" in text and "userknownhostsfile" in text))
    (tmp_path / "inner").write_text("\n".join(inner) + "\n")
    file = use("\n".join((*first, *blocks)).replace("FOLDER", str(tmp_path)) + "\n")
    words = ["-l", user, host] if user else [host]
    try:
        theirs = said(file, *words)
    except subprocess.CalledProcessError:
        with pytest.raises(UsageError):
            ask_ssh.ask(Destination(host, user), 20)
        return
    same(ask_ssh.ask(Destination(host, user), 20), theirs)


@pytest.fixture
def without_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.mark.usefixtures("without_ssh")
def test_without_ssh_what_paramiko_reads_is_used(use: UseConfig) -> None:
    host = "Host a # mine\n  HostName 192.0.2.1   # why\n  User jane.doe # who\n  Port 2222\n"
    use(f"{host}Match host 192.0.2.1 user jane.doe\n  ProxyJump u@j\n")
    found = ask_ssh.ask(Destination("a"), 5)
    assert (found.hostname, found.user, found.port) == ("192.0.2.1", "jane.doe", 2222)
    assert [str(one) for one in found.jumps] == ["u@j"]
    assert ask_ssh.ask(Destination("a", "root", 22), 5).user == "root"


@pytest.mark.usefixtures("without_ssh")
@pytest.mark.parametrize(
    "line",
    ["Match tagged prod", "Match localnetwork 10.0.0.0/8", "match host a command x", "Match version=x", "Include more", "  include=x"],
)
def test_without_ssh_what_paramiko_does_not_judge_is_refused(use: UseConfig, line: str) -> None:
    file = use(f"Host a\n  User x\n{line}\n  User y\n")
    with pytest.raises(UsageError, match="only ssh itself can judge") as error:
        ask_ssh.ask(Destination("a"), 5)
    assert str(file) in error.value.what
    assert error.value.fix == "install the OpenSSH client"


@pytest.mark.parametrize(
    "text",
    [
        'User "jane" # it is\n',
        "User 'jane doe'#no\n",
        'User a"b c"d\nPort "2222"\n',
        'User a\\ b\nHostName "h" # why\n',
        'User "a\\"b"\n',
        "Port=2222 # c\nHostName = h\n",
        "ProxyCommand none\nHost x\n  ProxyCommand nc %h %p\n",
        "ProxyCommand NONE\n",
        "Host x\n  Port 2222\n  ProxyCommand nc %h %p # it is no comment\n",
        'UserKnownHostsFile "/a b" /kh_%h # c\n',
        'IdentityFile "~/a b" # c\nIdentityFile none\nIdentityFile ~/c\n',
        'Host "x" y # z\n  User u\n',
        "Match user special\n  Port 2222\nHost x\n  User other\n",
        "Match user special host h\n  Port 2222\nHost x\n  HostName h\n",
        "Match host h user special\n  Port 2222\n",
        "Include FOLDER\nUser u\n",
        "Include FOLDER/*\nUser u\n",
        "IdentitiesOnly true\nPubkeyAuthentication no\nConnectTimeout 7\nAddressFamily inet\n",
        "# a\n\n\tUser\tu\t# c\n",
        "# a\u2028Port 2222\n# b\x0cPort 2223\n# c\x85Port 2224\nUser u\r\n",
    ],
)
@pytest.mark.parametrize("asked", [Destination("x"), Destination("x", "special", 2200)])
def test_without_ssh_the_same_is_read(
    text: str, asked: Destination, use: UseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deep").mkdir()
    file = use(text.replace("FOLDER", f"{tmp_path}/more"))
    theirs = ask_ssh.ask(asked, 20)
    assert said(file, "x"), "ssh itself takes it"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    use(file.read_bytes())
    ours = ask_ssh.ask(asked, 20)
    for name in ("hostname", "port", "user", "proxy_command", "jumps", "identities_only", "keys_forbidden_by", "connect_timeout"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if "known" in text.lower():
        assert ours.user_known_hosts == theirs.user_known_hosts
    if "IdentityFile" in text:
        assert ours.identity_files == theirs.identity_files


@pytest.mark.usefixtures("without_ssh")
def test_without_ssh_the_system_s_file_adds_to_the_user_s(use: UseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system").write_text("Match host h user u\n  Port 2222\nHost *\n  User other\n  HostName elsewhere\n")
    monkeypatch.setattr(ask_ssh, "SYSTEM_FILE", f"{tmp_path}/system")
    use("User u\nHost x\n  HostName h\n")
    found = [ask_ssh.ask(Destination(host), 5) for host in ("x", "y")]
    assert [(one.hostname, one.user, one.port) for one in found] == [("h", "u", 2222), ("elsewhere", "u", 22)]


@pytest.mark.usefixtures("without_ssh")
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Port abc", "Port abc"),
        ("Port ssh", "Port ssh"),
        ("Port 22# c", "Port 22# c"),
        ("Port 0", "Port 0"),
        ("Port 99999", "Port 99999"),
        ("Port 0x16", "Port 0x16"),
        ("User a b", "User a b"),
        ('User ""', 'User ""'),
        ('User "a', 'User "a'),
        ("User # c", "User # c"),
        ("ConnectTimeout 1m", "ConnectTimeout 1m"),
        ("IdentitiesOnly maybe", "IdentitiesOnly maybe"),
        ("AddressFamily 6", "AddressFamily 6"),
        ("Include ~nosuchuser/x", "Include ~nosuchuser/x"),
        ("Include ${HOME}/x", "Include ${HOME}/x"),
        ("Include %d/x", "Include %d/x"),
        ("HostKeyAlgorithms +ssh-rsa", "HostKeyAlgorithms +ssh-rsa"),
        ("KexAlgorithms ^x", "KexAlgorithms ^x"),
        ('Include "x', 'Include "x'),
        ("CanonicalizeHostname yes", ""),
        ("CanonicalizeHostname yes\nCanonicalDomains a b\nCanonicalizeMaxDots x", ""),
        ("x", ""),
    ],
)
def test_without_ssh_what_only_ssh_understands_is_refused(line: str, why: str, use: UseConfig) -> None:
    file = use(f"{line}\nHost x\n  User u\n")
    with pytest.raises(UsageError) as error:
        ask_ssh.ask(Destination("x"), 5)
    assert str(file) in error.value.what
    assert (f" has {why}, which only ssh itself can judge" if why else " cannot be read") in error.value.what
    assert error.value.fix.startswith("install the OpenSSH client")


@pytest.mark.usefixtures("without_ssh")
def test_without_ssh_an_include_of_itself_is_refused(use: UseConfig, tmp_path: Path) -> None:
    use(f"Include {tmp_path}/.ssh/config\n")
    with pytest.raises(UsageError, match="includes more than 16 files in a row"):
        ask_ssh.ask(Destination("x"), 5)
    (tmp_path / "a").write_bytes(b"User u # \xfc\n")
    use(f"Include {tmp_path}/a\n")
    assert ask_ssh.ask(Destination("x"), 5).user == "u"


@pytest.mark.parametrize("user", ["jane.doe", "CORP\\jane", "jane@corp.example", "Root"])
@pytest.mark.parametrize("file", ["/home/me/id", "/home/me/my key", '/home/me/a"b', "/home/me/100%h", "/home/me/a\\b #c"])
def test_the_inventory_as_ssh_reads_it(user: str, file: str, tmp_path: Path) -> None:
    """What `host ssh-config` prints is read by ssh as it was meant."""
    access = Access(user=user, identity=file, known_hosts=file)
    config = tmp_path / "config"
    config.write_text(ssh_config.block(Host("box", "192.0.2.1", access, frozenset(), {}, {}, 2222), Templates([Path("templates")])))
    theirs = said(config, "box")
    assert (theirs["hostname"], theirs["user"], theirs["port"]) == (["192.0.2.1"], [user], ["2222"])
    assert [name.replace("%%", "%") for name in theirs["identityfile"]] == [file]
    assert theirs["userknownhostsfile"] == [file]
    assert (adhoc(f"{user}@box").access.user, adhoc(f"{user}@box.example.:22").address) == (user, "box.example.")
