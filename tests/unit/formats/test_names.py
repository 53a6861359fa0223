"""Names, paths and addresses: what passes, and that nothing that passes breaks out of sh, fstab or known_hosts."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats import fstab, names
from novaops.shell import quote
from novaops.ssh.known_hosts import host_name

TABLE = yaml.safe_load((Path(__file__).parents[2] / "cases" / "names.yaml").read_text("utf-8"))
GOOD = [pytest.param(kind, text, meant, id=f"{kind}-{text}") for kind, table in TABLE.items() for text, meant in table["good"].items()]
BAD = [pytest.param(kind, text, id=f"{kind}-{text!r}") for kind, table in TABLE.items() for text in table["bad"]]


@pytest.mark.parametrize(("kind", "text", "meant"), GOOD)
def test_good(kind: str, text: str, meant: Any) -> None:
    found = getattr(names, kind)(text)
    assert found == (tuple(meant) if isinstance(meant, list) else meant)


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_bad(kind: str, text: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - what it says is asserted next
        getattr(names, kind)(text)
    offending = str(error.value).split('"')[1] if str(error.value).startswith('"') else ast.literal_eval(str(error.value).split(" has ")[0])
    assert offending in text


SIGNS = st.text(st.sampled_from("ab9.-_/:@%=+,;$`'\"\\ \n\r\t\0#|&<>()[]{}*?!~é\u2028\x85\x1b\u0663"), max_size=12)


def passes(check: Callable[[str], Any], text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", ["host", "name", "user", "owner"])
@given(SIGNS)
@example("fe80::1%$(id)")
@example("a\n")
def test_a_word_that_passes_is_a_word_everywhere(kind: str, text: str) -> None:
    """One word to sh without its quotes, one field in fstab and known_hosts, no option to any program."""
    if not passes(getattr(names, kind), text):
        return
    assert shlex.split(text) == [text]
    assert len(text.split()) == 1
    assert not text.startswith("-")
    assert not set(text) & set("$`'\"\\;|&<>()#*?!~,")
    assert text.isascii()


@given(SIGNS, st.integers(1, 65535))
@example("a.", 22)
def test_a_host_of_ssh_that_passes_is_a_word_everywhere(text: str, port: int) -> None:
    """It is a word of the shell's that a ProxyCommand is run by."""
    if passes(names.ssh_host, text):
        found = names.ssh_host(text)
        assert shlex.split(found) == [found]
        assert not set(host_name(found, port)) & set(",|!*?#\n$`'\"\\;&<> ")


@given(SIGNS)
@example("CORP\\jane")
def test_a_login_that_passes_is_no_option_and_reaches_no_shell(text: str) -> None:
    if passes(names.login, text):
        assert not text.startswith("-")
        assert not set(text) & set("'`\";&<>|(){}$% \t\r\n")
        assert not text.endswith("\\")


@given(SIGNS.map("a={}".format) | SIGNS.map('a="{}"'.format) | SIGNS)
@example('context="system_u:object_r:t:s0:c1,c2"')
@example("subvol=my volume\\040#1")
@example("a=$(id)")
@example('a="b"c"')
@example("a\n")
@example("-o")
def test_a_mount_option_that_passes_stays_one_option(text: str) -> None:
    """One word to sh, and one option of one field in fstab."""
    if not passes(names.mount_option, text):
        return
    assert shlex.split(quote(text)) == [text]
    assert not text.startswith("-")
    line = fstab.FstabLine("UUID=1", "/data", "ext4", ("rw", text, "nofail"))
    assert [found for _, found in fstab.parse(line.render().encode())] == [line]


@given(SIGNS.map("/{}".format))
@example("/a\u2028b")
def test_a_path_that_passes_stays_one_field(text: str) -> None:
    if not passes(names.path, text):
        return
    path = names.path(text)
    assert path.splitlines() == [path]
    assert names.path(path) == path
    assert shlex.split(quote(path)) == [path]
    line = fstab.FstabLine("UUID=1", path, "ext4")
    assert [found for _, found in fstab.parse(line.render().encode())] == [line]
    assert len(line.render().split()) == 6


@given(SIGNS, st.integers(1, 65535))
def test_an_address_that_passes_is_one_name_in_known_hosts(text: str, port: int) -> None:
    if passes(names.host, text):
        name = host_name(names.host(text), port)
        assert len(name.split()) == 1
        assert not set(name) & set(",|!*?#\n")
