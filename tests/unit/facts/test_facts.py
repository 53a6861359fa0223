"""What a host printed, and the facts in it. tests/cases/facts/block_devices is what real image files made the tools say.

Cut and garbled answers are UNKNOWN: never ABSENT, and never a blank disk.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.engine import probe
from novaops.errors import HostFailed
from novaops.facts.directory import DirectoryAt
from novaops.facts.file import FileAt
from novaops.facts.machine import Machine, cloud
from novaops.facts.package import PackageNamed
from novaops.facts.runs import NO_RUN, LastRun, Newest, Runs
from novaops.facts.succeeds import Succeeds
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.device import DeviceAt
from novaops.features.disk.facts.filesystem_size import FilesystemSize
from novaops.features.disk.facts.mounts import Mounts
from novaops.model.journal import BORN, STATE
from novaops.model.question import Facts, Missing, Question, Section

CASES = Path(__file__).parents[2] / "cases" / "facts"
MARK = "novaops-0123"
FAMILIES: dict[str, Any] = {
    **{family.__name__: family for family in (FileAt, DirectoryAt, DeviceAt, FilesystemSize, PackageNamed)},
    **{family.__name__: lambda _, family=family: family() for family in (Mounts, LastRun, Runs, Machine, BlockDevices)},
}
LSBLK = """\
11111111-2222-3333-4444-555555555555
json
{
   "blockdevices": [
      {
         "name": "/dev/loop0",
         "maj:min": "7:0",
         "type": "loop",
         "size": %s,
         "ro": %s,
         "serial": null,
         "model": null,
         "ptuuid": null
      }
   ]
}

"""


def cases(folder: str) -> list[Any]:
    found = []
    for file in sorted((CASES / folder).glob("*.yaml")):
        case = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        marks = [pytest.mark.xfail(reason=case["known bug"])] if "known bug" in case else []
        found.append(pytest.param(case, id=file.stem, marks=marks))
    return found


DEVICES = [pytest.param(*c.values, id=c.id) for c in cases("block_devices") if isinstance(c.values[0]["device"], dict)]


def framed(question: Question[Any], stdout: str, stderr: str = "", status: int = 0) -> str:
    """As the probe's script prints it."""
    return f"Bienvenue sur ce serveur\n{MARK} {type(question).family}\n{stdout}\n{MARK} = {status}\n{stderr}\n{MARK} end\n"


def read(questions: list[Any], stdout: str) -> Facts:
    return probe.read(probe.families(questions), MARK, stdout)


def outcome(facts: Facts, question: Question[Any]) -> Any:
    try:
        answer = facts[question]
    except HostFailed:
        return "unknown"
    return "absent" if answer is Missing.ABSENT else answer


@pytest.mark.parametrize("case", cases("tables"))
def test_answer(case: Mapping[str, Any]) -> None:
    questions = [FAMILIES[case["family"]](name) for name in case["ask"]]
    facts = read(questions, framed(questions[0], case["stdout"], case.get("stderr", ""), case.get("status", 0)))
    found = [outcome(facts, question) for question in questions]
    if "mounts" in case:
        assert [[m.target, m.source, m.filesystem, m.root, m.number] for m in found[0].mounts] == case["mounts"]
    elif "runs" in case:
        assert [[run.id, run.end, [list(pair) for pair in run.applied]] for run in found[0]] == case["runs"]
    else:
        assert [_as(expected, answer) for expected, answer in zip(case["answers"], found, strict=True)] == case["answers"]


def _as(expected: Any, answer: Any) -> Any:
    """The answer in the form that the case gives it: its fields, `=` and a text, or the name of the gap."""
    if isinstance(expected, dict) and not isinstance(answer, str):
        fields = {key: getattr(answer, key) for key in expected}
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in fields.items()}
    if isinstance(answer, str) and answer not in {"unknown", "absent"}:
        return f"={answer}"
    return answer


def printed(case: Mapping[str, Any]) -> str:
    return f"{LSBLK % (case['size'], 'true' if case.get('read only') else 'false')}{case['said']}"


@pytest.mark.parametrize("case", cases("block_devices"))
def test_block_device(case: Mapping[str, Any]) -> None:
    facts = read([BlockDevices()], framed(BlockDevices(), printed(case), status=case.get("status", 0)))
    answer = outcome(facts, BlockDevices())
    if case["device"] == "unknown":
        assert answer == "unknown"
        return
    [device] = answer.devices
    assert _as(case["device"], device) == {k: tuple(v) if isinstance(v, list) else v for k, v in case["device"].items()}


@pytest.mark.parametrize("case", DEVICES)
def test_a_device_is_never_blank_for_want_of_an_answer(case: Mapping[str, Any]) -> None:
    """Whatever lines are lost, what was not blank does not become it, and what was is it only with all its evidence."""
    said = case["said"].splitlines()
    if "unreadable" in said:
        return
    for lost in itertools.chain(itertools.combinations(range(len(said)), 1), itertools.combinations(range(len(said)), 2)):
        left = "".join(f"{line}\n" for number, line in enumerate(said) if number not in lost)
        answer = outcome(read([BlockDevices()], framed(BlockDevices(), printed({**case, "said": left}))), BlockDevices())
        assert answer == "unknown" or not answer.devices[0].blank, left


@pytest.mark.parametrize("case", DEVICES)
@settings(max_examples=5)
@given(st.data())
def test_a_cut_answer_is_unknown(case: Mapping[str, Any], data: st.DataObject) -> None:
    stdout = framed(BlockDevices(), printed(case))
    whole = stdout.index(f"{MARK} end") + len(f"{MARK} ")
    cut = data.draw(st.integers(0, len(stdout) - 1))
    assert (outcome(read([BlockDevices()], stdout[:cut]), BlockDevices()) == "unknown") == (cut < whole)


def every_family() -> Iterator[Any]:
    """Without those whose word for ABSENT is no word: what dpkg-query leaves out."""
    for name in sorted(FAMILIES.keys() - {"PackageNamed"}):
        yield pytest.param(FAMILIES[name]("/x"), id=name)


@pytest.mark.parametrize("question", list(every_family()))
@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=15)
def test_garbage_is_never_absent(question: Question[Any], garbage: str) -> None:
    facts = read([question], framed(question, garbage.replace("absent", "") or "%"))
    assert outcome(facts, question) != "absent"


def test_a_package_is_not_absent_because_dpkg_query_failed(tmp_path: Path) -> None:
    program = tmp_path / "dpkg-query"
    program.write_text("#!/bin/sh\necho 'dpkg-query: error: parsing file status' >&2\nexit 2\n")
    program.chmod(0o755)
    question = PackageNamed("x")
    done = subprocess.run(
        ["/bin/sh", "-c", question.script([question])], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    facts = read([question], framed(question, done.stdout, done.stderr, done.returncode))
    assert outcome(facts, question) == "unknown"


def test_families_do_not_read_each_other() -> None:
    """One that failed, one that is missing, one that is whole."""
    questions: list[Question[Any]] = [FileAt("/a"), Mounts(), LastRun()]
    stdout = f"{MARK} file\n-\nabsent\n\n{MARK} = 0\n\n{MARK} mounts\n\n{MARK} = 1\ncat: interdit\n{MARK} last-run\n2026"
    facts = read(questions, stdout)
    assert [outcome(facts, question) for question in questions] == ["absent", "unknown", "unknown"]
    with pytest.raises(HostFailed) as failed:
        facts[Mounts()]
    assert failed.value.why == "cat: interdit"
    with pytest.raises(HostFailed) as failed:
        facts[LastRun()]
    assert failed.value.why == "the host's answer was cut short"


def test_a_parser_that_stumbles_leaves_the_other_families_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is named as what it is: a fault of novaops."""

    def stumble(_: Section) -> Any:
        raise OverflowError("too large")

    monkeypatch.setattr(LastRun, "parse_one", stumble)
    facts = read([LastRun(), FileAt("/a")], f"{MARK} last-run\n2026\n{MARK} = 0\n\n{MARK} file\n-\nabsent\n\n{MARK} = 0\n\n{MARK} end\n")
    assert outcome(facts, FileAt("/a")) == "absent"
    with pytest.raises(HostFailed) as failed:
        facts[LastRun()]
    assert failed.value.why == "novaops itself went wrong with its answer: OverflowError: too large. Please report this."


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_no_test_of_an_action_reaches_into_the_next(shell: str) -> None:
    """Each is text of a run that may be years old: one that ends, sets, or cannot be read is for itself."""
    texts = ["exit 3", "if", "x=1; set -f", '[ -z "$x" ]', "cd /; false || true", "echo said; echo said >&2", "(", "true"]
    done = subprocess.run([shell, "-c", Succeeds.script([Succeeds(text) for text in texts])], capture_output=True, text=True, check=True)
    found = Succeeds.parse([Succeeds(text) for text in texts], Section(done.stdout, "", 0))
    assert list(found.values()) == [False, False, True, True, True, True, False, True]
    assert done.stderr == ""


def test_families_answer_beside_each_other(tmp_path: Path) -> None:
    """Two that wait for each other, though others stand between them; and answers larger than a pipe holds."""
    meet = tmp_path / "meet"
    os.mkfifo(meet)
    scripts = ["yes x | head -c 300000", f"echo met >{meet}", "echo c; echo why >&2; exit 3", f"cat {meet}"]
    scripts += ["yes y | head -c 200000", "echo f"]
    said: dict[str, Section] = {}
    asked = {_family(f"f{number}", script, said): () for number, script in enumerate(scripts)}
    done = subprocess.run(["sh", "-s"], input=probe.script(asked, MARK).encode(), capture_output=True, check=True, timeout=20)
    probe.read(asked, MARK, done.stdout.decode())
    assert [len(said[f"f{n}"].stdout) for n in (0, 4)] == [300_000, 200_000]
    assert [said[f"f{n}"].stdout for n in (1, 2, 3, 5)] == ["", "c\n", "met\n", "f\n"]
    assert (said["f2"].status, said["f2"].stderr, said["f3"].status, said["f3"].stderr) == (3, "why", 0, "")
    assert done.stderr == b""


@pytest.mark.parametrize("place", range(6))
def test_a_large_answer_waits_for_no_other(place: int, tmp_path: Path) -> None:
    """The others end once all of it is out, wherever it stands among them; or they have waited in vain."""
    out = tmp_path / "out"
    wait = f"n=0; until [ -e {out} ] || [ $n = 300 ]; do n=$((n + 1)); sleep 0.02; done; [ ! -e {out} ] || echo out"
    said: dict[str, Section] = {}
    families = [_family(f"f{number}", wait, said) for number in range(3)]
    families += [_family(f"g{number}", "echo g", said) for number in range(2)]
    families.insert(place, _family("large", f"yes x | head -c 300000; touch {out}", said, is_bulky=True))
    asked: Any = dict.fromkeys(families, ())
    done = subprocess.run(["sh", "-s"], input=probe.script(asked, MARK).encode(), capture_output=True, check=True, timeout=60)
    probe.read(asked, MARK, done.stdout.decode())
    assert len(said["large"].stdout) == 300_000
    assert [said[f"f{number}"].stdout for number in range(3)] == ["out\n"] * 3


def test_what_comes_first_and_last_is_answered_alone(tmp_path: Path) -> None:
    """Whatever the order in which it is asked, and also where what is between answers much, or nothing is between."""
    there = f"cd {tmp_path}; echo $(ls); echo >"
    for between in ([], [1], [30_000, 300_000, 30_000]):
        said: dict[str, Section] = {}
        families = [_family("last", there + "last", said, at="last"), _family("first", there + "first", said, at="first")]
        for number, size in enumerate(between):
            families.append(_family(f"f{number}", f"{there}f{number}; yes | head -c {size}", said, is_bulky=size > 65_536))
        asked: Any = dict.fromkeys(families, ())
        done = subprocess.run(["sh", "-s"], input=probe.script(asked, MARK).encode(), capture_output=True, check=True, timeout=60)
        probe.read(asked, MARK, done.stdout.decode())
        names = [f"f{number}" for number in range(len(between))]
        assert said["first"].stdout == "\n"
        assert all(said[name].stdout.split("\n")[0].split()[-1:] == ["first"] for name in names)
        assert said["last"].stdout.split() == [*names, "first"]
        assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "first", "last"]
        for path in tmp_path.iterdir():
            path.unlink()


def test_the_newest_run_and_whether_it_is_at_work(tmp_path: Path) -> None:
    run, script = tmp_path / "runs/20260203T040506Z-1f2e3d", LastRun.script_one().replace(STATE, str(tmp_path))

    def newest() -> Any:
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return LastRun.parse_one(Section(done.stdout, "", done.returncode))

    assert newest() == Newest("")
    run.mkdir(parents=True)
    (tmp_path / "last").write_text(f"{run.name}\n")
    assert (newest(), newest().after) == (Newest(run.name), run.name)
    (run / "armed").touch()
    assert (newest(), newest().after) == (Newest(run.name, unconfirmed=True), NO_RUN)
    (run / "armed").unlink()
    (run / "pid").write_text(f"{os.getpid()}\n")
    (run / "script").touch()
    assert newest() == Newest(run.name), "its process is another one's now"
    subprocess.run(["sh", "-c", f"{BORN}born {os.getpid()} >{run / 'born'}"], check=True)
    assert (newest(), newest().after) == (Newest(run.name, at_work=True), NO_RUN)
    (run / "script").unlink()
    assert newest() == Newest(run.name), "it only cleans up"


def _family(
    name: str, its_script: str, said: dict[str, Section], *, is_bulky: bool = False, at: Literal["first", "meanwhile", "last"] = "meanwhile"
) -> type[Question[Any]]:
    """One that puts down what it is given to read."""

    class Family(Question[Any]):
        family = name
        bulky = is_bulky
        when = at

        @classmethod
        def script(cls, questions: Sequence[Any]) -> str:
            return its_script if not questions else ""

        @classmethod
        def parse(cls, questions: Sequence[Any], section: Section) -> Mapping[Any, Any]:
            said[name] = section
            return dict.fromkeys(questions)

    return Family


def test_tree_of_devices() -> None:
    """A disk, its partition, a RAID over two partitions, and a rom: as lsblk -J of a real host nests them."""

    def entry(name: str, kind: str, size: Any = 1024, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "maj:min": "1:1",
            "type": kind,
            "size": size,
            "ro": False,
            "serial": None,
            "model": None,
            "ptuuid": None,
            **more,
        }

    raid = entry("/dev/md0", "raid1", children=[entry("/dev/md0p1", "part")])
    tree = {
        "blockdevices": [
            entry("/dev/sr0", "rom"),
            entry("/dev/zram0", "disk", 0),
            entry("/dev/vdb", "disk", serial=" DATA ", ptuuid="t-1", children=[entry("/dev/vdb1", "part", ptuuid="t-1", children=[raid])]),
            entry("/dev/vdc", "disk", "2048", children=[entry("/dev/vdc1", "part", children=[raid])]),
        ]
    }
    links = (
        "link\t/dev/disk/by-id/virtio-DATA\t../../vdb\nlink\t/dev/disk/by-id/virtio-DATA-part1\t../../vdb1\nlink\t/dev/mapper/x\t/dev/vdc\n"
    )
    stdout = f"fresh\nswap\t/dev/vdc1\n{links}json\n{json.dumps(tree)}\n"
    table = outcome(read([BlockDevices()], framed(BlockDevices(), stdout)), BlockDevices())
    assert [d.path for d in table.devices] == ["/dev/vdb", "/dev/vdb1", "/dev/md0", "/dev/md0p1", "/dev/vdc", "/dev/vdc1"]
    disk = table.find("/dev/disk/by-id/virtio-DATA")
    assert (disk.path, disk.serial, disk.identities) == ("/dev/vdb", "DATA", ("DATA", "t-1"))
    assert table.find("/dev/md0").parents == ("/dev/vdb1", "/dev/vdc1")
    assert [d.path for d in table.family(disk)] == ["/dev/vdb", "/dev/vdb1", "/dev/md0", "/dev/md0p1"]
    assert table.find("/dev/mapper/x").size == 2048
    assert table.swaps == ("/dev/vdc1",)
    assert table.fresh_uuid == "fresh"


def test_a_volume_is_found_by_its_links() -> None:
    tree = {"blockdevices": [{"name": "/dev/mapper/vg-data", "kname": "/dev/dm-0", "maj:min": "254:0", "type": "lvm", "size": 1024}]}
    stdout = f"fresh\nlink\t/dev/mapper/vg-data\t../dm-0\nlink\t/dev/disk/by-id/dm-name-vg-data\t../../dm-0\njson\n{json.dumps(tree)}\n"
    table = outcome(read([BlockDevices()], framed(BlockDevices(), stdout)), BlockDevices())
    assert table.find("/dev/dm-0") is not None
    assert table.find("/dev/disk/by-id/dm-name-vg-data") is not None


def test_what_a_device_is_called_and_who_uses_it() -> None:
    """Links to links, links outside /dev/disk, udev's way of writing a blank, and what lsblk knows of the partition."""
    tags = {"uuid": "U-1", "label": "größe 1", "partlabel": "my disk", "partuuid": "ab-01"}
    tree = {"blockdevices": [{"name": "/dev/vdb1", "kname": "/dev/vdb1", "maj:min": "254:17", "type": "part", "size": 1024, **tags}]}
    links = {
        "/dev/disk/by-partlabel/my\\x20disk": "../../vdb1",
        "/dev/data": "disk/by-partlabel/my\\x20disk",
        "/dev/pool/data": "../vdb1",
        "/dev/disk/by-id/virtio-X": "../../vdb1",
        "/dev/loop": "loop",
    }
    rows = "".join(f"link\t{link}\t{target}\n" for link, target in links.items())
    stdout = f"fresh\n{rows}user\tvdb1\tis part of the ZFS pool tank\nuser\tvdb\tis opened by process 1 (x)\njson\n{json.dumps(tree)}\n"
    [device] = outcome(read([BlockDevices()], framed(BlockDevices(), stdout)), BlockDevices()).devices
    assert device.users == ("is part of the ZFS pool tank",)
    assert device.names >= {
        *("/dev/vdb1", "/dev/data", "/dev/pool/data", "UUID=u-1", "LABEL=größe 1", "PARTLABEL=my disk", "PARTUUID=ab-01", "ID=virtio-X"),
    }


@pytest.mark.parametrize(
    ("strings", "name"),
    [
        ({"chassis_asset_tag": "OracleCloud.com", "sys_vendor": "QEMU"}, "oracle"),
        ({"product_name": "Alibaba Cloud ECS", "sys_vendor": "Alibaba Cloud"}, "alibaba"),
        ({"sys_vendor": "Google", "product_name": "Google Compute Engine"}, "google"),
        ({"sys_vendor": "QEMU"}, ""),
        ({}, ""),
    ],
)
def test_cloud(strings: dict[str, str], name: str) -> None:
    assert cloud(strings) == name


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_files_and_folders_as_a_real_shell_finds_them(shell: str, tmp_path: Path) -> None:
    """K07: names that need care, asked and answered for real."""
    odd = tmp_path / "汉语-['foo bar'].txt"
    odd.write_bytes(b"no line break at the end\r\xff")
    for name, content in (("empty", b""), ("ends in breaks", b"\n\n"), ("absent", b"absent\ndangling\n")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(odd)
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "to folder").symlink_to("folder")
    owner, group = os.getuid(), os.getgid()
    files = {
        name: FileAt(str(tmp_path / name)) for name in (odd.name, "empty", "none", "ends in breaks", "dangling", "link", "folder", "absent")
    }
    folders = {name: DirectoryAt(str(tmp_path / name)) for name in ("folder", "to folder/new/deep", "empty/below", ".")}
    devices = {name: DeviceAt(name) for name in ("/dev/null", str(tmp_path), str(tmp_path / "none"))}
    asked = probe.families([*files.values(), *folders.values(), *devices.values()])
    done = subprocess.run([shell, "-s"], input=probe.script(asked, MARK).encode(), capture_output=True, check=True)
    facts = probe.read(asked, MARK, done.stdout.decode("utf-8", "surrogateescape"))
    contents = {name: getattr(outcome(facts, question), "content", outcome(facts, question)) for name, question in files.items()}
    assert contents == {
        odd.name: odd.read_bytes(),
        "link": odd.read_bytes(),
        "empty": b"",
        "ends in breaks": b"\n\n",
        "none": "absent",
        "dangling": None,
        "folder": None,
        "absent": b"absent\ndangling\n",
    }
    assert facts.known(files["folder"]).kind == "directory"
    assert facts.known(files["folder"]).mode == "0750"
    found = {name: facts.known(question) for name, question in folders.items()}
    assert {name: (f.state, f.real, f.nearest) for name, f in found.items()} == {
        "folder": ("empty", f"{tmp_path}/folder", f"{tmp_path}/folder"),
        "to folder/new/deep": ("absent", f"{tmp_path}/folder/new/deep", f"{tmp_path}/folder"),
        "empty/below": ("other", f"{tmp_path}/empty/below", f"{tmp_path}/empty"),
        ".": ("filled", str(tmp_path), str(tmp_path)),
    }
    assert (found["folder"].uid, found["folder"].gid) == (str(owner), str(group))
    assert [facts.known(devices["/dev/null"]).kind, outcome(facts, devices[str(tmp_path / "none")])] == ["character special file", "absent"]


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "target", ["/etc/x\tfilled\t755\troot\troot\t0\t0\t/etc\t/etc", "/x\nempty\t755\troot\troot\t0\t0\t/etc\t/etc/cron.d", "/dev/null\n"]
)
def test_where_a_link_leads_is_one_place_or_unknown(shell: str, target: str, tmp_path: Path) -> None:
    """Whoever owns the folder chooses its links. A line break or a tab in one must not become another answer."""
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    questions: list[Question[Any]] = [DirectoryAt(f"{tmp_path}/link"), DirectoryAt(f"{tmp_path}/folder"), DeviceAt(f"{tmp_path}/link")]
    questions.append(DeviceAt("/dev/null"))
    asked = probe.families(questions)
    done = subprocess.run([shell, "-s"], input=probe.script(asked, MARK).encode(), capture_output=True, check=True)
    facts = probe.read(asked, MARK, done.stdout.decode())
    first, folder, device, null = (outcome(facts, question) for question in questions)
    assert (first, folder.real, device, null.real) == ("unknown", f"{tmp_path}/folder", "absent", "/dev/null")
    with pytest.raises(HostFailed) as failed:
        facts[questions[0]]
    assert failed.value.why == f"{tmp_path}/link leads to a path with a line break or another control character in it"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_device_behind_such_a_link_is_unknown(shell: str, tmp_path: Path) -> None:
    (tmp_path / "x\ncharacter special file\t").mkdir()
    (tmp_path / "link").symlink_to("x\ncharacter special file\t")
    question = DeviceAt(f"{tmp_path}/link")
    done = subprocess.run([shell, "-s"], input=probe.script(probe.families([question]), MARK).encode(), capture_output=True, check=True)
    facts = read([question], done.stdout.decode())
    assert outcome(facts, question) == "unknown"


@pytest.mark.parametrize("question", [DirectoryAt("/x"), DeviceAt("/x"), FilesystemSize("/x")])
@pytest.mark.parametrize("more", ["", "{0}\n{0}"])
def test_a_line_too_many_or_too_few_is_no_answer_at_all(question: Question[Any], more: str) -> None:
    line = {"directory": "empty\t755\troot\troot\t0\t0\t/x\t/x", "device": "directory\t/x", "filesystem-size": "size\text4\trw\t0"}
    said = line[type(question).family]
    assert outcome(read([question], framed(question, said)), question) != "unknown"
    assert outcome(read([question], framed(question, more.format(said))), question) == "unknown"
