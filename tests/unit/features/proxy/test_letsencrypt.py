"""Certificates by certbot: its file of how one is renewed, and what is refused, rehearsed and done."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.engine.planner import make_plan, questions_of
from novaops.facts.dns import AddressesOf, OwnAddresses
from novaops.facts.file import FileAt, FileState
from novaops.facts.listening import Listener, Listening
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.features.proxy.facts.renewals import Renewals
from novaops.features.proxy.resources.letsencrypt import LETS_ENCRYPT, TIMERS, LetsEncrypt
from novaops.formats.certbot_renewal import RenewalConf, quoted, unquoted
from novaops.formats.x509 import DAY, Chain
from novaops.model.action import Command, Precondition, WriteFile
from novaops.model.plan import Plan
from novaops.model.question import Facts, Missing
from tests.support.world.authority import Authority
from tests.unit.facts.test_facts import framed, outcome, read

CASES = Path(__file__).parents[3] / "cases" / "renewal"
TWO, NGINX = ((CASES / f"{name}.conf").read_text() for name in ("as_certbot_2_writes_it", "as_certbot_writes_it_for_nginx"))
HOOK = ("sh", "-c", "date +%s >>/root/hook; systemctl try-reload-or-restart nginx")
WEBROOT = "/var/lib/novaops-acme"
DIRECTORY = "https://acme.lab.test:14000/dir"
LIVE = "/etc/letsencrypt/live/novaops-gw"


# -- certbot's own file -----------------------------------------------------------------------------------------------


def test_what_stands_in_it() -> None:
    conf = RenewalConf(TWO)
    assert [conf.value(key) for key in ("server", "authenticator", "webroot_path", "installer", "version")] == [
        *(DIRECTORY, "webroot", WEBROOT, None, None)
    ]
    assert conf.value("renew_hook") == shlex.join(HOOK)
    assert conf.webroots == {"www.lab.test": WEBROOT, "gw.lab.test": WEBROOT}
    assert RenewalConf(NGINX).webroots == {}


def test_what_is_right_stays_byte_for_byte() -> None:
    conf = RenewalConf(TWO)
    assert conf.but(shlex.join(HOOK), WEBROOT, ["gw.lab.test", "www.lab.test"]).text == TWO
    elsewhere = f"installer = x\nwebroot_path = /y\n{TWO}[other]\nrenew_hook = z\n"
    assert RenewalConf(elsewhere).but(shlex.join(HOOK), WEBROOT, ["gw.lab.test", "www.lab.test"]).text == elsewhere


def test_what_is_wrong_is_put_right_and_nothing_else() -> None:
    conf = RenewalConf(TWO)
    other = conf.but("true, really", "/srv/x", ["gw.lab.test", "www.lab.test"])
    wanted = (
        TWO.replace("[renewalparams]\n", '[renewalparams]\nrenew_hook = "true, really"\n')
        .replace("renew_hook = \"sh -c 'date +%s >>/root/hook; systemctl try-reload-or-restart nginx'\"\n", "")
        .replace("webroot_path = /var/lib/novaops-acme,\n", "")
        .replace(
            "www.lab.test = /var/lib/novaops-acme\ngw.lab.test = /var/lib/novaops-acme\n", "gw.lab.test = /srv/x\nwww.lab.test = /srv/x\n"
        )
    )
    assert other.text == wanted
    assert other.differences(conf) == [
        ("renewal: webroot_path", WEBROOT, None),
        ("renewal: renew_hook", shlex.join(HOOK), "true, really"),
        ("renewal: webroot of www.lab.test", WEBROOT, "/srv/x"),
        ("renewal: webroot of gw.lab.test", WEBROOT, "/srv/x"),
    ]
    fewer = conf.but(shlex.join(HOOK), WEBROOT, ["gw.lab.test"])
    assert fewer.text == TWO.replace("www.lab.test = /var/lib/novaops-acme\n", "")


def test_a_lineage_of_another_plugin_becomes_ours() -> None:
    after = RenewalConf(NGINX).but("true", WEBROOT, ["gw.lab.test"])
    head, _, parameters = NGINX.partition("[renewalparams]\n")
    kept = parameters.replace("authenticator = nginx\ninstaller = nginx\n", "")
    mapped = f"[[webroot_map]]\ngw.lab.test = {WEBROOT}\n"
    assert after.text == f"{head}[renewalparams]\nauthenticator = webroot\nrenew_hook = true\n{kept}{mapped}"
    assert ("renewal: installer", "nginx", None) in after.differences(RenewalConf(NGINX))


LINES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)


@given(LINES)
def test_what_is_quoted_reads_back(value: str) -> None:
    try:
        text = quoted(value)
    except ValueError:
        text = ""
        assert {"'", '"'} <= set(value)
    assert not text or unquoted(text) == value
    assert not {"\n", "\r"} & set(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two words", "two words"),
        ("it's so", "it's so"),
        ("a, b", '"a, b"'),
        ("a # b", '"a # b"'),
        ("a 'b'", "\"a 'b'\""),
        ('a "b", c', "'a \"b\", c'"),
        ("a \"b\" 'c'", "'''a \"b\" 'c''''"),
        ("a 'b' \"c\"", "'''a 'b' \"c\"'''"),
        (" x", '" x"'),
        ("", '""'),
    ],
)
def test_values_are_quoted_as_ConfigObj_does_it(value: str, text: str) -> None:  # noqa: N802 - a name
    assert quoted(value) == text
    assert unquoted(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a, b", "a"),
        ("a,", "a"),
        ('"a, b", c', "a, b"),
        ("a # comment", "a"),
        ("a#b", "a#b"),
        ("'''a 'b' \"c\" d'''", "a 'b' \"c\" d"),
        ('"open', '"open'),
    ],
)
def test_values_are_read_as_certbot_reads_them(text: str, value: str) -> None:
    assert unquoted(text) == value


def test_a_line_break_is_no_value() -> None:
    for value in ("a\nb", "\"\"\" '''"):
        with pytest.raises(ValueError, match="one line"):
            quoted(value)


@given(st.text(max_size=120), LINES, st.lists(st.sampled_from(["a.example", "b.example"]), unique=True))
@example("0\r", "", [])
def test_any_file_is_put_right_once(text: str, webroot: str, domains: list[str]) -> None:
    webroot = "/" + webroot.replace("'", "").replace('"', "")
    once = RenewalConf(text).but("true", webroot, domains)
    assert (once.value("renew_hook"), once.value("authenticator"), once.webroots) == ("true", "webroot", dict.fromkeys(domains, webroot))
    assert once.but("true", webroot, domains).text == once.text


# -- what is planned --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For gw.lab.test and www.lab.test, 90 days long, with an intermediate."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return authority.leaf("gw.lab.test", "www.lab.test", days=89).certificate.read_text()


RESOURCE = LetsEncrypt(
    "gw", ("gw.lab.test", "www.lab.test"), "me@lab.test", DIRECTORY, WEBROOT, addresses=("203.0.113.5", "box"), hook=HOOK
)
TIMER = UnitFacts("loaded", "active", "enabled")


def planned(resource: LetsEncrypt = RESOURCE, found: CertificateFacts | Missing = Missing.ABSENT, **changes: Any) -> Plan:
    """With answers by question, or for `conf`, `holders`, `timer` and names with _ for dots in their place."""
    answers: dict[Any, Any] = {
        CertificateAt(f"{LIVE}/fullchain.pem", f"{LIVE}/privkey.pem"): found,
        FileAt("/etc/letsencrypt/renewal/novaops-gw.conf"): conf_file(changes.get("conf", TWO if found is not Missing.ABSENT else None)),
        OwnAddresses(): ("127.0.0.1", "10.0.0.5", "::1", "2001:db8::5"),
        Listening(): changes.get("holders", ()),
        AddressesOf("gw.lab.test"): changes.get("gw", ("203.0.113.5", "2001:db8::5")),
        AddressesOf("www.lab.test"): changes.get("www", ("10.0.0.5",)),
        AddressesOf("box"): changes.get("box", ("203.0.113.6",)),
        Renewals(): changes.get("renewals", ("certbot.timer",)),
        **{UnitNamed(timer): Missing.ABSENT for timer in TIMERS},
        **{UnitNamed(timer): unit for timer, unit in changes.get("timers", {TIMERS[0]: TIMER}).items()},
    }
    assert set(questions_of([resource])) <= set(answers)
    return make_plan([resource], Facts(answers, {}))


def conf_file(text: str | None) -> FileState | Missing:
    return Missing.ABSENT if text is None else FileState("regular file", "0644", "root", "root", text.encode())


def lasting(chain: str, days: float = 60) -> CertificateFacts:
    return CertificateFacts(chain, int(Chain.read(chain).leaf.not_after - days * DAY))


def changes(plan: Plan) -> list[tuple[str, str | None, str | None]]:
    assert plan.refusals == ()
    return [(change.field, change.before, change.after) for step in plan.steps for change in step.changes]


def refusal(plan: Plan) -> Mapping[str, str]:
    ((_, error),) = plan.refusals
    return {"what": error.what, "why": error.why, "fix": error.fix}


CERTONLY = [
    *(
        "certbot",
        "certonly",
        "--non-interactive",
        "--agree-tos",
        "--cert-name",
        "novaops-gw",
        "--server",
        DIRECTORY,
        "--email",
        "me@lab.test",
    ),
    *("--webroot", "--webroot-path", WEBROOT, "--key-type", "ecdsa", "--deploy-hook", shlex.join(HOOK)),
    *("--domain", "gw.lab.test", "--domain", "www.lab.test"),
]


def test_the_first_one_is_rehearsed_and_then_issued() -> None:
    plan = planned()
    assert changes(plan) == [("certificate", None, f"from {DIRECTORY}, for gw.lab.test, www.lab.test")]
    ((rehearsal, issue),) = (step.actions for step in plan.steps)
    assert isinstance(rehearsal, Precondition)
    assert shlex.split(rehearsal.script.splitlines()[0].removeprefix("said=$(").partition(" 2>&1)")[0]) == [*CERTONLY, "--dry-run"]
    assert isinstance(issue, Command)
    assert list(issue.words) == CERTONLY
    assert issue.undo is not None
    assert issue.undo.words == ("certbot", "delete", "--non-interactive", "--cert-name", "novaops-gw")
    assert f"[ ! -e {LIVE}/fullchain.pem ]" in issue.undo.holds
    assert plan.notes == ()
    assert [step.cannot_undo for step in plan.steps] == [""]


def test_half_a_lineage_is_none(chain: str) -> None:
    for plan in (planned(found=lasting(chain), conf=None), planned(conf=TWO)):
        assert [field for field, before, _ in changes(plan) if before is None] == ["certificate"]


def test_before_there_is_one_nothing_is_said_of_its_renewal() -> None:
    assert planned(timers={}, renewals=()).unproven == ()


def test_an_account_without_an_address() -> None:
    ((_, issue),) = (step.actions for step in planned(replace(RESOURCE, email=None, directory=LETS_ENCRYPT)).steps)
    assert isinstance(issue, Command)
    assert "--email" not in issue.words
    assert "--register-unsafely-without-email" in issue.words
    assert LETS_ENCRYPT in issue.words


def test_one_that_is_right_is_left_alone(chain: str) -> None:
    for days in (60, 16):
        plan = planned(found=lasting(chain, days), gw=Missing.ABSENT, holders=(Listener("*", 80, ("apache2",)),))
        assert (changes(plan), plan.notes) == ([], ()), "what is only needed to get one is not asked of one that is there"


@pytest.mark.parametrize(
    ("resource", "conf", "facts", "field"),
    [
        (replace(RESOURCE, domains=("gw.lab.test",)), TWO, {}, ("names", "gw.lab.test, www.lab.test", "gw.lab.test")),
        (RESOURCE, TWO.replace(DIRECTORY, LETS_ENCRYPT), {}, ("authority", LETS_ENCRYPT, DIRECTORY)),
        (RESOURCE, TWO, {"key_matches": False}, ("key", "of another certificate", "a new one")),
        (RESOURCE, TWO, {"key_there": False, "key_matches": None}, ("key", None, "a new one")),
        (RESOURCE, TWO, {"chain": ""}, ("certificate", "it is empty", "a new one")),
    ],
)
def test_why_another_one_is_had(
    chain: str, resource: LetsEncrypt, conf: str, facts: Mapping[str, Any], field: tuple[str, str | None, str]
) -> None:
    plan = planned(resource, replace(lasting(chain), **facts), conf=conf)
    assert changes(plan) == [field]
    (step,) = plan.steps
    rehearsal, issue = step.actions
    assert isinstance(rehearsal, Precondition)
    assert isinstance(issue, Command)
    assert issue.words[-2:] == ("--renew-with-new-domains", "--force-renewal")
    assert (issue.undo, step.cannot_undo.startswith("the certificate that is replaced: ")) == (None, True)


def test_one_that_nothing_renewed_in_time_is_had_anew(chain: str) -> None:
    assert changes(planned(found=lasting(chain, 15))) == []
    assert changes(planned(found=lasting(chain, 14.9))) == [("valid", "14 days more: nothing renewed it", "a new one")]
    assert changes(planned(found=lasting(chain, -2)))[0][1] == "-2 days more: nothing renewed it"


def test_another_hook_is_put_into_the_file_and_rehearsed(chain: str) -> None:
    plan = planned(replace(RESOURCE, hook=("true",)), lasting(chain))
    assert changes(plan) == [("renewal: renew_hook", shlex.join(HOOK), "true")]
    ((write, rehearsal),) = (step.actions for step in plan.steps)
    assert isinstance(write, WriteFile)
    assert (write.path, write.before) == ("/etc/letsencrypt/renewal/novaops-gw.conf", TWO.encode())
    assert b"renew_hook = true\n" in (write.content if isinstance(write.content, bytes) else b"")
    assert isinstance(rehearsal, Precondition)
    renew = f"certbot renew --non-interactive --dry-run --no-random-sleep-on-renew --cert-name novaops-gw --server {DIRECTORY} 2>&1"
    assert rehearsal.script.startswith(f"said=$({renew})")


def units(chain: str, *renewals: str, **timers: UnitFacts) -> Plan:
    named = {name.replace("_", "-") + ".timer": unit for name, unit in timers.items()}
    return planned(found=lasting(chain), renewals=renewals, timers=named)


def test_the_timer_that_renews_it_runs_and_is_enabled(chain: str) -> None:
    off, until_boot = UnitFacts("loaded", "inactive", "disabled"), UnitFacts("loaded", "active", "disabled")
    assert [step.resource for step in units(chain, certbot_renew=off).steps] == ["unit:certbot-renew.timer"]
    assert changes(units(chain, certbot_renew=off)) == [("enabled", "disabled", "enabled"), ("active", "inactive", "active")]
    assert changes(units(chain, certbot=until_boot)) == [("enabled", "disabled", "enabled")]
    for other in ("certbot-renew.timer", "mine.timer", "/etc/crontab"):
        plan = units(chain, other, certbot=off)
        assert (changes(plan), plan.unproven) == ([], ())


@pytest.mark.parametrize(
    ("timers", "why", "fix"),
    [
        (
            {},
            "There is no certbot.timer",
            "install the package that brings certbot.timer; or add to /etc/crontab: 0 0,12 * * * root certbot renew -q",
        ),
        (
            {"certbot": UnitFacts("masked", "inactive", "masked")},
            "certbot.timer is masked",
            "systemctl unmask certbot.timer and run this again; or",
        ),
    ],
)
def test_one_that_nothing_renews_does_not_work(chain: str, timers: Mapping[str, UnitFacts], why: str, fix: str) -> None:
    plan = units(chain, **timers)
    ((_, failure),) = plan.unproven
    assert (changes(plan), failure.what) == ([], "gw: nothing on the host renews the certificate")
    assert failure.why == f"{why}, and no other timer that is enabled and no file of cron runs certbot."
    assert failure.fix.startswith(fix)
    assert units(chain, "/etc/cron.d/mine", **timers).unproven == ()


def test_what_certbot_leaves_out_is_renewed_again(chain: str) -> None:
    for value, left_out in (("False", True), ("no", True), ("True", False)):
        conf = TWO.replace("[renewalparams]\n", f"[renewalparams]\nautorenew = {value}\n")
        plan = planned(found=lasting(chain), conf=conf)
        assert changes(plan) == ([("renewal: autorenew", value, None)] if left_out else [])
        assert RenewalConf(conf).but(shlex.join(HOOK), WEBROOT, ["gw.lab.test", "www.lab.test"]).text == (TWO if left_out else conf)


TIMERS_OF_A_HOST = {
    "certbot.timer": ("certbot.service", "active", "enabled", "/usr/bin/certbot -q renew"),
    "snap.certbot.renew.timer": (
        "snap.certbot.renew.service",
        "active",
        "enabled",
        "/usr/bin/snap run --timer=00:00~24:00/2 certbot.renew",
    ),
    "mine.timer": ("theirs.service", "active", "enabled", "/opt/certbot/bin/certbot renew"),
    "until-boot-certbot.timer": ("a.service", "active", "disabled", "/usr/bin/certbot -q renew"),
    "from-boot-certbot.timer": ("a.service", "inactive", "enabled", "/usr/bin/certbot -q renew"),
    "fstrim.timer": ("fstrim.service", "active", "enabled", "/sbin/fstrim -A"),
}
_SYSTEMCTL = """\
systemctl() {{
  case "$*" in
    *"*.timer") printf '%s\\n' {shown} ;;
    is-active*) {cron} ;;
    "show -p Id,ExecStart -- "*) printf '%s\\n' {commands} ;;
  esac
}}
"""


@pytest.mark.parametrize("cron_runs", [True, False])
def test_what_runs_certbot_by_itself(tmp_path: Path, *, cron_runs: bool) -> None:
    """The script itself, by a shell; what it asks systemd is answered here, in systemd's form."""
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "crontab").write_text("0 0 * * * root /opt/certbot/bin/certbot renew -q\n")
    debians = "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n"
    (tmp_path / "cron.d/certbot").write_text(f"# certbot renew\n{debians}")
    (tmp_path / "cron.d/backup").write_text("0 0 * * * root tar c /etc/letsencrypt\n# certbot renew\n")
    blocks = "\n".join(f"Unit={s}\nId={t}\nActiveState={a}\nUnitFileState={e}\n" for t, (s, a, e, _) in TIMERS_OF_A_HOST.items())
    commands = "\n".join(f"ExecStart={{ path=x ; argv[]={c} ; }}\nId={s}\n" for s, _, _, c in TIMERS_OF_A_HOST.values())
    systemctl = _SYSTEMCTL.format(shown=shlex.quote(blocks), cron=str(cron_runs).lower(), commands=shlex.quote(commands))
    script = Renewals.script_one().replace("/etc/cron", f"{tmp_path}/cron").replace("/var/spool", str(tmp_path))
    done = subprocess.run(["sh", "-c", systemctl + script], capture_output=True, text=True, check=True)
    timers, files = ("certbot.timer", "snap.certbot.renew.timer", "mine.timer"), (f"{tmp_path}/crontab",)
    assert outcome(read([Renewals()], framed(Renewals(), done.stdout)), Renewals()) == (*timers, *(files if cron_runs else ()))


def test_half_an_answer_is_none() -> None:
    assert outcome(read([Renewals()], framed(Renewals(), "certbot.timer\n")), Renewals()) == "unknown"


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("*.lab.test", "a wildcard needs validation by DNS"),
        (".lab.test", "a wildcard needs validation by DNS"),
        ("www.*", "a wildcard needs validation by DNS"),
        ("~^x\\.lab\\.test$", "a pattern is no name"),
        ("192.0.2.1", "an IP address, which most versions of certbot do not support"),
        ("[2001:db8::1]", "an IP address, which most versions of certbot do not support"),
        ("localhost", "not a full name"),
    ],
)
def test_names_that_no_authority_certifies_over_HTTP(chain: str, domain: str, reason: str) -> None:  # noqa: N802 - a name
    for found in (Missing.ABSENT, lasting(chain)):
        said = refusal(planned(replace(RESOURCE, domains=("gw.lab.test", domain)), found))
        assert (said["what"], said["why"]) == ("no certificate can be issued for these names over HTTP", f"{domain}: {reason}")


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"gw": Missing.ABSENT}, ["gw.lab.test has no address"]),
        ({"gw": ("198.51.100.1", "203.0.113.5")}, ["gw.lab.test leads to 198.51.100.1, which is not the host"]),
        (
            {"gw": ("203.0.113.5", "2001:db8::6"), "www": Missing.ABSENT},
            ["gw.lab.test leads to 2001:db8::6, which is not the host (authorities try IPv6 first)", "www.lab.test has no address"],
        ),
    ],
)
def test_names_that_lead_elsewhere(changed: Mapping[str, Any], reasons: list[str]) -> None:
    said = refusal(planned(**changed))
    assert said["what"] == "the authority would not find the host as gw.lab.test, www.lab.test"
    assert said["why"].splitlines() == [*reasons, "What leads to the host: 203.0.113.5, box, 10.0.0.5, 2001:db8::5."]


@pytest.mark.parametrize("gw", [("127.0.1.1",), ("203.0.113.6",), ("203.0.113.5", "10.0.0.5"), ("2001:db8::5",)])
def test_what_leads_to_the_host(gw: tuple[str, ...]) -> None:
    """The inventory's address as a name, the host's own ones, and what Debian writes into /etc/hosts."""
    assert changes(planned(gw=gw))
    assert refusal(planned(gw=("203.0.113.6",), box=Missing.ABSENT))


def test_port_80_of_another_program() -> None:
    apache = Listener("::", 80, ("apache2",))
    said = refusal(planned(holders=(Listener("127.0.0.1", 8080, ("x",)), apache)))
    assert said["what"] == "port 80 is taken by apache2: the authority asks there, and nginx has to answer"
    assert said["fix"] == "stop it for good, or let it listen elsewhere (it listens on ::)"
    said = refusal(planned(holders=(replace(apache, unit="apache2.service"),)))
    assert said["fix"].startswith("stop it for good (systemctl disable --now apache2.service), or let it")
    assert changes(planned(holders=(Listener("*", 80, ("nginx",)), Listener("*", 8080, ("x",)))))
    assert "taken by something:" in refusal(planned(holders=(Listener("*", 80, ()),)))["what"]


def test_a_name_that_was_proven_before_has_no_webroot_of_its_own() -> None:
    """The authority asked for nothing, and certbot wrote down no webroot for it: then it takes webroot_path."""
    parameters = "[renewalparams]\nauthenticator = webroot\nrenew_hook = true\nwebroot_path = /srv/acme,\n"
    text = f"{parameters}[[webroot_map]]\na.example.com = /srv/acme\n"
    conf = RenewalConf(text)
    assert conf.but("true", "/srv/acme", ["a.example.com", "b.example.com"]).text == text
    assert RenewalConf(parameters).but("true", "/srv/acme", ["a.example.com"]).text == parameters
    moved = RenewalConf(text.replace("webroot_path = /srv/acme,\n", "")).but("true", "/srv/acme", ["b.example.com"])
    assert moved.webroots == {"b.example.com": "/srv/acme"}
