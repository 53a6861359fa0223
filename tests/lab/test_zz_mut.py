import pathlib
import pytest
from tests.lab import test_tunnel as t
from tests.lab.test_tunnel import ends, tunnel  # noqa
@pytest.fixture
def mutated(tmp_path):
    (tmp_path/"templates/tunnel").mkdir(parents=True)
    text=pathlib.Path("templates/tunnel/sshd.j2").read_text().replace("    AllowStreamLocalForwarding no\n","")
    (tmp_path/"templates/tunnel/sshd.j2").write_text(text)
def test_m(mutated, ends, tunnel):
    t.test_the_key_can_do_nothing_else(ends, tunnel, reverse=False)
def test_u(ends, tunnel):
    t.test_the_key_can_do_nothing_else(ends, tunnel, reverse=False)
