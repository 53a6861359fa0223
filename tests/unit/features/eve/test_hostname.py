"""The host's own line in /etc/hosts, and in what cloud-init makes that file of."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.engine.planner import make_plan
from novaops.facts.cloud_init import TEMPLATES, HostsTemplate
from novaops.facts.file import FileAt, FileState
from novaops.facts.machine import Machine
from novaops.features.eve.resources.hostname import CLOUD_INIT, Hostname
from novaops.model.action import WriteFile, payload
from novaops.model.question import Facts, Missing, Question
from novaops.resources.etc_hosts import HOSTS
from tests.unit.features.eve.support import machine

TEMPLATE = TEMPLATES["debian"]
NAME = Hostname("eve1", "example.org")
LINE = "127.0.1.1 eve1.example.org eve1 # managed by novaops (novaops eve install)\n"
LOCAL = "127.0.0.1 localhost\n"
JINJA = "## template:jinja\n127.0.1.1 {{fqdn}} {{hostname}}\n127.0.0.1 localhost\n"
KEEPS = "# managed by novaops (novaops eve install)\npreserve_hostname: true\n"


def written(hosts: str, template: str | None = None, *, managed: bool = False, **of_machine: Any) -> dict[str, str]:
    """What is written, by path, on a host that has the name already."""
    files = {**dict.fromkeys(TEMPLATES.values()), HOSTS: hosts, TEMPLATE: template, CLOUD_INIT: KEEPS}
    answers: dict[Question[Any], Any] = {FileAt(path): _state(text) for path, text in files.items()}
    answers[HostsTemplate()] = TEMPLATE if managed else Missing.ABSENT
    facts = Facts({**answers, Machine(): machine(hostname="eve1", **of_machine)}, {})
    actions = [action for step in make_plan([NAME], facts).steps for action in step.actions]
    return {one.path: payload(one.content or "").decode() for one in actions if isinstance(one, WriteFile)}


def _state(text: str | None) -> FileState | Missing:
    return Missing.ABSENT if text is None else FileState("regular file", "0644", "root", "root", text.encode())


@pytest.mark.parametrize(
    ("hosts", "then"),
    [
        (LOCAL, LOCAL + LINE),
        ("127.0.0.1 localhost", LOCAL + LINE),
        ("127.0.1.1 other # managed by novaops (novaops eve install)\n" + LOCAL, LOCAL + LINE),
        (
            "127.0.1.1 other # managed by novaops (novaops eve install)\n127.0.1.1\teve1.example.org  eve1\n",
            "127.0.1.1\teve1.example.org  eve1\n",
        ),
    ],
)
def test_one_line_is_its_own_and_the_others_stay(hosts: str, then: str) -> None:
    assert written(hosts) == {HOSTS: then}
    assert written(then) == {}


def test_what_cloud_init_has_written_anew_without_the_comment_is_right() -> None:
    assert written(LOCAL + "127.0.1.1 eve1.example.org eve1\n10.0.0.2 eve1.internal eve1  # Added by Google\n", managed=True) == {}


def test_where_cloud_init_makes_the_file_at_each_boot_the_line_is_in_what_it_is_made_of() -> None:
    assert written(LOCAL, JINJA, managed=True) == {HOSTS: LOCAL + LINE, TEMPLATE: JINJA + LINE}
    assert written(JINJA.replace("{{fqdn}} {{hostname}}", "old old") + LINE, JINJA + LINE, managed=True) == {}


def test_a_template_that_nobody_uses_stays() -> None:
    assert written(LOCAL + LINE, JINJA) == {}
    assert written(LOCAL + LINE, None, managed=True) == {}
