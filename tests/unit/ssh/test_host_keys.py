"""Which host keys are refused whatever known_hosts says."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from novaops.errors import ChangedHostKey
from novaops.ssh.client_config import Destination, Local, parse
from novaops.ssh.explain import Place
from novaops.ssh.host_keys import check_host_key
from novaops.ssh.target import Target


def made(folder: Path, name: str) -> str:
    """The public key of a new pair."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return (folder / f"{name}.pub").read_text()


def place(folder: Path, keys: str) -> Place:
    (folder / "known").write_text("".join(f"192.0.2.1 {key}" for key in keys.splitlines(keepends=True)))
    text = f"hostname 192.0.2.1\nuser u\nuserknownhostsfile {folder}/known\nglobalknownhostsfile none\nrevokedhostkeys {folder}/revoked\n"
    return Place(Target("w1", "w1"), parse(Destination("w1"), Local("/home/me", "me", 1000, "box"), text))


@pytest.mark.parametrize("kind", ["a list of keys", "a binary list", "no such file", "known_hosts instead", "a key cut off"])
def test_a_key_that_ssh_has_revoked_is_refused(kind: str, tmp_path: Path) -> None:
    good, stolen = made(tmp_path, "good"), made(tmp_path, "stolen")
    if kind == "a list of keys":
        (tmp_path / "revoked").write_text(f"# stolen\n\n  {stolen}")
    elif kind == "known_hosts instead":
        (tmp_path / "revoked").write_text(f"w9 {stolen}")
    elif kind == "a key cut off":
        (tmp_path / "revoked").write_text(f"ssh-ed25519\n{stolen}")
    elif kind == "a binary list":
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", tmp_path / "revoked", tmp_path / "stolen.pub"], check=True)
    where = place(tmp_path, good + stolen)
    for key, refused in ((good, "list" not in kind), (stolen, True)):
        key_type, text = key.split()[:2]
        if not refused:
            check_host_key(where, key_type, base64.b64decode(text))
            continue
        with pytest.raises(ChangedHostKey, match="host key of w1 is revoked") as error:
            check_host_key(where, key_type, base64.b64decode(text))
        assert f"RevokedHostKeys {tmp_path}/revoked" in error.value.why
