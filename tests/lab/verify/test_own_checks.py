"""A section of the user's own, playbook and check, as docs/verify.md shows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops

PAGE = Path(__file__).parents[3] / "docs" / "verify.md"


def shown(first_line: str) -> str:
    """The code block of the page that begins with this line."""
    block = re.search(rf"^    {re.escape(first_line)}\n(?:    .*\n|\n)*", PAGE.read_text("utf-8"), re.MULTILINE)
    assert block is not None
    return dedent(block[0])


def test_a_section_of_ones_own_is_verified(
    container: LabHost, novaops: Novaops, inventory: Callable[[str, str], Path], tmp_path: Path
) -> None:
    file = inventory(container.name, "motd: hello")
    for kind, first_line in (("playbooks", '"""motd: the message of the day."""'), ("checks", '"""motd: whoever logs in reads it."""')):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "motd.py").write_text(shown(first_line), "utf-8")
    before = novaops("verify", "--json", inventory=file)
    assert before.code == 3, before.text
    assert "/etc/motd should say 'hello', but it says" in before.host["steps"][0]["message"]
    assert novaops("apply", inventory=file).code == 0
    done = novaops("verify", inventory=file)
    assert done.code == 0, done.text
    assert done.out.splitlines()[:-1] == [
        f"✓ {container.name}  motd:/etc/motd  says what the inventory says",
        f"✓ {container.name}  motd:/etc/motd  can be read by everybody",
    ]
    container.run("chmod 0600 /etc/motd")
    wrong = novaops("verify", "--json", inventory=file)
    assert wrong.code == 3, wrong.text
    assert [step["message"] for step in wrong.host["steps"] if step["status"] == "failed"] == [
        "/etc/motd should be readable by everybody, but its mode is 600"
    ]
    container.run("mv /etc/motd /etc/motd.away")
    unseen = novaops("verify", "--json", inventory=file)
    assert unseen.code == 1, unseen.text
    assert "could not be looked at: cat ended with exit status 1" in unseen.host["error"]["what"]
