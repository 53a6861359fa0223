"""Files of the current folder are code only beside an inventory, and only where nobody else can write them."""

from __future__ import annotations

import grp
import json
import os
import pwd
from pathlib import Path

import pytest
from typer.testing import CliRunner

from novaops.app import app
from novaops.engine import inventory, own_file, secret_source
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError, UsageError

STRANGER = 65533
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

BAD = "raise SystemExit('a stranger is running')\n"
PROVIDER = "endpoints: [{host: evil.example.com, path: /v1}]\nprobe: /v1/models\n"
FILES = {"playbooks": "disk.py", "templates": "proxy/api.conf.j2", "providers": "openai.yaml", "checks": "disk.py"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    return tmp_path


def put(folder: Path, kind: str, text: str = BAD) -> Path:
    file = folder / kind / FILES[kind]
    file.parent.mkdir(parents=True)
    file.write_text(text)
    for place in (file, *file.parents):
        if place.is_relative_to(folder):
            place.chmod(0o644 if place == file else 0o755)
    return file


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def beside_an_inventory(folder: Path) -> None:
    (folder / "inventory.yaml").write_text("hosts: {box: {address: 127.0.0.1, port: 1}}\n")
    (folder / "inventory.yaml").chmod(0o644)


def test_without_an_inventory_nothing_of_the_folder_is_read(folder: Path) -> None:
    put(folder, "playbooks")
    put(folder, "providers", PROVIDER)
    code, _, said = run("disk", "mount", "root@127.0.0.1:1", "--path", "/mnt/x", "--check")
    assert "stranger" not in said
    assert code == 5
    assert str(folder) not in said


def test_without_an_inventory_the_shipped_provider_counts(folder: Path) -> None:
    """A provider of a stranger's would get the key of whoever names it."""
    put(folder, "providers", PROVIDER)
    site = "{name: a, provider: openai, tls: off, domain: a.example.com, auth: {passthrough: true, from: 192.0.2.0/24}}"
    known = inventory.parse(f"hosts: {{box: {{proxy: [{site}]}}}}", "inventory.yaml", ["proxy"])
    wanted = {beside: repr(Playbooks(beside).resources(known, known.hosts["box"])) for beside in (None, folder)}
    assert "api.openai.com" in wanted[None]
    assert "evil.example.com" not in wanted[None]
    assert "evil.example.com" in wanted[folder]


@pytest.mark.parametrize("kind", FILES)
def test_what_overrides_is_said(folder: Path, kind: str) -> None:
    beside_an_inventory(folder)
    put(folder, kind, PROVIDER)
    code, out, said = run("host", "ls")
    assert code == 0
    assert said == f"{kind}/{FILES[kind]} is used in the place of the one that comes with novaops\n"
    _, out, _ = run("host", "facts", "box", "--json")
    assert json.loads(out)["hosts"][0]["notes"] == [
        {"resource": f"{kind}/{FILES[kind]}", "text": "is used in the place of the one that comes with novaops"}
    ]


def test_what_is_only_added_is_not_said(folder: Path) -> None:
    beside_an_inventory(folder)
    put(folder, "playbooks").rename(folder / "playbooks" / "mine.py")
    assert run("host", "ls")[2] == ""


@as_root
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("mode", [0o020, 0o002])
@pytest.mark.parametrize("which", ["file", "folder", "above"])
def test_what_others_can_write_is_refused(folder: Path, kind: str, mode: int, which: str) -> None:
    beside_an_inventory(folder)
    file = put(folder, kind)
    open_one = {"file": file, "folder": folder / kind, "above": folder}[which]
    os.chown(open_one, -1, STRANGER)
    open_one.chmod(open_one.stat().st_mode | mode)
    code, _, said = run("host", "ls")
    assert code == 2
    assert "can be written by others" in said
    assert f"chmod go-w {open_one}" in said
    open_one.chmod(open_one.stat().st_mode & ~0o022)
    assert run("host", "ls")[0] == 0


@pytest.mark.parametrize(
    ("group", "primary", "members", "accounts", "private"),
    [
        pytest.param("anna", 1000, [], {}, True, id="made by useradd"),
        pytest.param("anna", 1000, ["anna"], {}, True, id="lists its owner"),
        pytest.param("anna", 1000, ["bert"], {}, False, id="somebody else was added"),
        pytest.param("anna", 1000, [], {"bert": 1000}, False, id="somebody else's primary group"),
        pytest.param("staff", 1000, [], {}, False, id="a group of another name, whose members a directory service may not list"),
        pytest.param("anna", 100, [], {}, False, id="not the primary group"),
    ],
)
def test_a_private_group_may_write(
    monkeypatch: pytest.MonkeyPatch,
    group: str,
    primary: int,
    members: list[str],
    accounts: dict[str, int],
    private: bool,  # noqa: FBT001 - a parameter
) -> None:
    """What umask 002 leaves on Ubuntu, where each user has a group of the same name."""

    def account(name: str, uid: int, gid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))

    anna = account("anna", os.geteuid(), primary)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: anna)
    monkeypatch.setattr(pwd, "getpwall", lambda: [anna, *(account(name, STRANGER, gid) for name, gid in accounts.items())])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((group, "x", gid, members)))
    assert own_file._private(1000) is private


@as_root
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("which", ["file", "folder", "above"])
def test_what_others_own_is_refused(folder: Path, kind: str, which: str) -> None:
    beside_an_inventory(folder)
    file = put(folder, kind)
    theirs = {"file": file, "folder": folder / kind, "above": folder}[which]
    os.chown(theirs, STRANGER, STRANGER)
    code, _, said = run("host", "ls")
    assert code == 2
    assert f"{theirs} is {STRANGER}'s" in said
    assert f"chown root {theirs}" in said


@as_root
def test_a_link_to_what_others_own_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside_an_inventory(folder)
    away = tmp_path_factory.mktemp("away")
    (away / "disk.py").write_text(BAD)
    os.chown(away / "disk.py", STRANGER, STRANGER)
    (folder / "playbooks").mkdir(mode=0o755)
    (folder / "playbooks" / "disk.py").symlink_to(away / "disk.py")
    assert run("host", "ls")[0] == 2
    (folder / "playbooks" / "disk.py").unlink()
    (folder / "playbooks").rmdir()
    (folder / "playbooks").symlink_to(away)
    assert run("host", "ls")[0] == 2


def test_compiled_files_beside_it_do_not_run(folder: Path) -> None:
    """A file in __pycache__ that is as old and as long as the playbook would run in its place."""
    import importlib.util
    import py_compile

    file = put(folder, "playbooks", "a = 1; Settings = int; desired = None\n")
    good, age = file.read_text(), file.stat()
    file.write_text("a = 2; Settings = int; desired = None\n")
    os.utime(file, ns=(age.st_atime_ns, age.st_mtime_ns))
    py_compile.compile(str(file), cfile=importlib.util.cache_from_source(str(file)))
    file.write_text(good)
    os.utime(file, ns=(age.st_atime_ns, age.st_mtime_ns))
    assert own_file.load(file, "playbook", ()).a == 1


# -- the inventory itself ---------------------------------------------------------------------------------------------

COMMAND = "defaults: {sudo_password: 'cmd:echo ran >>ran; echo secret'}\nhosts: {box: {address: 127.0.0.1, port: 1}}\n"


@as_root
def test_a_found_inventory_of_somebody_else_is_not_read(folder: Path) -> None:
    beside_an_inventory(folder)
    os.chown(folder / "inventory.yaml", STRANGER, STRANGER)
    code, _, said = run("host", "ls")
    assert code == 2
    assert "-i inventory.yaml" in said
    assert run("-i", "inventory.yaml", "host", "ls")[0] == 0


@pytest.mark.parametrize("words", [("host", "ls"), ("host", "trust"), ("history", "box"), ("host", "facts")])
def test_a_command_runs_only_where_its_secret_is_needed(folder: Path, words: tuple[str, ...]) -> None:
    (folder / "inventory.yaml").write_text(COMMAND)
    (folder / "inventory.yaml").chmod(0o644)
    run(*words)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("source", ["env:NOT_SET_AT_ALL", "file:not-there", "cmd:exit 1"])
@pytest.mark.parametrize(("words", "code"), [(("host", "trust"), 5), (("host", "forget", "box"), 0), (("api", "check"), 5)])
def test_a_sudo_password_that_nobody_needs_is_not_read(folder: Path, source: str, words: tuple[str, ...], code: int) -> None:
    (folder / "inventory.yaml").write_text(COMMAND.replace("cmd:echo ran >>ran; echo secret", source))
    (folder / "inventory.yaml").chmod(0o644)
    assert run(*words)[0] == code


@pytest.mark.parametrize(("source", "code"), [("env:NOT_SET_AT_ALL", 2), ("file:not-there", 2), ("cmd:exit 1", 5)])
@pytest.mark.parametrize("words", [("apply",), ("disk", "mount", "box", "--path", "/mnt/data"), ("vpn", "client", "add", "box", "me")])
def test_a_sudo_password_that_is_not_there_is_found_before_a_host_is_changed(
    folder: Path, source: str, code: int, words: tuple[str, ...]
) -> None:
    """A command is run where its secret is needed."""
    text = COMMAND.replace("cmd:echo ran >>ran; echo secret", source).replace(
        "address: 127.0.0.1", "address: 127.0.0.1, disk: [{path: /mnt/data}]"
    )
    (folder / "inventory.yaml").write_text(text)
    (folder / "inventory.yaml").chmod(0o644)
    assert run(*words)[0] == code


@as_root
@pytest.mark.parametrize("where", ["inventory.yaml", "."])
def test_no_commands_of_an_inventory_that_others_can_write(folder: Path, where: str) -> None:
    (folder / "inventory.yaml").write_text(COMMAND)
    (folder / "inventory.yaml").chmod(0o644)
    os.chown(folder / where, -1, STRANGER)
    (folder / where).chmod((folder / where).stat().st_mode | 0o020)
    with pytest.raises(UsageError) as error:
        inventory.load(folder / "inventory.yaml", [])
    assert "line 1" in error.value.what
    assert error.value.fix.endswith(f"chmod go-w {folder / where}".removesuffix("/."))


def test_an_inventory_without_commands_may_be_of_a_group(folder: Path) -> None:
    beside_an_inventory(folder)
    (folder / "inventory.yaml").chmod(0o664)
    assert run("host", "ls")[0] == 0
    (folder / "inventory.yaml").chmod(0o666)
    with pytest.raises(InventoryError, match="is not trusted"):
        inventory.found(None)


@as_root
def test_a_strangers_link_to_an_inventory_is_not_trusted(folder: Path) -> None:
    """In /tmp, say: the file is root's own, and whoever made the link chose it."""
    beside_an_inventory(folder)
    (folder / "inventory.yaml").rename(folder / "other.yaml")
    (folder / "inventory.yaml").symlink_to("other.yaml")
    assert inventory.found(None) == inventory.DEFAULT_FILE
    os.lchown(folder / "inventory.yaml", STRANGER, STRANGER)
    with pytest.raises(InventoryError, match="is not trusted"):
        inventory.found(None)
    os.lchown(folder / "inventory.yaml", 0, 0)
    os.chown(folder / "other.yaml", STRANGER, STRANGER)
    with pytest.raises(InventoryError, match="is not trusted"):
        inventory.found(None)


def test_a_password_is_read_once_and_when_it_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be a pipe of the shell's, `file:/dev/fd/63`, which is empty the second time."""
    with pytest.raises(UsageError, match="NOT_SET_AT_ALL is not set"):
        secret_source.when_needed("env:NOT_SET_AT_ALL").reveal()
    with pytest.raises(UsageError, match="in plain text"):
        secret_source.when_needed("hunter2")
    (folder / "password").write_text("of the file\n")
    found = secret_source.when_needed(f"file:{folder}/password")
    assert found.reveal() == "of the file"
    (folder / "password").unlink()
    assert found.reveal() == "of the file"
    for value in ("one", "two"):
        monkeypatch.setenv("MY_PASSWORD", value)
        assert secret_source.when_needed("env:MY_PASSWORD").reveal() == value


def test_the_command_of_a_password_runs_once_and_has_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (secret_source.when_needed(f"cmd:echo x >>{folder}/ran; echo s") for _ in range(2))
    assert not (folder / "ran").exists()
    assert one == other
    assert one.reveal() == "s"
    assert (folder / "ran").read_text() == "x\n"
    monkeypatch.setattr(secret_source, "SECONDS", 0.2)
    with pytest.raises(UsageError, match=r"did not end within 0\.2 s"):
        secret_source.resolve("cmd:sleep 5; echo s")
