"""Every file below tests/cases/eve is one case of `eve install`; its name is the sentence.

want       the section, beyond a password and the pinned fingerprint; read as an inventory is, where every scalar is a text
host       fields of the machine that differ from a Google VM with Ubuntu 22.04
installed  PACKAGE: VERSION
facts      what else the host answered: key, keyring, root, root_password, root_key, caller, admin, database, kernels, card, unit;
           see `_ANSWERS`. no_units: those that are not there [chrony.service]; succeeds: true for tests that begin with that word
steps      "RESOURCE  FIELD: BEFORE → AFTER", a line for each change; [] when all is right already
refused    what (and why, fix), of the first refusal
also       notes, guarded (the resources that are done under guard), reboots, wrong (what verify_works says)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from novaops.engine.planner import make_plan, questions_of
from novaops.facts.account import Account, Accounts, Keys, Listed
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall, FirewallFacts
from novaops.facts.guest_run import GuestRun, Ran
from novaops.facts.machine import Machine
from novaops.facts.nearby import Nearby
from novaops.facts.package import PackageNamed
from novaops.facts.sshd import Caller, CallerFacts, Sshd, SshdEffective, SshdState
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.mount_units import MountUnitsOf
from novaops.features.disk.facts.mounts import Mounts
from novaops.features.disk.facts.storage_layers import StorageLayers
from novaops.features.eve.facts.database import Database, DatabaseFacts, UserFacts
from novaops.features.eve.facts.installation import EveInstallation, Installation
from novaops.features.eve.facts.kernels import KernelFacts, Kernels
from novaops.features.eve.facts.management import Management, ManagementFacts
from novaops.features.eve.facts.page import PageSays
from novaops.features.eve.facts.signing_key import OfferedKey, SigningKey
from novaops.features.eve.facts.site import EveSiteAt
from novaops.features.eve.facts.web_admin import WebAdmin
from novaops.features.eve.paths import GATE, KEYRING, RULES, SSHD
from novaops.features.eve.resources.admin import hash_of
from novaops.features.eve.resources.ports import STANDS, UNIT, UNIT_FILE, rules
from novaops.formats import yaml_text
from novaops.formats.authorized_keys import AuthorizedKey
from novaops.model.plan import Plan, Risk
from novaops.model.question import Facts, Missing, Question
from novaops.resources.firewall_at_boot import UNITS
from novaops.secret import Secret
from tests.support.eve_repository.keys import FINGERPRINT, KEY
from tests.unit import test_cases
from tests.unit.features.eve.support import NEAR, RAN, SITE, machine

CASES = Path(__file__).parents[3] / "cases" / "eve"
PASSWORD = "wired-Fjord-8-kite"  # noqa: S105 - a test's
GIB = 1024**3
NETWORK = "[Match]\nName=ens4\n\n[Network]\nDHCP=yes\n"


def _read(file: Path) -> Mapping[str, Any]:
    text = file.read_text("utf-8")
    return {**yaml.safe_load(text), "want": yaml_text.load(text, file.name).data.get("want")}


@pytest.mark.parametrize("case", [pytest.param(_read(file), id=file.stem) for file in sorted(CASES.glob("*.yaml"))])
def test_case(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(case) <= {"want", "host", "installed", "facts", "disks", "steps", "refused", "notes", "guarded", "reboots", "wrong"}
    plan = planned(case, monkeypatch)
    if "refused" in case:
        said = case["refused"] if isinstance(case["refused"], dict) else {"what": case["refused"]}
        assert plan.refusals, test_cases.shown(plan)
        assert {key: getattr(plan.refusals[0][1], key) for key in said} == said
    else:
        assert not plan.refusals
    if "steps" in case:
        assert test_cases.shown(plan) == case["steps"]
    if "notes" in case:
        assert [f"{note.resource}: {note.text}" for note in plan.notes] == case["notes"]
    if "guarded" in case:
        assert [step.resource for step in plan.steps if step.risk is Risk.LOCKOUT] == case["guarded"]
    if "wrong" in case:
        assert [failure.what for _, failure in plan.unproven] == case["wrong"]
    assert [step.resource for step in plan.steps if step.reboots] == case.get("reboots", [])
    test_cases.undoing_can_be_told([action for step in plan.steps for action in step.actions])
    secrets = [PASSWORD, hash_of(Secret(PASSWORD)).reveal()]
    assert not [one for one in secrets if one in repr(plan) or one in "".join(str(a) for s in plan.steps for a in s.actions)]


def planned(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("WEB", PASSWORD)
    playbook = test_cases.load_playbook("eve")
    section = {"web_password": "env:WEB", "repository": {"fingerprint": FINGERPRINT}, **(case.get("want") or {})}
    settings = TypeAdapter(playbook.Settings).validate_python(section)
    resources = list(playbook.desired(None, playbook.prepare(None, settings), {}))
    return make_plan(resources, Facts({question: _answer(question, case) for question in questions_of(resources)}, {}))


Said = Mapping[str, Any]


def _answer(question: Question[Any], case: Mapping[str, Any]) -> Any:
    if isinstance(question, BlockDevices | MountUnitsOf | Mounts | StorageLayers):
        return test_cases.answer(question, case)
    found = _ANSWERS[type(question)]
    return found(question, case.get("facts") or {}, case) if callable(found) else found


def _kernels(_: Kernels, said: Said, case: Said) -> KernelFacts:
    del case
    empty = dict.fromkeys(("running", "eve", "entry", "saved", "tried"), "")
    return KernelFacts(**{**empty, "grub": True, "by_saved": True, "running": "6.8.0-gcp", **said.get("kernels", {})})


def _card(_: Management, said: Said, case: Said) -> ManagementFacts | Missing:
    del case
    usual = {"device": "ens4", "mac": "42:01:0a:00:00:02", "kind": "", "network": NETWORK, "bridge": False}
    return ManagementFacts(**{**usual, **said.get("card", {})}) if said.get("card", {}) is not None else Missing.ABSENT


def _unit(question: UnitNamed, said: Said, case: Said) -> UnitFacts | Missing:
    del case
    if (
        question.name in UNITS
        or (question.name == GATE and not said.get("closed"))
        or question.name in said.get("no_units", ["chrony.service"])
    ):
        return Missing.ABSENT
    return UnitFacts("loaded", said.get("unit", "active"), "enabled")


def _database(_: Database, said: Said, case: Said) -> DatabaseFacts | Missing:
    """`database`: none, else root and users as the host says them. As novaops leaves it, without a word."""
    del case
    found = said.get("database", {})
    if found == "none":
        return Missing.ABSENT
    users = {"eve-ng": "other right", "guacuser": "other right", **found}
    states = {name: str(state).partition(" ")[::2] for name, state in users.items() if name != "root"}
    return DatabaseFacts(
        users.get("root") == "default", {name: UserFacts(known == "default", place) for name, (known, place) in states.items()}
    )


def _root(*, key: bool) -> Account:
    keys = Keys((AuthorizedKey("ssh-ed25519", ()),) if key else (), ("/root/.ssh/authorized_keys",))
    return Account("root", 0, 0, "/root", "/bin/bash", ("root",), "set", None, 20000, None, None, 20001, shell_works=True, keys=keys)


def _offered(said: str) -> OfferedKey:
    return {"other": OfferedKey(b"no key at all", ""), "unreachable": OfferedKey(b"", "E: Could not connect")}[said]


def _file(question: FileAt, said: Mapping[str, Any], case: Mapping[str, Any]) -> FileState | Missing:
    """What `said.files` has; a folder where a folder is wanted."""
    text = (said.get("files") or {}).get(question.path)
    if said.get("closed") and question.path in {RULES, UNIT_FILE}:
        text = rules(["22"], ()) if question.path == RULES else ""
    if question.path in said.get("folders", ()) or question.path in {"/etc/novaops", "/etc/apt/keyrings", "/opt/ovf"}:
        return FileState("directory", "0755", "root", "root")
    if question.path == "/etc/fstab":
        return test_cases.answer(question, case)  # type: ignore[no-any-return]
    if text is None:
        return Missing.ABSENT
    contents = {KEYRING: KEY if text == "pinned" else b"", UNIT_FILE: UNIT.encode()}
    mode = "0600" if question.path == SSHD or question.path.endswith(".nft") else "0644"
    return FileState("regular file", mode, "root", "root", contents.get(question.path, str(text).encode()))


_HASHES = {"none": Missing.ABSENT, "default": hash_of(Secret("eve")), "own": hash_of(Secret(PASSWORD))}

_ANSWERS: dict[type[Any], Any] = {
    GuestRun: lambda _, said, __: Ran("slow") if said.get("kvm") == "slow" else RAN,
    EveSiteAt: lambda _, said, __: replace(SITE, begun=bool(said.get("begun"))),
    Nearby: NEAR,
    Caller: lambda _, said, __: CallerFacts("198.51.100.7", "10.0.0.2", 22, said.get("caller", "ana")),
    EveInstallation: lambda _, said, __: Installation("6.8.0-gcp", configured=True, templates=(), root=said.get("root_password", "other")),
    Accounts: lambda _, said, __: Listed(
        ((_root(key=said.get("root_key", True)), {"permitrootlogin": (said.get("root", "without-password"),)}),)
    ),
    SshdState: Sshd("/usr/sbin/sshd", (9, 6), "", {}, {"ssh.service": "active"}, accept=False, directory=True, nologin=False),
    Machine: lambda _, __, case: machine(**{"booted_with_systemd": True, "root_free": 40 * GIB, "cloud": "google", **case.get("host", {})}),
    PackageNamed: lambda question, _, case: {"nftables": "1", "curl": "8", **case.get("installed", {})}.get(question.name, Missing.ABSENT),
    SigningKey: lambda _, said, __: _offered(said["key"]) if "key" in said else OfferedKey(KEY, ""),
    SshdEffective: lambda _, said, __: {"permitrootlogin": (said.get("root", "without-password"),), "port": ("22",)},
    WebAdmin: lambda _, said, __: _HASHES[said.get("admin", "none")],
    Database: _database,
    PageSays: lambda _, said, __: said.get("page", ""),
    Kernels: _kernels,
    Management: _card,
    UnitNamed: _unit,
    Firewall: lambda _, said, __: FirewallFacts({"iptables": said["iptables"]} if "iptables" in said else {}),
    Succeeds: lambda question, said, __: said.get("succeeds", {}).get(question.command.split(" ")[0], question == STANDS),
    FileAt: _file,
    DirectoryAt: lambda question, _, __: Directory(question.path, "absent", "/opt", "0755", "root", "root", "0", "0"),
}
