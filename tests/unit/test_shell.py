"""Nothing breaks out of its quotes, and a script that was cut runs nothing: asked of the real dash and bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops import shell
from novaops.secret import Secret
from novaops.shell import assign, here_file, join, lines_of, quote, whole, whole_lines

SHELLS = ("dash", "bash")
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)
HOSTILE = [
    *("", "'", "''", "'\\''", "$(id)", "`id`", "$host", "%s%n", "-n", "--", "~", "~root", "*", "?", "[a]", "{a,b}", "a=b", "!", "!!", "\\"),
    *(
        "\n",
        "a\nb",
        "\r\n",
        "\t",
        " ",
        "\x1b[31m",
        "汉语-['foo bar'].txt",
        "#",
        ";",
        "&",
        "|",
        ">x",
        "<x",
        "\x7f",
        "é",
        "\u2028",
        '"',
        "$'\\n'",
    ),
]


def run(shell: str, script: str | bytes) -> subprocess.CompletedProcess[bytes]:
    data = script.encode("utf-8", "surrogateescape") if isinstance(script, str) else script
    return subprocess.run([shell, "-s"], input=data, capture_output=True, timeout=10, check=False)


@pytest.mark.parametrize("shell", SHELLS)
@given(st.lists(TEXT, min_size=1, max_size=40))
@example(HOSTILE)
def test_words_arrive_as_they_are(shell: str, words: list[str]) -> None:
    done = run(shell, f"printf '%s\\0' {join(words)}\nprintf %s {quote(words[0])}\n")
    assert done.stdout == b"".join(w.encode() + b"\0" for w in words) + words[0].encode()
    assert done.stderr == b""


@pytest.mark.parametrize("shell", SHELLS)
@given(TEXT, st.integers())
def test_variables_have_the_values_given(shell: str, text: str, number: int) -> None:
    done = run(shell, f'{assign(text=text, number=number)}printf \'%s\\0%s\' "$text" "$number"\n')
    assert (done.stdout, done.stderr) == (text.encode() + b"\0" + str(number).encode(), b"")


def test_bytes_that_are_no_utf8_arrive_as_they_are() -> None:
    word = b"caf\xe9 '\xff".decode("utf-8", "surrogateescape")
    assert run("dash", f"printf %s {quote(word)}").stdout == b"caf\xe9 '\xff"


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")


@pytest.mark.parametrize(
    ("word", "written"), [("", "''"), ("/dev/vdb1", "/dev/vdb1"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("é", "'é'")]
)
def test_words_that_need_no_quotes_have_none(word: str, written: str) -> None:
    assert quote(word) == written


@pytest.mark.parametrize("shell", SHELLS)
@given(st.binary(max_size=300))
@example(b"")
@example(b"$host $(id) `id` 'quotes' \"more\" % \xc3\xa9 \\ no line break at the end")
@example(b"END_0\nEND\n\0\xff")
def test_a_file_arrives_byte_for_byte(shell: str, content: bytes) -> None:
    """K03, through a pipe instead of a file: no file system is needed to see it."""
    script = here_file("/dev/stdout", content, "exit 9").replace(">/dev/stdout", "")
    assert run(shell, whole(script)).stdout == content


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_that_cannot_be_written_is_noticed(shell: str) -> None:
    assert run(shell, whole(here_file("/dev/full", b"x" * 9999, "{ echo full; exit 9; }"))).returncode == 9


BODY = "echo ran\n" + here_file('"$target"', b"some content\n" * 9, "exit 9").replace(">", ">>", 1) + "echo 'it''s }' done\ncat\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_cut_at_any_byte_runs_whole_or_not_at_all(shell: str, tmp_path: Path) -> None:
    """Many scripts in one call, each cut elsewhere: only one that has all of its body may do anything."""
    script = whole(BODY).encode()
    body_ends = script.index(b"\n}\nmain") + 3
    target = tmp_path / "target"
    for cut in sorted({*range(0, body_ends, 29), *range(body_ends - 6, len(script) + 1)}):
        done = subprocess.run(
            [shell, "-s"],
            input=script[:cut],
            env={"target": str(target), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=10,
            check=False,
        )
        ran = target.exists()
        assert done.stdout in ((b"ran\nits } done\n",) if ran else (b"",)), script[:cut]
        assert cut >= body_ends or not ran, script[:cut]
        if cut == len(script):
            assert ran
        target.unlink(missing_ok=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_step_cannot_swallow_what_follows(shell: str) -> None:
    assert run(shell, whole('cat\nread -r line\necho "after:$line"\n')).stdout == b"after:\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_tools_speak_english_and_are_found(shell: str) -> None:
    script = whole('echo "$LC_ALL:${LANG-}:${POSIXLY_CORRECT-}"; echo "$PATH"')
    done = subprocess.run(
        [shell, "-s"],
        input=script,
        env={"LANG": "fr_FR", "POSIXLY_CORRECT": "1", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == "C::"
    assert "/usr/sbin" in done.stdout


def test_a_secret_is_no_word() -> None:
    """Words are text. A secret among them is an error, not `[secret]` on the command line of a host."""
    with pytest.raises(TypeError):
        join(["printf", Secret("hunter2")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\x0cb\x1cc\x1dd\x1ee\x85f\u2028g\u2029h\x0bi\rj\n", ["a\x0cb\x1cc\x1dd\x1ee\x85f\u2028g\u2029h\x0bi\rj"]),
    ],
)
def test_lines_end_at_newlines_only(printed: str, lines: list[str]) -> None:
    assert lines_of(printed) == lines
    assert "".join(whole_lines(printed)) == printed
    assert [line.removesuffix("\n").removesuffix("\r") for line in whole_lines(printed)] == lines


def test_nothing_that_reads_a_host_splits_elsewhere() -> None:
    """splitlines() ends a line at ten characters. Names of processes, disks and files may hold nine of them."""
    package = Path(shell.__file__).parent
    rooms = ("facts", "features", "engine", "verify", "model", "resources", "providers")
    files = [file for room in rooms for file in (package / room).rglob("*.py")]
    assert files
    assert [str(file) for file in files if "splitlines(" in file.read_text("utf-8")] == []
