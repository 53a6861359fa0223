"""Whether cloud-init makes /etc/hosts anew at each boot, and of what: by the files that it reads, and leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.facts.cloud_init import TEMPLATES, HostsTemplate
from novaops.model.question import Missing, Section

DEBIAN = "ID=debian\n"
CFG = "etc/cloud/cloud.cfg"
USER = "var/lib/cloud/instance/user-data.txt"
GZIPPED = "\x1f\x08 not to be read\n"


def answer(root: Path, files: dict[str, str], release: str = DEBIAN) -> str | Missing:
    for name, text in {"etc/os-release": release, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    script = HostsTemplate.script_one()
    for folder in ("etc", "run", "var"):
        script = script.replace(f" /{folder}/", f" {root}/{folder}/")
    done = subprocess.run(["dash", "-c", script], capture_output=True, text=True, check=True)
    return HostsTemplate.parse_one(Section(done.stdout, done.stderr, done.returncode))


@pytest.mark.parametrize(
    "said", ["true", "True", "TRUE", "yes", "on", '"true"', "'yes'", "1", "template", "true  # as the cloud says", "true\r"]
)
def test_the_truths_of_yaml(tmp_path: Path, said: str) -> None:
    assert answer(tmp_path, {CFG: f"users: []\nmanage_etc_hosts: {said}\n"}) == TEMPLATES["debian"]


@pytest.mark.parametrize(
    "line", ["manage_etc_hosts: false", "manage_etc_hosts: localhost", "# manage_etc_hosts: true", "manage_etc_hosts:", "on: true"]
)
def test_what_leaves_the_lines_of_the_file(tmp_path: Path, line: str) -> None:
    """With localhost cloud-init changes only the line of the host's own name."""
    assert answer(tmp_path, {CFG: f"{line}\n"}) is Missing.ABSENT


@pytest.mark.parametrize(
    "files",
    [
        {"etc/cloud/cloud.cfg.d/10-own.cfg": "manage_etc_hosts: yes\n"},
        {USER: "#cloud-config\nmanage_etc_hosts: true\n"},
        {USER: GZIPPED, "var/lib/cloud/instance/cloud-config.txt": "#cloud-config\n\n# from 1 files\nmanage_etc_hosts: true\n"},
        {"var/lib/cloud/instance/vendor2-cloud-config.txt": "manage_etc_hosts: true\n"},
        {"run/cloud-init/combined-cloud-config.json": '{\n "manage_etc_hosts": true,\n "users": []\n}\n'},
    ],
    ids=lambda files: Path(next(reversed(files))).name,
)
def test_where_it_may_be_said(tmp_path: Path, files: dict[str, str]) -> None:
    assert answer(tmp_path, files) == TEMPLATES["debian"]


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "redhat"),
        ("ID=fedora\n", "redhat"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "suse"),
    ],
)
def test_which_template_follows_from_the_distribution(tmp_path: Path, release: str, family: str) -> None:
    assert answer(tmp_path, {CFG: "manage_etc_hosts: true\n"}, release) == TEMPLATES[family]


def test_an_answer_that_is_cut_is_none() -> None:
    assert HostsTemplate.parse_one(Section("", "", 0)) is Missing.UNKNOWN
