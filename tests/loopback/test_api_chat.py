"""`novaops api chat` as a person runs it: the process, its terminal, its signals, and a route over ssh."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from novaops import app
from tests.support.llm_api import KEY, LlmApi
from tests.support.world.authority import Authority

if TYPE_CHECKING:
    from tests.loopback.conftest import Host
    from tests.support.local_model import Local

SECONDS = 60
Chat = Callable[..., "Done"]
CHAT = [sys.executable, "-m", "novaops", "api", "chat"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def api() -> Iterator[LlmApi]:
    with LlmApi() as made:
        yield made


def provider(folder: Path, api: LlmApi, host: str, *, tls: str) -> None:
    """A file that describes the stand-in, as a user adds a provider."""
    (folder / "providers").mkdir(exist_ok=True)
    endpoint = f"{{host: {host}, port: {api.port}, path: /v1, tls: {tls}}}"
    model = "stream: {path: /v1/chat/completions, body: {model: stand-in}}"
    (folder / "providers/mine.yaml").write_text(f"endpoints: [{endpoint}]\nprobe: /v1/models\nkey: {{source: env:MINE}}\n{model}\n")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "MINE": KEY, "NO_PROXY": "*", **more}


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """The verb, run in this process: to start one takes longer than a question."""

    def run(*words: str, folder: Path = tmp_path, given: str = "", **more: str) -> Done:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        for name, value in environment(**more).items():
            monkeypatch.setenv(name, value)
        done = Done(app.run(["api", "chat", *words]), *capsys.readouterr())
        assert "Traceback" not in done.out + done.err
        assert KEY not in done.out + done.err
        return done

    return run


def test_a_question(api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    (tmp_path / "facts.txt").write_text("The sky is green.")
    done = chat("-", "--context", "@facts.txt", "--system", "Be brief.", "--top-p", "0.5", given="Say hello.\n")
    assert (done.code, done.out) == (0, "Hello, world\n")
    assert re.fullmatch(r"mine stand-in by direct: first token after \d+ ms; .* s in all; 7 tokens asked, 3 answered\n", done.err)
    (asked,) = api.asked
    assert [message["content"] for message in asked["messages"]] == [
        "Base the answer on this:\n\nThe sky is green.",
        "Be brief.",
        "Say hello.\n",
    ]
    assert (asked["top_p"], asked["stream"]) == (0.5, True)


@pytest.mark.parametrize("text", ["@alice says hi", "@facts.txt", "@"])
def test_a_question_is_no_file(text: str, api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    (tmp_path / "facts.txt").write_text("The sky is green.")
    assert chat(text).code == 0
    assert api.asked[0]["messages"] == [{"role": "user", "content": text}]


def test_an_answer_that_is_cut_short(api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    """Its text is printed, and it is no success."""
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    api.chunks = [b'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":"length"}]}\n\n']
    done = chat("hi")
    assert (done.code, done.out) == (1, "half\n")
    assert "ended by length\n✘ the answer of mine is cut short\n    It says that it ended by: length.\n" in done.err
    assert "→ --max-tokens N" in done.err
    assert chat("hi", "--max-tokens", "1").code == 0


def test_for_a_machine(api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\n")
    document = json.loads(chat("hi", "--provider", "mine", "--json").out)
    assert document["answers"] == [{"text": "Hello, world", "finish_reason": "stop"}]
    assert (document["provider"], document["model"], document["route"], document["exit_code"]) == ("mine", "stand-in", "direct", 0)
    api.behaviour.cut = "chunked"
    done = chat("hi", "--provider", "mine", "--json")
    document = json.loads(done.out)
    assert (done.code, document["exit_code"], document["error"]["code"]) == (1, 1, "api")
    assert document["answers"][0]["text"].startswith("Hello")


@pytest.mark.parametrize("more", [[], ["--json"], ["--no-stream"], ["-v"]])
def test_a_model_that_says_the_key(more: list[str], api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    """The fixture looks for the key in all that is printed."""
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    api.pieces = ["It is ", KEY[:7], KEY[7:], "."]
    assert "It is [secret]." in chat("hi", *more).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no question"),
        (["-"], "standard input is empty"),
        (["hi", "--context", "@nothing"], "nothing cannot be read"),
        (["hi", "--system", "@nothing"], "nothing cannot be read"),
        (["hi", "--context", "@~nobody-of-that-name/a"], "~nobody-of-that-name/a cannot be read"),
        (["hi", "--context", "@"], "@ cannot be read"),
        (["hi", "--seed", "1"], "novaops knows no parameter of mine for --seed"),
        (["hi", "--temperature", "warm"], "'--temperature'"),
        (["hi", "--via", "nowhere"], "has no host or group nowhere"),
        (["--json"], "there is no question"),
    ],
)
def test_wrong_words(words: list[str], said: str, api: LlmApi, tmp_path: Path, chat: Chat) -> None:
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    done = chat(*words)
    assert done.code == 2
    assert said in done.out + done.err
    assert not api.requests


def test_over_ssh(host: Host, authority: Authority, chat: Chat) -> None:
    """The host resolves the name and connects; the certificate is checked against that name, here."""
    with LlmApi(leaf=authority.leaf("localhost"), strict=True) as api:
        provider(host.folder, api, "localhost", tls="on")
        access = f"address: 127.0.0.1:{host.port}, user: root, identity: {host.identity}, known_hosts: {host.known_hosts}"
        (host.folder / "inventory.yaml").write_text(f"hosts:\n  loop: {{{access}}}\napi: {{provider: mine, route: loop}}\n")
        trusted = {"SSL_CERT_FILE": str(authority.root)}
        done = chat("hi", "--via", "loop", folder=host.folder, **trusted)
        assert (done.code, done.out) == (0, "Hello, world\n"), done.err
        assert "mine stand-in by loop: " in done.err
        (request,) = api.requests
        assert (request.sni, request.header("Host")) == ("localhost", f"localhost:{api.port}")
        api.show(authority.leaf("elsewhere.test"))
        done = chat("hi", "--via", "loop", folder=host.folder, **trusted)
        assert (done.code, done.out) == (5, "")
        assert f"the certificate of localhost:{api.port} by loop is not accepted: Hostname mismatch" in done.err
        done = chat("hi", "--via", "loop", folder=host.folder, SSL_CERT_FILE="")
        assert (done.code, "is not accepted" in done.err) == (5, True)
        assert len(api.requests) == 1
        host.manners.forwards = False
        done = chat("hi", "--via", "loop", folder=host.folder, **trusted)
        assert (done.code, "does not forward to localhost" in done.err) == (1, True)
        assert not host.execs


class Terminal:
    """A process on a terminal of its own, and what it has printed there."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._printed = ""

    def until(self, pattern: str) -> str:
        """All that was printed up to this, which is forgotten. Fails where it does not come."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self._printed)):
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {pattern!r} in {self._printed!r}"
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                data = b""
            assert data, f"it ended, with no {pattern!r} in {self._printed!r}"
            self._printed += data.decode()
        before, self._printed = self._printed[: found.end()], self._printed[found.end() :]
        return before

    def types(self, text: str) -> None:
        """Types it once the process waits: a Ctrl-C between Python's prompt and its wait for a line is not noticed before the line."""
        deadline = time.monotonic() + SECONDS
        while not self._sleeps():
            assert time.monotonic() < deadline, "the process never waits"
        os.write(self._master, text.encode())

    def _sleeps(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "S"


def test_a_base_that_is_deleted_meanwhile(api: LlmApi, tmp_path: Path) -> None:
    """The conversation goes on, with all that was said."""
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")
    own = tmp_path / "data/novaops/knowledge/own.sqlite"

    def base(*words: str) -> None:
        subprocess.run([*CHAT[:-1], "knowledge", *words], cwd=tmp_path, env=environment(XDG_DATA_HOME=str(tmp_path / "data")), check=True)

    base("create", "own")
    with terminal(tmp_path, "--knowledge", "own", XDG_DATA_HOME=str(tmp_path / "data")) as screen:
        screen.until("> ")
        screen.types("one\n")
        screen.until("answered\r\n> ")
        own.unlink()
        screen.types("two\n")
        assert "there is no knowledge base own" in screen.until("\r\n> ")
        base("create", "own")
        screen.types("three\n")
        screen.until("answered\r\n> ")
        assert [message["content"] for message in api.asked[-1]["messages"]] == ["one", "Hello, world", "three"]
        screen.types("\x04")
        assert screen.process.wait(SECONDS) == 0


@contextmanager
def terminal(folder: Path, *words: str, **more: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    settings = environment(TERM="dumb", **more)
    with subprocess.Popen(
        [*CHAT, *words],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=settings,
        start_new_session=True,
        preexec_fn=_owns_terminal,  # noqa: PLW1509 - it calls nothing that another thread could hold
    ) as process:
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            with suppress(OSError):
                os.close(master)


def _owns_terminal() -> None:
    """Ctrl-C typed there is for this process."""
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_conversation(api: LlmApi, tmp_path: Path) -> None:
    provider(tmp_path, api, "127.0.0.1", tls="off")
    (tmp_path / "inventory.yaml").write_text("hosts: {}\napi: {provider: mine}\n")

    def said() -> list[str]:
        return [message["content"] for message in api.asked[-1]["messages"]]

    with terminal(tmp_path, "--system", "S") as screen:
        screen.until("> ")
        screen.types("one\n")
        assert "Hello, world" in screen.until("answered\r\n> ")
        screen.types("two\n")
        screen.until("answered\r\n> ")
        assert said() == ["S", "one", "Hello, world", "two"]
        api.answers = [(500, {}, b"{}")]
        screen.types("three\n")
        assert "mine is in trouble (500)" in screen.until("try again later\r\n> ")
        screen.types("/what\n")
        screen.until("/reset begins anew.*\r\n> ")
        screen.types("\x03")
        screen.until("> ")
        screen.types("four\n")
        screen.until("answered\r\n> ")
        assert said() == ["S", "one", "Hello, world", "two", "Hello, world", "four"]
        api.chunks = [b'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":"length"}]}\n\n']
        screen.types("long\n")
        assert "the answer of mine is cut short" in screen.until("longer\r\n> ")
        api.chunks = None
        screen.types("go on\n")
        screen.until("answered\r\n> ")
        assert said()[-3:] == ["long", "half", "go on"]
        screen.types("/reset\n")
        screen.until("> ")
        screen.types("five\n")
        screen.until("answered\r\n> ")
        assert said() == ["S", "five"]
        screen.types("\x04")
        assert screen.process.wait(SECONDS) == 0


def test_an_answer_of_a_real_model_is_stopped(local_model: Local, tmp_path: Path) -> None:
    """Ctrl-C in the middle of an answer: it stops, and the conversation goes on with what was said."""
    words = ["--provider", "local", "--upstream", local_model.url, "--temperature", "0"]
    with terminal(tmp_path, *words, HOME=str(local_model.home)) as screen:
        screen.until("> ")
        screen.types("Write a long story about a king and his ten daughters.\n")
        screen.until(r"\n(\S+ ){3}")
        screen.types("\x03")
        screen.until(r"Stopped\.\r\nlocal smollm2-135m by direct: first token after \d+ ms; .*\r\n> ")
        screen.types("/exit\n")
        assert screen.process.wait(SECONDS) == 0


@pytest.mark.long
def test_a_real_model_takes_the_parameters(local_model: Local, chat: Chat) -> None:
    """Each has the effect that docs/api.md says: the names in the provider's file are the server's own."""

    def asked(*words: str) -> Any:
        there = ("--provider", "local", "--upstream", local_model.url, "--json")
        return json.loads(chat(*there, "Name a colour.", *words, HOME=str(local_model.home)).out)

    def text(*words: str) -> str:
        return str(asked("--max-tokens", "24", *words)["answers"][0]["text"])

    plain = text("--temperature", "0")
    assert text("--temperature", "0") == plain
    assert text("--temperature", "1.5", "--top-p", "0.01") == plain
    assert text("--temperature", "1", "--seed", "7") == text("--temperature", "1", "--seed", "7")
    assert text("--temperature", "0", "--repetition-penalty", "1.8") != plain
    document = asked("--max-tokens", "5", "-n", "2")
    assert [one["finish_reason"] for one in document["answers"]] == ["length", "length"]
    assert document["usage"]["answer_tokens"] == 5
    assert 0 < document["first_token_ms"] < document["seconds"] * 1000
