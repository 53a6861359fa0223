"""`eve install` on containers, against the stand-in for EVE-NG's repository. apache and mariadb are Debian's, and real.

The containers say of themselves that they are Ubuntu: their os-release is another file. There is no /dev/kvm, so no node has to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.lab.eve.box import DATABASE, KEYS, OS, PW, Box, served
from tests.support.things import ending, until_it_says, wait_on

NOTHING = "! dpkg-query -W 'eve-ng*' 2>/dev/null | grep -q . && [ ! -e /etc/apt/sources.list.d/novaops-eve.list ] && [ ! -e /etc/novaops ]"
LOCK = """perl -e '
use Fcntl;
open(my $lock, "+>>", "/var/lib/dpkg/lock-frontend") or die; # as dpkg does: flock(1) holds a lock of another kind
my $all = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLKW, $all) or die;
open(my $held, ">", "/run/held"); close $held;
select(undef, undef, undef, 0.1) until -e "/run/go";
'"""


@pytest.fixture
def box(container: LabHost, novaops: Novaops, tmp_path: Path) -> Iterator[Box]:
    container.run(OS.format("22.04"))
    for repository, port in served(tmp_path):
        yield Box(container, repository, port, tmp_path, novaops)


def test_what_is_not_fit_is_refused_and_nothing_is_changed(box: Box) -> None:
    for repository, words in (
        ({"fingerprint": None}, f"The host was offered {box.repository.fingerprint} by "),
        ({"fingerprint": "0" * 40}, f"It is {box.repository.fingerprint}; pinned is {'0' * 40}."),
        ({"key": f"http://127.0.0.1:9/{'x'}"}, "Could not connect to 127.0.0.1:9"),
        (
            {"key": f"{box.repository.settings(box.host.address.rpartition('.')[0] + '.1', box.port)['url']}/dists/jammy/Release"},
            "no file of OpenPGP",
        ),
    ):
        done = box("eve", "install", repository=repository)
        assert (done.code, done.host["status"]) == (4, "refused"), done.text
        assert words in done.host["error"]["why"], done.text
    box.host.run("printf 'ID=debian\\nVERSION_ID=\"12\"\\n' >/etc/os-release")
    done = box("eve", "install")
    assert done.code == 4, done.text
    assert "there is no EVE-NG for" in done.host["error"]["what"]
    box.host.run(NOTHING)


@pytest.fixture(scope="module")
def made(lab: Lab, novaops: Novaops, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, Done, str]]:
    """A host on which everything was installed once: the first configuration fails, and another package manager is at work at first."""
    host = lab.up("eve", "container")
    host.run(OS.format("22.04"))
    host.run("echo 1 >/etc/eve-stand-in; mkdir -p /srv/images")
    keys = host.run(KEYS)
    folder = tmp_path_factory.mktemp("eve")
    try:
        for repository, port in served(folder):
            box = Box(host, repository, port, folder, novaops)
            inventory = box.inventory(**WANTED)
            host.run(f"rm -f /run/held /run/go; setsid {LOCK} >/dev/null 2>&1 </dev/null &")
            wait_on(host, "[ -e /run/held ]")
            with ending(novaops.start("eve", "install", "eve", inventory=inventory, env=PW)) as process:
                until_it_says(process, "package:nftables", 120)
                wait_on(host, "pgrep -x apt-get", 60)
                host.run("touch /run/go")
                out, err = process.communicate(timeout=580)
            yield box, Done(process.returncode, out, err), keys
    finally:
        lab.down(host.name)


WANTED: dict[str, Any] = {
    "data": {"device": "/srv/images", "options": "bind"},
    "hostname": "eve1",
    "domain": "example.org",
    "ntp": ["ntp.example.org"],
    "open": [{"port": 80, "from": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]}],
}


@pytest.mark.long
def test_one_command_installs_it_and_a_second_one_changes_nothing(made: tuple[Box, Done, str]) -> None:
    box, done, keys = made
    assert done.code == 0, done.text
    again = box("eve", "install", **WANTED)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text
    assert box.host.run(KEYS) == keys
    assert box.host.run("bash -lc true; cat /etc/eve-stand-in; uname -n; hostname -f").split() == ["0", "eve1", "eve1.example.org"]
    assert box.host.run("getent shadow root | cut -d : -f 2").strip() == "*"
    assert box.host.run("grep -c ^PermitRootLogin /etc/ssh/sshd_config || true").strip() == "0"
    assert "eve-ng 6.2.0-4 eve-ng-guacamole 6.2.0-4" in box.host.run("cat /var/lib/novaops/eve-versions")
    assert box.host.run(DATABASE).split() == ["root", "other", "eve-ng", "other", "right", "guacuser", "other", "right"]
    assert box.host.run("findmnt -n -o SOURCE /opt/unetlab/addons").strip().endswith("[/srv/images]")
    assert box.host.run("ls /srv/images").split() == ["dynamips", "iol", "qemu"]


@pytest.mark.long
def test_verify_tries_it_from_outside(made: tuple[Box, Done, str]) -> None:
    box, _, _ = made
    done = box("verify", **WANTED)
    assert done.code == 0, done.text
    right = [step["check"] for step in done.host["steps"] if step["status"] == "unchanged"]
    assert "does not let root in with the password that everybody knows" in right


@pytest.mark.long
def test_an_upgrade_brings_the_default_passwords_back_and_the_same_command_takes_them_away(made: tuple[Box, Done, str]) -> None:
    box, _, _ = made
    version = box.host.run("dpkg-query -W -f '${Version}' eve-ng")
    box.host.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q --reinstall eve-ng", timeout_s=300)
    assert box.host.run("dpkg-query -W -f '${Version}' eve-ng") == version
    assert "eve-ng other wrong" in box.host.run(DATABASE)
    found = box("verify", **WANTED)
    assert found.code == 3, found.text
    assert [one for one in found.host["steps"] if "but it let in root" in str(one["message"])], found.text
    done = box("eve", "install", **WANTED)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert {step["resource"] for step in done.host["steps"] if step["status"] == "changed"} == {"eve:database", "eve:root-password"}
    assert box.host.run("getent shadow root | cut -d : -f 2").strip() == "*"
    assert "default" not in box.host.run(DATABASE)
    assert box("verify", **WANTED).code == 0


@pytest.mark.long
def test_verify_finds_what_somebody_opened_again(made: tuple[Box, Done, str]) -> None:
    box, _, _ = made
    box.host.run("systemctl stop novaops-eve-ports.service; rm /etc/ssh/sshd_config.d/00-novaops-eve.conf")
    open_door = "PermitRootLogin yes\\nPasswordAuthentication yes\\n"
    box.host.run(f"echo root:eve | chpasswd; printf '{open_door}' >/etc/ssh/sshd_config.d/zz.conf; systemctl restart ssh")
    box.host.run("""echo "UPDATE users SET password = SHA2('eve', 256);" | MYSQL_PWD=eve-ng mariadb -u root eve_ng_db""")
    done = box("verify", **WANTED)
    assert done.code == 3, done.text
    drifted = [str(step["message"]) for step in done.host["steps"] if step["status"] == "failed"]
    for words in ("root away", "admin away", "page should let admin in", "PermitRootLogin"):
        assert any(words in one for one in drifted), (words, drifted)
    box.host.run("usermod -p '*' root; rm /etc/ssh/sshd_config.d/zz.conf; systemctl restart ssh")
    repaired = box("eve", "install", root_login="prohibit-password", **WANTED)
    assert (repaired.code, repaired.host["status"]) == (0, "changed"), repaired.text
    assert box("verify", root_login="prohibit-password", **WANTED).code == 0


@pytest.mark.long
def test_it_is_the_same_after_a_reboot(made: tuple[Box, Done, str]) -> None:
    box, _, _ = made
    done = box("verify", "--reboot", root_login="prohibit-password", **WANTED)
    assert done.code == 0, done.text


@pytest.mark.long
def test_undo_takes_it_back_run_by_run_after_the_reboot_too(made: tuple[Box, Done, str]) -> None:
    """The last of these tests on this host."""
    box, _, keys = made
    for _ in range(8):
        done = box("undo")
        assert done.code == 0, done.text
        if done.host["status"] == "unchanged":
            break
    assert box.host.run("dpkg-query -W -f '${db:Status-Status} ${Package}\\n' 'eve-ng*' | grep ^installed || true") == ""
    gone = ("/etc/apt/sources.list.d/novaops-eve.list", "/etc/apt/keyrings/novaops-eve.gpg", "/opt/ovf/.configured", "/etc/novaops/eve.nft")
    box.host.run(" && ".join(f"[ ! -e {path} ]" for path in gone))
    box.host.run("! nft list tables | grep novaops_eve; ! findmnt /opt/unetlab/addons; [ ! -e /sys/class/net/pnet0 ]")
    assert box.host.run("sshd -T | grep -x 'permitrootlogin without-password'")
    assert (box.host.run("uname -n").strip(), box.host.run(KEYS)) == ("eve", keys)


@pytest.mark.long
def test_apt_says_why_it_takes_no_list(box: Box) -> None:
    """The key is pinned and right. But the lists have expired, are signed by somebody else, and are gone."""
    pinned = {"fingerprint": box.repository.fingerprint}
    box.repository.sign(timedelta(days=-1))
    _fails(box, pinned, "expired")
    box.repository.new_key("other@example.org")
    box.repository.sign()
    _fails(box, pinned, "NO_PUBKEY")
    (box.repository.pool / "dists").rename(box.repository.pool / "gone")
    _fails(box, pinned, "does not have a Release file")
    box.host.run("! dpkg-query -W 'eve-ng*' 2>/dev/null | grep -q .")


def _fails(box: Box, repository: dict[str, Any], words: str) -> None:
    done = box("eve", "install", repository=repository, network="as-is")
    assert done.code == 1, done.text
    assert words in done.host["error"]["what"] + done.host["error"]["why"], done.text
    assert "could not be fetched, or are not signed as they should be" in done.text


@pytest.mark.long
def test_a_lock_that_stays_held_is_waited_for_and_the_holder_lives(box: Box) -> None:
    box.host.run(f"setsid {LOCK} >/dev/null 2>&1 </dev/null &")
    wait_on(box.host, "[ -e /run/held ]")
    done = box("eve", "install", lock_wait=5, network="as-is")
    assert done.code == 1, done.text
    assert "Could not get lock" in done.text
    box.host.run("pgrep -x perl")
    box.host.run("touch /run/go")


@pytest.mark.long
def test_what_fails_for_ever_is_tried_three_times_and_goes_on_later(box: Box) -> None:
    box.host.run("echo 99 >/etc/eve-stand-in")
    done = box("eve", "install", network="as-is")
    assert done.code == 1, done.text
    assert "apt-get failed 3 times" in done.text
    box.host.run("echo 0 >/etc/eve-stand-in")
    assert box("eve", "install", network="as-is").code == 0
