"""What is typed on a console, and what counts as its answer: on consoles that are objects of this process."""

from __future__ import annotations

import time
from collections import deque

import pytest

from novaops.features.eve import console, ping
from novaops.features.eve.console import Console

ALIVE = "10.0.0.1"


class Linux(Console):
    """A shell on a console: it repeats what is typed, and its ping goes on until Ctrl-C."""

    def __init__(self, *, heeds: bool = True) -> None:
        self.out: deque[bytes] = deque()
        self.line = b""
        self.typed: list[bytes] = []
        self.pinged = ""
        self.next = 0.0
        self.heeds = heeds
        """Whether Ctrl-C ends a ping."""

    def write(self, data: bytes) -> None:
        self.typed.append(data)
        for one in data:
            if one == ord("\r"):
                self.out.append(b"\r\n")
                line, self.line = self.line.decode(), b""
                if not self.pinged and line.startswith("ping "):
                    self.pinged, self.next = line[5:], time.monotonic()
            elif one == ord("\3"):
                self.line, self.pinged = b"", "" if self.heeds else self.pinged
            else:
                self.line += bytes([one])
                self.out.append(bytes([one]))

    def read(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.pinged == ALIVE and time.monotonic() >= self.next:
                self.next += 0.05
                self.out.append(f"64 bytes from {self.pinged}: icmp_seq=1 ttl=64\r\n".encode())
            if self.out:
                return self.out.popleft()
            time.sleep(0.005)
        return b""


class Node(Console):
    """One that says `first` to whoever connects, `each` for each return key, and `always` again and again."""

    def __init__(self, first: bytes = b"", each: tuple[bytes, ...] = (), always: bytes = b"") -> None:
        self.out = deque([first] if first else [])
        self.each = deque(each)
        self.always = always
        self.next = time.monotonic()

    def write(self, data: bytes) -> None:
        assert data == b"\r"
        if self.each:
            self.out += [self.each[0][:3], self.each.popleft()[3:]]

    def read(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.always and time.monotonic() >= self.next:
                self.next = time.monotonic() + 0.15
                return self.always
            if self.out and (text := self.out.popleft()):
                return text
            time.sleep(0.005)
        return b""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LISTEN", 0.4)
    monkeypatch.setattr(console, "_QUIET", 0.1)
    monkeypatch.setattr(console, "_LONGEST", 1.0)


TITLE = b"\x1b]0;R1\x07"


@pytest.mark.parametrize(
    ("node", "answers"),
    [
        pytest.param(Node(TITLE), False, id="the title that EVE-NG's own programs send"),
        pytest.param(Node(each=(TITLE, TITLE)), False, id="a title again"),
        pytest.param(Node(each=(b"\x1b]0;R1\x1b\\", b"\x1b]0;R")), False, id="titles in another form, and one that is cut"),
        pytest.param(Node(b"Boot failed: not a bootable disk\r\nNo bootable device.\r\n"), False, id="no disk"),
        pytest.param(Node(TITLE, always=b"."), False, id="the dots of a delay"),
        pytest.param(Node(each=(b"\r\n", b"\x1b[2J\x1b[H")), False, id="nothing that can be seen"),
        pytest.param(Node(b"[  1.0] booting\r\n", each=(b"[  2.0] still\r\n",)), False, id="one line that came in that moment"),
        pytest.param(Node(), False, id="silence"),
        pytest.param(Node(TITLE + b"\r\nR1>", each=(b"\r\nR1>", b"\r\nR1>")), True, id="a prompt"),
        pytest.param(Node(each=(TITLE + b"\r\n#", b"\r\n#")), True, id="a short prompt after a title"),
    ],
)
def test_what_counts_as_an_answer(node: Node, *, answers: bool) -> None:
    assert node.answers() == answers


@pytest.mark.parametrize("url", ["", "/html5/#/client/MzI3Njk", "telnet://h", "telnet://h:99999", "telnet://h:0"])
def test_a_node_whose_console_is_not_known_has_not_answered(url: str) -> None:
    assert not console.answers(None, url)  # type: ignore[arg-type] # no session is used


@pytest.mark.parametrize("heeds", [True, False])
def test_a_ping_that_goes_on_does_not_answer_for_the_next(*, heeds: bool) -> None:
    node = Linux(heeds=heeds)
    assert node.ask(f"ping {ALIVE}", ping.answered(ALIVE), 5, ping=True)[0]
    assert not node.ask("ping 10.0.0.99", ping.answered("10.0.0.99"), 0.5, ping=True)[0]


def test_a_ping_is_ended_before_and_after_and_nothing_else_is() -> None:
    node = Linux()
    node.ask(f"ping {ALIVE}", ping.answered(ALIVE), 5, ping=True)
    assert node.typed == [b"\3\r", b"ping 10.0.0.1\r", b"\3"]
    assert node.pinged == ""
    node.typed.clear()
    node.ask("admin", "Password:", 0.1)
    assert node.typed == [b"\r", b"admin\r"]


def test_a_console_that_is_never_quiet_is_asked_all_the_same() -> None:
    node = Linux(heeds=False)
    node.pinged, node.next = ALIVE, time.monotonic()
    assert not node.ask("show version", "IOS", 0.1)[0]
    assert node.typed[-1] == b"show version\r"


def test_colours_do_not_hide_an_answer() -> None:
    assert console.plain("\x1b[1m64 bytes \x1b[0mfrom\x1b[K 10.0.0.7\x1b[m\r\n") == "64 bytes from 10.0.0.7\r\n"
