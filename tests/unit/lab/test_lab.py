"""The lab's pure parts: what is asked of qemu, nspawn, nft and mmdebstrap, and what is written for novaops to read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from novaops.app import run
from novaops.errors import NovaopsError, UsageError
from novaops.lab import network
from novaops.lab.disk import Disk, in_bytes, parse_disk
from novaops.lab.host import Spec, State
from novaops.lab.image import Image
from novaops.lab.initrd import Entry, archive, host_entries
from novaops.lab.keys import known_hosts_line
from novaops.lab.lab import Lab, inventory_text, known_hosts_text
from novaops.lab.network import Network, masquerade
from novaops.lab.process import Process, start, wait_until
from novaops.lab.qemu import command_line, devices
from novaops.lab.recipe import Kind, Recipe, debian_sources, kind_named
from novaops.lab.requirements import missing_packages
from novaops.lab.vm import VirtualMachine

RECIPE = Recipe("vm", "bookworm", "Types: deb\n", ("systemd",), ("true",))
SPEC = Spec("lab", "vm", "bookworm", (Disk("20G", serial="data"),))
SOURCES = """\
Types: deb
# a date in a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


def line(spec: Spec, *, resume: bool = False, **attached: Disk) -> str:
    return " ".join(command_line(spec, Image(Path("image")), 2222, "tcg", attached, resume=resume))


def host(directory: Path, name: str = "lab") -> VirtualMachine:
    directory = directory / "hosts" / name
    directory.mkdir(parents=True)
    (directory / "ssh_host_ed25519_key.pub").write_text(f"ssh-ed25519 AAAA{name} root@{name}\n")
    return VirtualMachine(directory, State(replace(SPEC, name=name), "image", "127.0.0.1", 2222))


def test_equal_recipes_have_one_name() -> None:
    assert RECIPE.name == replace(RECIPE).name
    assert RECIPE.name.startswith("vm-bookworm-")


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECIPE, packages=("systemd", "sudo")),
        replace(RECIPE, commands=("false",)),
        replace(RECIPE, files={"etc/fstab": ""}),
        replace(RECIPE, init="other"),
        replace(RECIPE, sources=""),
    ],
)
def test_a_changed_recipe_has_another_name(changed: Recipe) -> None:
    assert changed.name != RECIPE.name


def test_sources_of_another_release_are_the_same_places_with_other_suites() -> None:
    stanzas = debian_sources(SOURCES, "trixie").split("\n\n")
    assert [text for stanza in stanzas for text in stanza.splitlines() if text.startswith("Suites")] == [
        "Suites: trixie trixie-updates",
        "Suites: trixie-security",
    ]
    assert "http://mirror.example/security" in stanzas[1]
    assert "#" not in stanzas[0]
    assert "contrib" not in stanzas[0]


@pytest.mark.parametrize(
    ("text", "disk"),
    [
        ("20G", Disk("20G")),
        ("1T,serial=data", Disk("1T", serial="data")),
        ("512M, bus=nvme, ro", Disk("512M", bus="nvme", read_only=True)),
        ("512M,bus=nvme,ro", Disk("512M", bus="nvme", read_only=True)),
    ],
)
def test_disk_options(text: str, disk: Disk) -> None:
    assert parse_disk(text) == disk


@pytest.mark.parametrize("text", ["", "20", "0G", "20GB", "-1G", "20G,", "20G,serial=", "20G,serial=a b", "20G,bus=ide", "20G,ro=no", "G"])
def test_a_wrong_disk_is_refused_with_what_is_right(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_disk(text)
    assert refusal.value.fix


@pytest.mark.parametrize("text", ["1G,ro,ro", "1G,serial=a,serial=b", "1G,bus=scsi,ro,bus=scsi"])
def test_a_disk_says_nothing_twice(text: str) -> None:
    with pytest.raises(UsageError, match="is said twice"):
        parse_disk(text)


def test_sizes_are_powers_of_1024() -> None:
    assert in_bytes("20G") == 20 * 1024**3


def test_qemu_listens_on_this_machine_only() -> None:
    words = line(SPEC)
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in words
    assert "unix:qmp" in words


def test_only_a_nested_vm_has_svm() -> None:
    assert "-svm" in line(SPEC)
    assert "+svm" in line(replace(SPEC, nested=True))


@pytest.mark.parametrize(
    ("cloud", "shown"), [("google", "Google Compute Engine"), ("alibaba", "Alibaba Cloud ECS"), ("oracle", "OracleCloud.com")]
)
def test_a_cloud_shows_in_smbios(cloud: str, shown: str) -> None:
    assert shown in line(replace(SPEC, cloud=cloud))
    assert shown not in line(SPEC)


def test_only_a_resumed_vm_loads_the_snapshot() -> None:
    assert line(SPEC, resume=True).endswith("-loadvm pristine")
    assert "loadvm" not in line(SPEC)


def test_attached_disks_are_there_again_after_a_power_cycle() -> None:
    assert '"bus": "hot0"' in line(SPEC, disk2=Disk("1G"))


def test_a_scsi_disk_brings_its_controller() -> None:
    assert [device["driver"] for device in devices(Disk(bus="scsi"), "disk1", None)] == ["virtio-scsi-pci", "scsi-hd"]


def test_an_nvme_disk_always_has_a_serial() -> None:
    assert devices(Disk(bus="nvme"), "disk1", None)[0]["serial"] == "disk1"


def members(blob: bytes) -> dict[str, tuple[int, bytes]]:
    """Path -> (mode, content) of a `newc` archive, read as the kernel reads it."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        field = [int(blob[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        name = blob[at + 110 : at + 110 + field[11] - 1].decode()
        if name == "TRAILER!!!":
            return found
        body = (at + 110 + field[11] + 3) // 4 * 4
        found[name] = (field[1], blob[body : body + field[6]])
        at = (body + field[6] + 3) // 4 * 4


def test_the_initrd_holds_what_went_in() -> None:
    found = members(archive(host_entries([Entry("etc/hostname", b"lab\n"), Entry("root/.ssh/key", b"k", 0o600)])))
    assert found["host/etc/hostname"] == (0o100644, b"lab\n")
    assert found["host/root/.ssh/key"] == (0o100600, b"k")
    assert found["host/root/.ssh"] == (0o040700, b"")
    assert list(found).index("host/root") < list(found).index("host/root/.ssh")


def test_a_port_is_part_of_a_known_hosts_name_unless_it_is_22() -> None:
    assert known_hosts_line("10.0.0.1", 22, "ssh-ed25519 AAAA me@here") == "10.0.0.1 ssh-ed25519 AAAA"
    assert known_hosts_line("10.0.0.1", 2222, "ssh-ed25519 AAAA") == "[10.0.0.1]:2222 ssh-ed25519 AAAA"


def test_lab_yaml_and_known_hosts_lead_to_the_hosts(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    hosts = [host(tmp_path, "web"), host(tmp_path, "db")]
    inventory = yaml.safe_load(inventory_text(hosts, ".lab"))
    assert inventory["defaults"] == {"user": "root", "identity": ".lab/id_ed25519", "known_hosts": ".lab/known_hosts"}
    assert inventory["hosts"]["web"] == {"address": "127.0.0.1", "port": 2222, "groups": ["vm"]}
    assert yaml.safe_load(inventory_text([], ".lab"))["hosts"] == {}
    assert known_hosts_text(hosts).splitlines()[1] == "[127.0.0.1]:2222 ssh-ed25519 AAAAdb"


def test_a_fleet_is_many_hosts_of_lab_yaml(tmp_path: Path) -> None:
    fleet = host(tmp_path, "web")
    fleet.state.spec = replace(fleet.state.spec, kind="container", count=2)
    inventory = pytest.importorskip("yaml").safe_load(inventory_text([fleet], ".lab"))
    groups = ["container", "web"]
    assert inventory["hosts"] == {
        "web-0001": {"address": "127.0.0.1", "port": 10000, "groups": groups},
        "web-0002": {"address": "127.0.0.1", "port": 10001, "groups": groups},
    }
    assert [line.split()[0] for line in known_hosts_text([fleet]).splitlines()] == [f"[127.0.0.1]:{port}" for port in (2222, 10000, 10001)]


@pytest.mark.parametrize(("name", "kind", "says"), [("web", "vm", "--count is for containers"), ("container", "container", "is a group")])
def test_a_fleet_is_ports_of_a_container(tmp_path: Path, name: str, kind: Kind, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Lab(tmp_path / ".lab").up(name, kind, count=2)


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = State(
        SPEC, "image", "127.0.0.1", 2222, Process(1, 2, "boot"), {"disk2": Disk("1G", image=Path("x.qcow2"))}, {"accelerator": "tcg"}
    )
    state.save(tmp_path)
    assert State.load(tmp_path) == state


def test_the_masquerade_is_for_the_lab_alone() -> None:
    text = masquerade(Network("nova-12345678", "10.213.7.0/24"))
    assert "ip saddr 10.213.7.0/24 ip daddr != 10.213.7.0/24 masquerade" in text
    assert 'oifname "nova-12345678" iifname != "nova-12345678" ct state new drop' in text
    assert Network("b", "10.213.7.0/24").free_address(["10.213.7.10"]) == "10.213.7.11"


@pytest.mark.parametrize(("before", "now", "said"), [("0", "1", True), ("1", "1", False), ("0", "0", False)])
def test_forwarding_stays_as_it_is_and_is_said_where_the_lab_turned_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, now: str, *, said: bool
) -> None:
    forwarding, commands = tmp_path / "ip_forward", list[list[str]]()
    forwarding.write_text(f"{now}\n")
    monkeypatch.setattr(network, "_FORWARDING", forwarding)
    monkeypatch.setattr(network, "_run", lambda command, _="": commands.append(command))
    # as every version has written it
    (tmp_path / "network.json").write_text(json.dumps({"bridge": "nova-absent", "subnet": "10.213.7.0/24", "forwarded": before}))
    assert network.network_down(tmp_path) == (network.STAYS_ON if said else "")
    assert forwarding.read_text() == f"{now}\n"
    assert not (tmp_path / "network.json").exists()
    assert commands == [["nft", "-f", "-"]]


def test_missing_programs_are_named_with_their_packages() -> None:
    assert missing_packages("vm", lambda name: None if name == "qemu-img" else name) == {"qemu-img": "qemu-utils"}
    assert missing_packages("container", lambda name: name) == {}


def test_what_cannot_be_made_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    lab = Lab(tmp_path / ".lab")
    refused: list[Callable[[], object]] = [
        lambda: lab.up("Upper"),
        lambda: lab.up("../x"),
        lambda: lab.up(cloud="aws"),
        lambda: lab.up("c", "container", disks=(Disk(),)),
        lambda: lab.up(release="potato"),
    ]
    for ask in refused:
        with pytest.raises(NovaopsError):
            ask()
    with pytest.raises(UsageError):
        kind_named("jail")
    assert lab.hosts() == []


@pytest.mark.parametrize("name", ["vm", "container"])
@pytest.mark.parametrize("kind", ["vm", "container"])
def test_a_host_has_no_groups_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: Kind) -> None:
    """lab.yaml could not be read any more, by anybody."""
    with pytest.raises(UsageError, match="is a group"):
        ready(tmp_path, monkeypatch).up(name, kind)


def test_a_container_has_no_memory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NovaopsError, match="no memory of its own"):
        ready(tmp_path, monkeypatch).up("c", "container", memory_mb=1024)


@pytest.mark.parametrize(("name", "count"), [("web-0001", 0), ("web-0002", 2)])
def test_a_host_has_no_name_of_a_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    lab = ready(tmp_path, monkeypatch)
    fleet = host(lab.directory, "web")
    fleet.state.spec = replace(fleet.state.spec, kind="container", count=2)
    fleet.state.save(fleet.directory)
    with pytest.raises(UsageError, match=f"{name} is of lab host 'web' already"):
        lab.up(name, "container", count=count)


@pytest.mark.parametrize("name", ["../x", "a/b", "Upper"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    lab = Lab(tmp_path / ".lab")
    for verb in (lab.host, lab.reset):
        with pytest.raises(UsageError, match="is not a lab host's name"):
            verb(name)
    assert lab.down(name) == []
    assert list(tmp_path.iterdir()) == []


def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: list[Kind] | None = None) -> Lab:
    """A lab on a machine that has all it needs. It makes nothing, whatever is asked for."""
    monkeypatch.setattr("novaops.lab.lab.require", (needed if needed is not None else []).append)
    monkeypatch.setattr("novaops.lab.lab.image_for", lambda *_: Image(Path("image")))
    for made in ("container.Container", "vm.VirtualMachine"):
        for step in ("prepare", "create", "start"):
            monkeypatch.setattr(f"novaops.lab.{made}.{step}", lambda *_: None)
    monkeypatch.setattr("novaops.lab.lab.network_up", lambda _: Network("nova-absent", "10.213.7.0/24"))
    return Lab(tmp_path / ".lab")


def test_what_is_there_needs_what_its_own_kind_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare `up` starts a container where there is no qemu."""
    needed: list[Kind] = []
    lab = ready(tmp_path, monkeypatch, needed)
    box = host(lab.directory, "box")
    box.state.spec = Spec("box", "container")
    box.state.save(box.directory)
    assert lab.up("box").kind == "container"
    with pytest.raises(UsageError, match="made differently"):
        lab.up("box", release="trixie")
    assert needed == ["container", "container"]


def test_an_unknown_host_is_refused_with_those_there_are(tmp_path: Path) -> None:
    host(tmp_path / ".lab", "web").state.save(tmp_path / ".lab/hosts/web")
    with pytest.raises(UsageError) as refusal:
        Lab(tmp_path / ".lab").host("db")
    assert "web" in refusal.value.why


def test_down_survives_a_damaged_state_and_a_process_of_long_ago(tmp_path: Path) -> None:
    lab = Lab(tmp_path / ".lab")
    old = host(lab.directory, "old")
    old.state.process = Process(1, 1, "another boot")
    old.state.save(old.directory)
    (host(lab.directory, "broken").directory / "state.json").write_text("{")
    assert not lab.host("old").running
    assert lab.down() == ["broken", "old"]
    assert list(tmp_path.iterdir()) == []
    assert lab.down() == []


def test_each_document_of_the_lab_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = host(tmp_path / ".lab", "box")
    monkeypatch.setattr(Lab, "up", lambda *_, **__: made)
    monkeypatch.setattr(Lab, "reset", lambda *_, **__: made)
    for words in (["up", "--name", "box"], ["ls"], ["reset", "box"], ["down"]):
        assert run(["lab", *words, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["exit_code"] == 0


def test_a_process_is_known_by_more_than_its_pid(tmp_path: Path) -> None:
    process = start([sys.executable, "-c", "input() if 0 else __import__('time').sleep(60)"], tmp_path, tmp_path / "log")
    assert process.alive
    assert not replace(process, started=process.started + 1).alive
    process.stop()
    assert wait_until(lambda: not process.alive, 1)
    process.stop()


def test_qemu_is_told_about_disks_in_json() -> None:
    words = command_line(SPEC, Image(Path("image")), 2222, "tcg", {}, resume=False)
    nodes = [json.loads(words[at + 1])["node-name"] for at, word in enumerate(words) if word == "-blockdev"]
    assert nodes == ["disk0", "disk1"]
