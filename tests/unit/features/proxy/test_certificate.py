"""Certificates on a host: what it says of them, what is refused, and when novaops makes one of its own.

The shell that looks runs here for real, on files of an authority of the tests' own, where openssl is installed.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.engine import probe
from novaops.engine.planner import make_plan, questions_of
from novaops.facts.file import FileAt, FileState
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.features.proxy.resources.given_certificate import GivenCertificate
from novaops.features.proxy.resources.self_signed import LIFETIME, SOON, SelfSigned
from novaops.formats.x509 import DAY, Chain
from novaops.model.action import Command
from novaops.model.journal import pending_marker
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing
from tests.support.world.authority import Authority, Leaf
from tests.unit.facts.test_facts import MARK, framed, outcome, read

CERTIFICATE, KEY = "/etc/nginx/novaops/a.crt", "/etc/nginx/novaops/a.key"
AT = CertificateAt(CERTIFICATE, KEY)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Leaf:
    return authority.leaf("a.example", "*.b.example", days=90)


# -- what the host says -----------------------------------------------------------------------------------------------


def answer(stdout: str) -> Any:
    return outcome(read([AT], framed(AT, stdout)), AT)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LINE = f"present 640:root:ssl-cert no yes no {encoded('PEM')} {encoded('error 20 at 0 depth lookup: unable to get it')}."


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        (
            f"100\n{LINE}\n",
            CertificateFacts("PEM", 100, key_permissions=("0640", "root", "ssl-cert"), trusted="unable to get it"),
        ),
        (
            f"100\nabsent - - untold untold {encoded('PEM')} .\n",
            CertificateFacts("PEM", 100, key_there=False, key_matches=None, key_permissions=None, trusted=None),
        ),
        (
            f"100\npresent 4600:a:b yes no yes {encoded('')} .\n",
            CertificateFacts("", 100, key_matches=False, key_encrypted=True, key_permissions=("4600", "a", "b"), trusted=""),
        ),
        (
            f"100\npresent 600:root:root no yes no  {encoded('one' + chr(10) + 'two' + chr(10))}.\n",
            CertificateFacts("", 100, trusted="two"),
        ),
        ("100\nabsent\n", "absent"),
        ("100\nunknown\n", "unknown"),
        ("100\n", "unknown"),
        ("", "unknown"),
        (f"now\n{LINE}\n", "unknown"),
        (f"100\n{LINE[:-1]}\n", "unknown"),
        (f"100\n{LINE[:40]}\n", "unknown"),
        (f"100\nabsent - - untold untold {encoded('PEM')} \n", "unknown"),
        (f"100\n{LINE.replace('present', 'perhaps')}\n", "unknown"),
    ],
)
def test_what_the_host_says(stdout: str, expected: Any) -> None:
    assert answer(stdout) == expected


@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=30)
def test_garbage_is_never_absent(garbage: str) -> None:
    assert answer("100\n" + garbage.replace("absent", "")) == "unknown"


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def seen(questions: list[CertificateAt], shell: str = "sh", path: str | None = None) -> list[Any]:
    """What the shell that looks finds on this machine."""
    asked = probe.families(questions)
    script = probe.script(asked, MARK)
    script = (
        script
        if path is None
        else script.replace("PATH=/usr/local/sbin", f"PATH={path}", 1).replace(
            ":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH", "; export PATH", 1
        )
    )
    done = subprocess.run([shutil.which(shell) or shell, "-s"], input=script.encode(), capture_output=True, check=True)
    facts = probe.read(asked, MARK, done.stdout.decode("utf-8", "surrogateescape"))
    return [outcome(facts, question) for question in questions]


@needs_openssl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_files_as_a_real_shell_finds_them(authority: Authority, leaf: Leaf, tmp_path: Path, shell: str) -> None:
    other = authority.leaf("c.example", days=90)
    odd = tmp_path / 'it\'s a "folder" of $(names)'
    odd.mkdir()
    certificate, key = odd / "c.pem", odd / "k.pem"
    shutil.copy(leaf.certificate, certificate)
    shutil.copy(leaf.key, key)
    key.chmod(0o640)
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", str(leaf.key), "-aes128", "-passout", "pass:x", "-out", str(locked)], check=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "text").write_text("no certificate\n")
    (tmp_path / "folder").mkdir()
    pairs = [
        *((certificate, key), (leaf.certificate, other.key), (leaf.certificate, locked), (leaf.certificate, tmp_path / "none")),
        *((tmp_path / "text", leaf.key), (tmp_path / "none", key), (tmp_path / "dangling", key), (tmp_path / "folder", key)),
    ]
    found = seen([CertificateAt(str(c), str(k)) for c, k in pairs], shell)
    right, mismatched, encrypted, keyless, text = found[:5]
    assert found[5:] == ["absent", "absent", "unknown"]
    assert right.chain == leaf.certificate.read_text()
    assert abs(right.now - certificate.stat().st_ctime) < 100
    assert (right.key_there, right.key_matches, right.key_encrypted) == (True, True, False)
    assert right.key_permissions == ("0640", certificate.owner(), certificate.group())
    assert right.trusted in {None, "unable to get local issuer certificate", "unable to get issuer certificate"}
    assert (mismatched.key_matches, mismatched.key_permissions[0]) == (False, "0600")
    assert (encrypted.key_matches, encrypted.key_encrypted) == (None, True)
    assert (keyless.key_there, keyless.key_matches, keyless.key_permissions) == (False, None, None)
    assert (text.chain, text.key_matches) == ("no certificate\n", None)


def test_without_openssl_only_that_is_not_told(leaf: Leaf, tmp_path: Path) -> None:
    for tool in ("head", "base64", "tr", "stat", "grep", "date", "cut"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    (found,) = seen([CertificateAt(str(leaf.certificate), str(leaf.key))], path=str(tmp_path))
    now = found.now
    permissions = ("0600", leaf.key.owner(), leaf.key.group())
    assert found == CertificateFacts(leaf.certificate.read_text(), now, key_matches=None, key_permissions=permissions, trusted=None)


def test_a_key_in_every_form_is_told_from_another(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    kinds = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ed": ["ED25519"]}
    for name, words in kinds.items():
        make = ["openssl", "genpkey", "-algorithm", *words, "-out", str(tmp_path / f"{name}.key")]
        subprocess.run(make, check=True, capture_output=True)
        request = [
            "openssl",
            "req",
            "-x509",
            "-new",
            "-key",
            str(tmp_path / f"{name}.key"),
            "-subj",
            "/CN=x",
            "-out",
            str(tmp_path / f"{name}.crt"),
        ]
        subprocess.run(request, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    old = ["openssl", "rsa", "-in", str(tmp_path / "rsa.key"), "-traditional", "-out", str(tmp_path / "old.key")]
    subprocess.run(old, check=True, capture_output=True)
    pairs = [(c, k) for c in kinds for k in (*kinds, "old")]
    found = seen([CertificateAt(str(tmp_path / f"{c}.crt"), str(tmp_path / f"{k}.key")) for c, k in pairs])
    assert [pair for pair, facts in zip(pairs, found, strict=True) if facts.key_matches] == [
        ("rsa", "rsa"),
        ("rsa", "old"),
        ("ec", "ec"),
        ("ed", "ed"),
    ]


# -- a certificate of somebody else's ---------------------------------------------------------------------------------


def facts_of(leaf: Leaf, **changes: Any) -> CertificateFacts:
    """Of a leaf with its intermediate, whose authority the host does not know."""
    text = leaf.certificate.read_text()
    return replace(CertificateFacts(text, Chain.read(text).leaf.not_after - 60 * DAY, trusted="unable to get it"), **changes)


def given_plan(found: CertificateFacts | Missing, domains: tuple[str, ...] = ("a.example",)) -> Plan:
    return make_plan([GivenCertificate(CERTIFICATE, KEY, domains)], Facts({AT: found}, {}))


def refusal(plan: Plan) -> Mapping[str, str]:
    assert not plan.steps
    ((_, error),) = plan.refusals
    return {"what": error.what, "why": error.why, "fix": error.fix}


def accepted(plan: Plan) -> list[str]:
    """The notes of a plan that has nothing to do."""
    assert (plan.refusals, plan.steps) == ((), ())
    return [note.text for note in plan.notes]


def test_a_right_one_is_left_as_it_is(authority: Authority, leaf: Leaf) -> None:
    whole = leaf.certificate.read_text() + authority.root.read_text()
    assert accepted(given_plan(facts_of(leaf, chain=whole))) == []
    assert accepted(given_plan(facts_of(leaf, trusted=""))) == [], "the host trusts it"
    assert accepted(given_plan(facts_of(leaf, chain=whole), ("a.example", "x.b.example", "*.b.example"))) == []


def test_without_openssl_nothing_is_refused_for_what_only_it_can_tell(leaf: Leaf) -> None:
    untold = f"whether {KEY} is the key of {CERTIFICATE} could not be told: there is no openssl on the host"
    assert accepted(given_plan(facts_of(leaf, key_matches=None, trusted=None))) == [untold]


def test_leaf_only_is_flagged(authority: Authority) -> None:
    """N11."""
    alone = authority.leaf("a.example", leaf_only=True)
    assert refusal(given_plan(facts_of(alone))) == {
        "what": f"{CERTIFICATE} holds only the server's own certificate: clients that do not know its issuer turn the site down",
        "why": "The certificate of CN=Lab Intermediate 1 is not in the file. openssl on the host: unable to get it.",
        "fix": "append the certificates of the intermediate authorities to the file; for a private authority append its own certificate"
        " too, or let the host trust it (update-ca-certificates)",
    }
    assert accepted(given_plan(facts_of(alone, trusted=""))) == []


@pytest.mark.parametrize("said", ["permitted subtree violation", "invalid CA certificate"])
def test_a_chain_that_is_whole_and_wrong_is_not_said_to_lack_something(leaf: Leaf, said: str) -> None:
    refused = refusal(given_plan(facts_of(leaf, trusted=said)))
    assert (refused["what"], refused["why"]) == (
        f"{CERTIFICATE} cannot be used: clients turn its chain down",
        f"openssl on the host: {said}.",
    )


def test_a_certificate_of_a_client_is_flagged(tmp_path: Path) -> None:
    purposes = {"clientAuth": False, "serverAuth,clientAuth": True, "anyExtendedKeyUsage": True, "": True}
    for number, (purpose, serves) in enumerate(purposes.items()):
        extensions = ["-addext", f"extendedKeyUsage={purpose}"] if purpose else []
        made = tmp_path / f"{number}.crt"
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:a.example"]
        subprocess.run([*words, *extensions, "-keyout", str(tmp_path / "key"), "-out", str(made)], check=True, capture_output=True)
        chain = made.read_text()
        plan = given_plan(CertificateFacts(chain, Chain.read(chain).leaf.not_before))
        refused = "" if serves else f"{CERTIFICATE} is not for servers: every client would turn it down"
        assert (refusal(plan)["what"] if plan.refusals else "") == refused


def test_an_authority_that_nobody_knows_is_flagged(leaf: Leaf) -> None:
    said = refusal(given_plan(facts_of(leaf)))
    assert said["what"] == f"{CERTIFICATE} does not lead to an authority: clients that do not know its issuer turn the site down"
    assert said["why"].startswith("The certificate of CN=Lab Root is not in the file.")


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        (
            {"key_there": False, "key_permissions": None, "key_matches": None},
            f"there is no key {KEY} on the host",
            "put the certificate's private key there, mode 0600",
        ),
        ({"key_matches": False}, f"{KEY} is not the key of {CERTIFICATE}", "put the key there that the certificate was made with"),
        (
            {"key_encrypted": True, "key_matches": None},
            f"the key {KEY} is encrypted",
            f"openssl pkey -in {KEY} -out NEW writes it without a password: keep that 0600",
        ),
        ({"key_permissions": ("0644", "root", "root")}, f"everybody on the host can read the key {KEY} (mode 0644)", f"chmod 0600 {KEY}"),
        (
            {"chain": "x"},
            f"{CERTIFICATE} cannot be used: there is no certificate in it: no line says BEGIN CERTIFICATE",
            "put the certificate there as PEM text",
        ),
    ],
)
def test_what_is_wrong_with_the_files(leaf: Leaf, changes: Mapping[str, Any], what: str, fix: str) -> None:
    said = refusal(given_plan(facts_of(leaf, trusted="", **changes) if "trusted" not in changes else facts_of(leaf, **changes)))
    assert (said["what"], said["fix"]) == (what, fix)


def test_a_key_of_another_certificate_says_whose_it_should_be(leaf: Leaf) -> None:
    said = refusal(given_plan(facts_of(leaf, trusted="", key_matches=False)))
    assert said["why"] == "The first certificate in the file is for a.example, *.b.example."


def test_a_key_that_a_group_may_read_will_do(leaf: Leaf) -> None:
    assert accepted(given_plan(facts_of(leaf, trusted="", key_permissions=("0640", "root", "ssl-cert")))) == []


def test_no_file_at_all() -> None:
    assert refusal(given_plan(Missing.ABSENT))["what"] == f"there is no certificate {CERTIFICATE} on the host"


def test_the_servers_own_certificate_comes_first(leaf: Leaf) -> None:
    first, second = leaf.certificate.read_text().split("-----END CERTIFICATE-----\n")[:2]
    end = "-----END CERTIFICATE-----\n"
    said = refusal(given_plan(facts_of(leaf, chain=second + end + first + end, key_matches=False)))
    assert said["fix"] == "put the certificate for a.example first in the file: a server's own comes before its issuers'"
    assert said["why"] == "The first certificate in the file is for CN=Lab Intermediate 1."


def test_dates(authority: Authority, leaf: Leaf) -> None:
    end = Chain.read(leaf.certificate.read_text()).leaf.not_after
    assert refusal(given_plan(facts_of(leaf, now=end)))["what"].startswith(f"{CERTIFICATE} expired on 20")
    assert accepted(given_plan(facts_of(leaf, now=end - 1, trusted="")))[0].startswith(f"{CERTIFICATE} expires in 0 days, on 20")
    (said,) = accepted(given_plan(facts_of(leaf, now=end - SOON * DAY + 1, trusted="")))
    assert said.startswith(f"{CERTIFICATE} expires in {SOON - 1} days, on 20")
    assert said.endswith(": novaops does not renew it")
    assert accepted(given_plan(facts_of(leaf, now=end - SOON * DAY, trusted=""))) == []
    begin = Chain.read(leaf.certificate.read_text()).leaf.not_before
    assert accepted(given_plan(facts_of(leaf, now=begin, trusted=""))) == []
    early = refusal(given_plan(facts_of(leaf, now=begin - 1)))
    assert early["what"].startswith(f"{CERTIFICATE} is valid only from 20")
    assert early["why"].startswith("The host's clock says 20")
    chain = leaf.certificate.read_text() + authority.root.read_text()
    late = facts_of(leaf, chain=chain, now=Chain.read(chain).certificates[1].not_after)
    assert refusal(given_plan(late))["what"].startswith(f"{CERTIFICATE} expired on")


def test_an_intermediate_that_has_expired_is_named(authority: Authority) -> None:
    """The leaf outlives it."""
    long = authority.leaf("a.example", days=5000)
    chain = long.certificate.read_text()
    late = CertificateFacts(chain, Chain.read(chain).certificates[1].not_after, trusted="")
    assert refusal(given_plan(late))["what"].startswith(f"CN=Lab Intermediate 1 in {CERTIFICATE} expired on 20")


def test_an_old_intermediate_before_its_renewed_one_is_passed_over(leaf: Leaf) -> None:
    """As clients do: both have one key."""
    first, second = leaf.certificate.read_text().split("-----END CERTIFICATE-----\n")[:2]
    end = "-----END CERTIFICATE-----\n"
    renewed = x509.load_pem_x509_certificate((second + end).encode())
    old = x509.CertificateBuilder(renewed.issuer, renewed.subject, renewed.public_key(), 7)
    old = old.not_valid_before(renewed.not_valid_before_utc).not_valid_after(renewed.not_valid_before_utc + timedelta(days=1))
    old_pem = old.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    found = facts_of(leaf, chain=first + end + old_pem + second + end, trusted="")
    assert accepted(given_plan(found)) == [
        f"{CERTIFICATE}: the certificates are not in order, each followed by its issuer's: old clients turn that down"
    ]


def test_names_it_is_not_for_are_listed(authority: Authority, leaf: Leaf) -> None:
    said = refusal(given_plan(facts_of(leaf, trusted=""), ("a.example", "c.example", ".b.example", "x.y.b.example")))
    assert said["what"] == f"{CERTIFICATE} is not for c.example, .b.example, x.y.b.example"
    assert said["why"] == "It is for a.example, *.b.example."
    root = CertificateFacts(authority.root.read_text(), facts_of(leaf).now)
    assert refusal(given_plan(root))["why"] == (
        "It names none in its subjectAltName. The name Lab Root in its subject counts for no client."
    )


def test_another_order_is_only_noted(authority: Authority) -> None:
    deep = Authority(authority.folder / "deep", intermediates=2)
    parts = deep.leaf("a.example").certificate.read_text().split("-----END CERTIFICATE-----\n")[:3]
    chain = "".join(f"{parts[n]}-----END CERTIFICATE-----\n" for n in (0, 2, 1)) + deep.root.read_text()
    found = CertificateFacts(chain, Chain.read(chain).leaf.not_after - 60 * DAY)
    order = f"{CERTIFICATE}: the certificates are not in order, each followed by its issuer's: old clients turn that down"
    assert accepted(given_plan(found)) == [order]


# -- one of novaops' own ----------------------------------------------------------------------------------------------


THEN = ("systemctl", "try-reload-or-restart", "nginx.service")


def own_plan(found: CertificateFacts | Missing, domains: tuple[str, ...] = ("Lab Root",), file: FileState | None = None) -> Plan:
    resource = SelfSigned("a", domains, CERTIFICATE, KEY, THEN)
    there = (
        FileState("regular file", "0644", "root", "root", found.chain.encode()) if isinstance(found, CertificateFacts) else Missing.ABSENT
    )
    answers: Mapping[Any, Any] = {AT: found, FileAt(CERTIFICATE): file or there}
    assert set(questions_of([resource])) == set(answers)
    return make_plan([resource], Facts(answers, {}))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> CertificateFacts:
    """A self-signed certificate for a.example and *.a.example with 100 days left."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("own")
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "397",
        "-subj",
        "/CN=a",
    ]
    names = ["-addext", "subjectAltName=DNS:a.example,DNS:*.a.example", "-keyout", str(folder / "k"), "-out", str(folder / "c")]
    subprocess.run([*request, *names], check=True, capture_output=True)
    chain = (folder / "c").read_text()
    return CertificateFacts(chain, Chain.read(chain).leaf.not_after - 100 * DAY, trusted="self-signed certificate")


def changes(plan: Plan) -> list[tuple[str, str | None, str | None]]:
    assert plan.refusals == ()
    return [(change.field, change.before, change.after) for step in plan.steps for change in step.changes]


def test_the_first_one() -> None:
    plan = own_plan(Missing.ABSENT, ("a.example", ".b.example", "192.0.2.7", "[2001:db8::7]", "~^x$"))
    names = "a.example, b.example, *.b.example, 192.0.2.7, 2001:db8::7"
    assert changes(plan) == [("certificate", None, f"self-signed, {LIFETIME} days, for {names}")]
    (command,) = (action for step in plan.steps for action in step.actions)
    assert isinstance(command, Command)
    assert command.undo is not None
    marker = pending_marker(CERTIFICATE)
    place = (CERTIFICATE, KEY, "none", marker, f"/var/lib/novaops/certificates/{marker.rpartition('/')[2]}/none")
    assert command.words[3:9] == ("make-certificate", *place)
    assert command.words[9] == "397"
    assert "\nCN = a.example\n" in command.words[10]
    assert "\nsubjectAltName = DNS:a.example,DNS:b.example,DNS:*.b.example,IP:192.0.2.7,IP:2001:db8::7\n" in command.words[10]
    assert command.words[11:] == THEN
    assert command.undo.words[3:] == ("take-back", *place, *THEN)
    assert command.undo.holds.endswith(f"[ ! -e {CERTIFICATE} ]")


def test_a_name_too_long_for_a_subject_stands_only_among_the_names() -> None:
    for length, shown in ((64, "x" * 56), (65, "novaops")):
        domain = "x" * (length - 8) + ".example"
        (command,) = (action for step in own_plan(Missing.ABSENT, (domain,)).steps for action in step.actions)
        assert isinstance(command, Command)
        assert f"\nCN = {shown}" in command.words[10]
        assert f"DNS:{domain}\n" in command.words[10]


def test_one_that_is_right_stays(own: CertificateFacts) -> None:
    assert changes(own_plan(own, (".a.example",))) == []
    assert changes(own_plan(own, ("*.a.example", "A.example"))) == []
    assert changes(own_plan(replace(own, key_matches=None, trusted=None), (".a.example",))) == [], "before openssl is installed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key_matches": False}, ("key", "of another certificate", "a new one")),
        ({"key_there": False, "key_matches": None, "key_permissions": None}, ("key", None, "a new one")),
        ({"key_encrypted": True, "key_matches": None}, ("key", "encrypted", "a new one")),
        ({"key_permissions": ("0640", "root", "www-data")}, ("key", "mode 0640, so others may know it", "a new one, mode 0600")),
        ({"key_permissions": ("0604", "root", "root")}, ("key", "mode 0604, so others may know it", "a new one, mode 0600")),
        (
            {"chain": "x"},
            (
                "certificate",
                f"{CERTIFICATE}: there is no certificate in it: no line says BEGIN CERTIFICATE",
                "self-signed, 397 days, for a.example, *.a.example",
            ),
        ),
    ],
)
def test_what_makes_a_new_one_necessary(own: CertificateFacts, change: Mapping[str, Any], field: tuple[str, str | None, str]) -> None:
    assert changes(own_plan(replace(own, **change), (".a.example",))) == [field]


def test_it_is_renewed_in_time(own: CertificateFacts) -> None:
    leaf = Chain.read(own.chain).leaf
    assert changes(own_plan(replace(own, now=leaf.not_after - SOON * DAY), (".a.example",))) == []
    for now in (leaf.not_after - SOON * DAY + 1, leaf.not_after + DAY, leaf.not_before - 1):
        ((field, before, after),) = changes(own_plan(replace(own, now=now), (".a.example",)))
        assert (field, after) == ("valid", "397 days from now")
        assert before is not None
        assert before.startswith("from 20")


def test_another_list_of_names_makes_a_new_one(own: CertificateFacts) -> None:
    plan = own_plan(own, ("a.example", "192.0.2.7"))
    assert changes(plan) == [("names", "a.example, *.a.example", "a.example, 192.0.2.7")]
    (command,) = (action for step in plan.steps for action in step.actions)
    assert isinstance(command, Command)
    digest = FileState("regular file", content=own.chain.encode()).digest
    assert command.words[6] == digest
    assert command.undo is not None
    assert f"= {digest} ]" in command.undo.holds


def test_a_reload_that_a_cut_run_did_not_reach_is_done(own: CertificateFacts) -> None:
    pending = FileState("regular file", "0644", "root", "root", own.chain.encode(), pending=True)
    plan = own_plan(own, (".a.example",), pending)
    assert changes(plan) == [("then", "not finished", " ".join(THEN))]
    (command,) = (action for step in plan.steps for action in step.actions)
    assert isinstance(command, Command)
    assert command.words[3:] == ("finish", pending_marker(CERTIFICATE), *THEN)


def test_without_then_nothing_can_be_pending(own: CertificateFacts) -> None:
    pending = FileState("regular file", "0644", "root", "root", own.chain.encode(), pending=True)
    resource = SelfSigned("a", (".a.example",), CERTIFICATE, KEY)
    assert changes(make_plan([resource], Facts({AT: own, FileAt(CERTIFICATE): pending}, {}))) == []


def test_one_of_an_authority_is_not_overwritten(leaf: Leaf) -> None:
    said = refusal(own_plan(facts_of(leaf), ("a.example",)))
    assert said["what"] == f"{CERTIFICATE} is not self-signed: CN=Lab Intermediate 1 issued it"


@pytest.mark.parametrize(
    ("domains", "file", "what"),
    [
        (("~^a$", "www.*"), None, "no certificate can be made for ~^a$, www.*"),
        (("a",), FileState("directory"), f"{CERTIFICATE} is a directory, not a file"),
        (("a",), FileState("regular file"), f"{CERTIFICATE} is larger than 1 MiB, and no certificate"),
    ],
)
def test_what_cannot_be_made(domains: tuple[str, ...], file: FileState | None, what: str) -> None:
    assert refusal(own_plan(Missing.ABSENT, domains, file))["what"] == what
