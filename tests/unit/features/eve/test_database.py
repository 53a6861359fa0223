"""The passwords of EVE-NG's database, and the files that have them: our sh, run by real shells, on a tree in a folder.

The database's client is a program that does to a file of users what these statements do to the database.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.engine.planner import make_plan
from novaops.features.eve.facts.database import Database, DatabaseFacts, UserFacts
from novaops.features.eve.resources.database import DatabasePasswords
from novaops.model.action import Command
from novaops.model.question import Facts, Missing, Section

CLIENT = """\
#!/bin/sh
# $KILL: the script that calls is killed at this call, before or after what it asks for.
users=$ROOT/users
calls=$(cat "$ROOT/calls" 2>/dev/null); calls=$((${calls:-0} + 1)); echo $calls >"$ROOT/calls"
[ "${KILL:-}" != "$calls" ] || { kill -9 "$(cat "$ROOT/pid")"; exit 9; }
[ ! -e "$ROOT/down" ] || exit 1
host= user=root said=
while [ $# -gt 0 ]; do case $1 in -h) host=$2; shift ;; -u) user=$2; shift ;; -e) said=$2; shift ;; esac; shift; done
if [ "$user" != root ] || [ "$host" ] || ! grep -qx 'root socket' "$users"; then grep -qx "$user $MYSQL_PWD" "$users" || exit 1; fi
[ "$said" ] && { echo 1; exit; }
while read -r line; do case $line in
  '') ;;
  'SELECT 1;') echo 1 ;;
  'SELECT VERSION();') echo "$SERVER" ;;
  'SELECT DISTINCT user FROM mysql.user;') cut -d ' ' -f 1 "$users" ;;
  'SELECT CONCAT('*)
    new=$(printf '%s' "$line" | sed "s/.*IDENTIFIED BY ''\\([A-Za-z0-9-]*\\)''.*/\\1/")
    of=$(printf '%s' "$line" | sed "s/.*user = '\\(.*\\)';/\\1/")
    ! grep -q "^$of " "$users" || echo "ALTER USER '$of'@'localhost' IDENTIFIED BY '$new';" ;;
  'ALTER USER '*)
    printf '%s' "$line" |
      sed "s/ALTER USER '\\([^']*\\)'.*\\(BY '\\|VIA unix_\\|WITH auth_\\)\\([A-Za-z0-9-]*\\).*/\\1 \\3/" >"$ROOT/one"
    { grep -v "^$(cut -d ' ' -f 1 "$ROOT/one") " "$users"; cat "$ROOT/one"; echo; } | grep . >"$users.new"; mv "$users.new" "$users" ;;
  *) echo "what is $line" >>"$ROOT/wrong"; exit 1 ;;
esac; done
"""
PHP = """\
<?php
$db = new PDO('mysql:host=localhost;dbname=eve_ng_db','eve-ng','eve-ng');
$db = new PDO("mysql:host=127.0.0.1;dbname=guacdb", "guacuser", "eve-ng");
"""
CUTS = 3
"""In one run of the test; where they are is chance."""
DEFAULT = UserFacts(default=True, place="right")
OWN = UserFacts(default=False, place="right")
WRONG = UserFacts(default=False, place="wrong")


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.file("bin/mariadb", CLIENT).chmod(0o755)
        self.file("users", "root eve-ng\neve-ng eve-ng\nguacuser eve-ng\n")
        self.php = self.file("opt/unetlab/html/includes/functions.php", PHP)
        self.properties = self.file("etc/guacamole/guacamole.properties", "mysql-username: guacuser\nmysql-password: eve-ng\n")

    def file(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def run(self, *words: str, server: str = "10.6-MariaDB", kill: int = 0) -> subprocess.CompletedProcess[str]:
        """`words` as they would run on the host, in its folder."""
        for file in ("calls", "wrong"):
            (self.root / file).unlink(missing_ok=True)
        here = [word.replace("/opt/unetlab", f"{self.root}/opt/unetlab").replace("/etc/guac", f"{self.root}/etc/guac") for word in words]
        here[2] = f'echo $$ >"$ROOT/pid"\n{here[2]}'
        path = f"{self.root}/bin:{os.environ['PATH']}"
        environment = {"PATH": path, "LC_ALL": "C", "ROOT": str(self.root), "SERVER": server, "KILL": str(kill or "")}
        done = subprocess.run(here, env=environment, capture_output=True, text=True, check=False)
        assert not (self.root / "wrong").exists(), (self.root / "wrong").read_text()
        return done

    def says(self, shell: str = "sh") -> DatabaseFacts | Missing:
        done = self.run(shell, "-c", Database.script([Database()]))
        return Database.parse([Database()], Section(done.stdout, done.stderr, done.returncode)).get(Database(), Missing.UNKNOWN)

    def found(self) -> DatabaseFacts:
        said = self.says()
        assert isinstance(said, DatabaseFacts)
        return said

    def command(self) -> Command:
        (step,) = make_plan([DatabasePasswords()], Facts({Database(): self.found()}, {})).steps
        (action,) = step.actions
        assert isinstance(action, Command)
        return action

    @property
    def passwords(self) -> dict[str, str]:
        return dict(line.split(" ") for line in (self.root / "users").read_text().splitlines())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_the_packages_leave(host: Host, shell: str) -> None:
    assert host.says(shell) == DatabaseFacts(root=True, users={"eve-ng": DEFAULT, "guacuser": DEFAULT})


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda host: host.php.unlink(), {"eve-ng": UserFacts(default=True, place="nowhere"), "guacuser": DEFAULT}),
        (lambda host: host.file("users", "root eve-ng\neve-ng other\n"), {"eve-ng": WRONG}),
        (lambda host: host.properties.write_text("mysql-password: other\n"), {"eve-ng": DEFAULT, "guacuser": UserFacts(True, "wrong")}),  # noqa: FBT003
    ],
)
def test_files_and_the_database_are_held_against_each_other(
    host: Host, prepare: Callable[[Host], object], expected: dict[str, UserFacts]
) -> None:
    prepare(host)
    assert host.found().users == expected


def test_a_database_that_does_not_answer_says_nothing(host: Host) -> None:
    host.file("down", "")
    assert host.says() is Missing.ABSENT
    (host.root / "bin/mariadb").unlink()
    assert host.says() is Missing.ABSENT


@pytest.mark.parametrize("server", ["10.6-MariaDB", "8.0.36-0ubuntu0.22.04.1"])
def test_the_passwords_are_changed_in_both_places_and_undo_takes_that_back(host: Host, server: str) -> None:
    command = host.command()
    assert host.run("sh", "-c", command.holds).returncode == 1
    assert host.run(*command.words, server=server).returncode == 0
    assert host.found() == DatabaseFacts(root=False, users={"eve-ng": OWN, "guacuser": OWN})
    assert host.found().is_settled
    new = host.passwords["eve-ng"]
    assert (len(new), host.passwords) == (24, {"eve-ng": new, "guacuser": new, "root": "socket"})
    assert host.php.read_text() == PHP.replace("'eve-ng');", f"'{new}');").replace('"eve-ng");', f'"{new}");')
    assert host.properties.read_text() == f"mysql-username: guacuser\nmysql-password: {new}\n"
    assert not list(host.root.rglob("*.novaops"))
    assert host.run("sh", "-c", command.holds).returncode == 0
    assert command.undo
    assert host.run("sh", "-c", command.undo.holds).returncode == 1
    assert host.run(*command.undo.words, server=server).returncode == 0
    assert host.run("sh", "-c", command.undo.holds).returncode == 0
    assert host.php.read_text() == PHP
    assert set(host.passwords.values()) == {"eve-ng"}


def test_the_files_stay_where_one_cannot_be_written(host: Host) -> None:
    command = host.command()
    host.file("bin/cp", '#!/bin/sh\ncase $* in *guacamole*) exit 1 ;; esac\nexec /bin/cp "$@"\n').chmod(0o755)
    assert host.run(*command.words).returncode == 1
    assert (host.php.read_text(), set(host.passwords.values())) == (PHP, {"eve-ng"})
    assert not list(host.root.rglob("*.novaops"))


def test_where_the_database_refuses_everybody_keeps_what_he_has(host: Host) -> None:
    command = host.command()
    refuses = "  *guacuser*BY*) case $line in *\"'eve-ng'\"*) ;; *) exit 1 ;; esac ;;\n"
    (host.root / "bin/mariadb").write_text(CLIENT.replace("  'ALTER USER '*)", f"{refuses}  'ALTER USER '*)"))
    assert host.run(*command.words).returncode == 1
    assert (host.php.read_text(), set(host.passwords.values())) == (PHP, {"eve-ng"})


def test_a_cut_anywhere_leaves_what_the_next_run_puts_right(host: Host) -> None:
    command = host.command()
    assert host.run(*command.words).returncode == 0
    calls = int((host.root / "calls").read_text())
    chance = random.Random()  # noqa: S311 - chance, not a secret
    for at in chance.sample(range(1, calls + 1), CUTS):
        Host(host.root)
        assert host.run(*command.words, kill=at).returncode == -9, at
        if not host.found().is_settled:
            assert host.run(*host.command().words).returncode == 0, at
        assert host.found() == DatabaseFacts(root=False, users={"eve-ng": OWN, "guacuser": OWN}), at
        assert "eve-ng'" not in host.php.read_text().replace("'eve-ng',", ""), at


@pytest.mark.parametrize("said", ["", "root default\neve-ng default\n", "root default\neve-ng default somewhere\n"])
def test_an_answer_that_breaks_off_is_none(said: str) -> None:
    assert Database.parse([Database()], Section(said, "", 0)).get(Database(), Missing.UNKNOWN) is Missing.UNKNOWN
