from hypothesis import given
from hypothesis import strategies as st

from novaops.features.eve.telnet import Telnet, typed

QEMU = b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"
"""What qemu says first: WILL echo, WILL go ahead, WILL binary, DO binary."""


def test_what_qemu_offers_is_taken() -> None:
    assert Telnet().received(QEMU + b"login: ") == (b"login: ", b"\xff\xfd\x01\xff\xfd\x03\xff\xfd\x00\xff\xfb\x00")


def test_anything_else_is_declined_once() -> None:
    telnet = Telnet()
    assert telnet.received(b"\xff\xfd\x18\xff\xfb\x22") == (b"", b"\xff\xfc\x18\xff\xfe\x22")
    assert telnet.received(b"\xff\xfd\x18") == (b"", b"")


def test_subnegotiations_and_other_commands_are_not_text() -> None:
    assert Telnet().received(b"a\xff\xfa\x18\x01x\xff\xf0b\xff\xf9c\xff\xffd") == (b"abc\xffd", b"")


@given(st.binary(), st.lists(st.integers(0, 30), max_size=5))
def test_it_does_not_matter_where_the_stream_is_cut(data: bytes, cuts: list[int]) -> None:
    whole = Telnet().received(data)
    telnet, text, reply, at = Telnet(), b"", b"", 0
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        some, back = telnet.received(data[at:end])
        text, reply, at = text + some, reply + back, end
    assert (text, reply) == whole


@given(st.binary())
def test_what_is_typed_arrives(data: bytes) -> None:
    assert Telnet().received(typed(data)) == (data, b"")
