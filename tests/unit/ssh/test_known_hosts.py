"""known_hosts, read as OpenSSH reads it: ssh-keygen is the other pair of eyes."""

from __future__ import annotations

import base64
import fcntl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.ssh import known_hosts
from novaops.ssh.known_hosts import add, entries, fingerprint, host_name, matching


def key(number: int) -> bytes:
    """An ed25519 public key as it stands in known_hosts: ssh-keygen asks for no more than its form."""
    kind = b"ssh-ed25519"
    return len(kind).to_bytes(4) + kind + (32).to_bytes(4) + bytes([number]) * 32


def line(patterns: str, number: int = 1, marker: str = "", comment: str = "") -> str:
    return " ".join(part for part in (marker, patterns, "ssh-ed25519", base64.b64encode(key(number)).decode(), comment) if part)


def found_by_ssh(file: Path, host: str) -> list[int]:
    done = subprocess.run(["ssh-keygen", "-F", host, "-f", str(file)], capture_output=True, text=True, check=False)
    return [int(text.split(" found: line ")[1].split(" ")[0]) for text in done.stdout.splitlines() if text.startswith("# Host ")]


def found_here(file: Path, host: str) -> list[int]:
    found = matching(host, entries([file]))
    assert known_hosts.find(host, [file]) == found
    return [entry.line for entry in found]


LINES = [
    *("# a comment", "", "   ", "host.example " + "x" * 10, "broken", line("host.example"), line("host.example,192.0.2.1", 2)),
    *(line("[host.example]:2222"), line("*.example"), line("*.example,!host.example"), line("!host.example,*"), line("h?st.example")),
    *(
        line("[192.0.2.1]:22"),
        line("HOST.example"),
        line("host.example", 3, "@revoked"),
        line("*", 4, "@cert-authority"),
        line("a[b]c.example"),
    ),
    *(
        line("  host.example"),
        line("\thost.example"),
        line("host.example", 5, comment="ana@laptop  with # signs"),
        line("other.example", 6, comment=f"a\u2028{line('host.example', 7)}"),
        line("2001:db8::1"),
        line("[*]:2222"),
    ),
]
HOSTS = [
    "host.example",
    "192.0.2.1",
    "[host.example]:2222",
    "other.example",
    "2001:db8::1",
    "[2001:db8::1]:2222",
    "ab.example",
    "hast.example",
    "example",
]


@pytest.fixture(scope="module")
def all_lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("known") / "known_hosts"
    file.write_text("\n".join(LINES) + "\n")
    return file


@pytest.mark.parametrize("host", HOSTS)
def test_the_same_lines_as_ssh(all_lines: Path, host: str) -> None:
    assert found_here(all_lines, host) == found_by_ssh(all_lines, host)


def test_hashed_names_as_ssh(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(
        "\n".join(line(name, number) for number, name in enumerate(["host.example", "[host.example]:2222", "192.0.2.1"])) + "\n"
    )
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], capture_output=True, check=True)
    assert "host.example" not in file.read_text()
    for host in HOSTS:
        assert found_here(file, host) == found_by_ssh(file, host)
    assert found_here(file, "[host.example]:2222") == [2]


def test_hashed_names_are_small_letters(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(line("host.example") + "\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], capture_output=True, check=True)
    assert found_here(file, "Host.Example") == [1]


def test_broken_hashes_match_nothing(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("\n".join(line(name) for name in ("|1|", "|1|a|b", "|1||", "|1|x|y|z", "|2|YQ==|YQ==", "|1|YQ==|YQ==")) + "\n")
    assert found_here(file, "host.example") == found_by_ssh(file, "host.example") == []


PATTERN = st.text(st.sampled_from("ab.*?![]"), min_size=1, max_size=5)


@settings(max_examples=10)
@given(st.lists(st.lists(PATTERN, min_size=1, max_size=3).map(",".join), min_size=1, max_size=20))
def test_any_pattern_as_ssh(tmp_path_factory: pytest.TempPathFactory, patterns: list[str]) -> None:
    file = tmp_path_factory.mktemp("patterns") / "known_hosts"
    file.write_text("".join(line(pattern) + "\n" for pattern in patterns))
    for host in ("ab", "a.b"):
        assert found_here(file, host) == found_by_ssh(file, host)


def test_a_fingerprint_as_ssh_prints_it(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(line("host.example") + "\n")
    printed = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], capture_output=True, text=True, check=True).stdout
    assert printed.split(" ")[1] == fingerprint(key(1))


def test_an_entry_says_where_it_stands(all_lines: Path) -> None:
    revoked = next(entry for entry in entries([all_lines]) if entry.marker)
    assert (revoked.marker, revoked.where, revoked.key) == (
        "@revoked",
        f"{all_lines}:{LINES.index(line('host.example', 3, '@revoked')) + 1}",
        key(3),
    )


def test_files_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    assert list(entries([tmp_path / "none", tmp_path])) == []


@pytest.mark.parametrize(
    ("address", "port", "name"), [("a.b", 22, "a.b"), ("a.b", 2222, "[a.b]:2222"), ("::1", 22, "::1"), ("::1", 23, "[::1]:23")]
)
def test_how_a_server_is_named(address: str, port: int, name: str) -> None:
    assert host_name(address, port) == name


@pytest.mark.parametrize("before", [b"", b"# mine\n", b"# no line break at the end", b"caf\xe9 \xff\r\n\n\n"])
def test_a_line_is_added_and_no_byte_changed(tmp_path: Path, before: bytes) -> None:
    file = tmp_path / "deep" / "known_hosts"
    if before:
        file.parent.mkdir()
        file.write_bytes(before)
    add(file, "[host.example]:2222", "ssh-ed25519", key(1))
    after = file.read_bytes()
    assert after.startswith(before)
    assert after.removeprefix(before).lstrip(b"\n").decode() == line("[host.example]:2222") + "\n"
    assert found_by_ssh(file, "[host.example]:2222") == found_here(file, "[host.example]:2222") != []
    if not before:
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_line_is_added_once(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    assert add(file, "host.example", "ssh-ed25519", key(1)) is True
    before = file.read_bytes()
    assert add(file, "host.example", "ssh-ed25519", key(1)) is False
    assert file.read_bytes() == before


def test_many_at_once_lose_no_line(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add(file, f"host{number}.example", "ssh-ed25519", key(number)), range(40)))
    assert {entry.patterns[0] for entry in entries([file])} == {f"host{number}.example" for number in range(40)}
    assert len(file.read_text().splitlines()) == 40


def test_who_has_the_lock_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with file.open("ab") as stream, ThreadPoolExecutor(1) as pool:
        fcntl.flock(stream, fcntl.LOCK_EX)
        added = pool.submit(add, file, "host.example", "ssh-ed25519", key(1))
        with pytest.raises(TimeoutError):
            added.result(timeout=0.05)
        assert file.read_bytes() == b""
        fcntl.flock(stream, fcntl.LOCK_UN)
        assert added.result(timeout=5)


def test_a_file_is_read_once_for_each_of_its_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{line(f'host{number}.example')}\n" for number in range(50)))
    reads: list[Path] = []
    read = Path.read_text

    def counted(path: Path, *words: str) -> str:
        reads.append(path)
        return read(path, *words)

    monkeypatch.setattr(Path, "read_text", counted)
    assert [len(known_hosts.find(f"host{number}.example", [file])) for number in range(60)] == [1] * 50 + [0] * 10
    assert reads == [file]
    add(file, "host55.example", "ssh-ed25519", key(1))
    assert len(known_hosts.find("host55.example", [file])) == 1
    assert known_hosts.find("host1.example", [tmp_path / "none"]) == []
