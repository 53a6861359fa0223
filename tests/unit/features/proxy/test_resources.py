"""A site's claims, proof and files, from facts: by tables, and by what nginx says of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from novaops.engine.planner import first_undone, make_plan, questions_of
from novaops.errors import HostFailed, Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.listening import Listener, Listening
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.answer import Answered, SiteAnswer
from novaops.features.proxy.facts.nginx import DEFAULT_PAGE, Nginx, NginxFacts
from novaops.features.proxy.listen import listens
from novaops.features.proxy.resources.api_addresses import ApiAddresses, ApiTimers
from novaops.features.proxy.resources.default_page import NoDefaultPage
from novaops.features.proxy.resources.nginx_capacity import MAIN, NginxCapacity
from novaops.features.proxy.resources.nginx_files import CONF, OWN, NginxFiles, Part, is_ours, site_files
from novaops.features.proxy.resources.nginx_reload import STALE, TAKE_UP, WHEN_UNDONE, NginxReload, Settled
from novaops.features.proxy.resources.site_answers import ApiBehind, SiteAnswers
from novaops.features.proxy.resources.site_preconditions import SitePreconditions
from novaops.features.proxy.resources.site_removed import LineageRemoved, site_removed
from novaops.formats.nginx_conf import NginxConf
from novaops.model.action import Command, WriteFile, payload
from novaops.model.plan import Plan, Resource
from novaops.model.question import Facts, Missing
from novaops.secret import Secret
from tests.support.proxy_sites import APP, CASES, nginx, section


def rows(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))]


# -- claims -----------------------------------------------------------------------------------------------------------


def listener(text: str) -> Listener:
    place, program, unit = [*text.split(" "), "", ""][:3]
    address, _, port = place.rpartition(":")
    return Listener(address.strip("[]"), int(port), (program,) if program else (), unit=unit)


@pytest.mark.parametrize("case", rows("claims"))
def test_claims(case: Mapping[str, Any]) -> None:
    main, file = "/etc/nginx/nginx.conf", case.get("file", "")
    http = case.get("http", "")
    included = f"include {file}; include /etc/nginx/conf.d/*.conf;"
    inside = f"http {{ {case.get('include', included)} {'' if file else http} }}"
    conf = NginxConf({main: f"{case.get('main', '')} {inside}", **({file: http} if file else {})})
    on = nginx(
        tuple(case.get("version", (1, 22, 1))),
        conf=conf,
        default_page_is_debians=case.get("page", False),
        resolvers=tuple(case.get("resolvers", ["192.0.2.53"])),
        main_file=main,
        started_with=case.get("started with", ""),
    )
    facts = Facts({Nginx(): on, Listening(): tuple(map(listener, case.get("listening", [])))}, {})
    [wanted] = section([{**APP, "listen": case.get("listen", []), "tls": "off"}])
    claims = SitePreconditions(
        "shop",
        tuple(case.get("domains", ["shop.example.com"])),
        tuple(case.get("ports", [80])),
        ("shop", "other"),
        needs_resolver=case.get("asks", False),
        pooled_name=case.get("pool", ""),
        listen=tuple(case.get("listen", [])),
        listens=lambda port, nginx: listens(wanted, port, nginx, [wanted]),
        tls_ports=tuple(case.get("tls", [])),
        secured=case.get("secured", False),
    )
    assert set(claims.questions()) == {Nginx(), Listening()}
    plan = make_plan([claims], facts)
    assert [refusal.what for _, refusal in plan.refusals] == ([case["refused"]] if "refused" in case else [])
    for key in ("why", "fix"):
        assert case.get(key, "") in "".join(getattr(refusal, key) for _, refusal in plan.refusals)
    if "refused" not in case:
        assert [note.text for note in plan.notes] == case.get("notes", [])
        assert plan.steps == ()


# -- the proof --------------------------------------------------------------------------------------------------------

URL = "https://gate.example.com/v1/models"
BEHIND = "https://behind.example.com/v1/models"
SITE, HTTP = site_files("shop")


BODIES = {
    "ours": '{"error": {"type": "novaops_proxy", "message": "it is ours"}}',
    "busy": '{"error": {"type": "novaops_proxy", "code": "busy"}}',
    "models": '{"data": []}',
    "page": "<html>hello",
    "words": "welcome",
    "nothing": "",
}
"""Words that stand for a whole body; any other word is the message of an error."""
LOGGED = "the last line of the log"


def answered(text: Any, trouble: str = "", exit_code: int = 0, logged: str = LOGGED) -> Answered | Missing:
    if text is None:
        return Missing.ABSENT
    status, _, word = str(text).partition(" ")
    body = BODIES.get(word, f'{{"error": {{"message": "{word}"}}}}')
    return Answered(int(status), body, trouble, logged, exit_code, site="gate", passed=True)


def api_behind(case: Mapping[str, Any]) -> ApiBehind | None:
    if "api" not in case:
        return None
    injects = case["mode"] == "inject"
    described = not case["api"].startswith("https:")
    without_key = tuple(case.get("without_key", [401]))
    has_key, speaks_json = injects or case.get("key", False), described or not case.get("probe", False)
    return ApiBehind(case["api"], has_key, injects, described, without_key, speaks_json)


@pytest.mark.parametrize("case", rows("answers"))
def test_answers(case: Mapping[str, Any]) -> None:
    site = SiteAnswers(
        *("gate", (URL,), case.get("to", "127.0.0.1:443"), "/etc/x", "/c.pem", case["mode"]),
        api=api_behind(case),
        allowed=tuple(case.get("from", [])),
        headers=(("X-Token", Secret("t")),),
        login=Secret("nova:pw") if case.get("login") else None,
        log="/var/log/x",
        behind=tuple(SiteAnswer(BEHIND, "", "/etc/x", headers=(("X-Number", str(n)),)) for n, _ in enumerate(case.get("behind", []))),
    )
    known, stranger, *past = (question for question in site.questions() if isinstance(question, SiteAnswer))
    assert (known.headers, known.log) == ((("X-Token", Secret("t")),), "/var/log/x")
    assert (stranger.headers, stranger.login) == ((), None), "a stranger has nothing to show"
    answer = answered(case["known"], case.get("trouble", ""), case.get("exit", 0), case.get("logged", LOGGED))
    if isinstance(answer, Answered):
        answer = replace(answer, passed=case.get("passed", True))
    behind: dict[Any, Any] = {question: answered(said) for question, said in zip(past, case.get("behind", []), strict=False)}
    facts = Facts({known: answer, stranger: answered(case["stranger"]), **behind}, {})
    plan = make_plan([site], facts)
    assert (plan.steps, plan.refusals) == ((), ())
    if case["says"] == "ok":
        assert not plan.unproven, plan.unproven
        return
    [(resource, failure)] = plan.unproven
    assert (resource, failure.what) == ("proxy:gate", case["says"].replace("U ", f"{URL} ").replace("B ", f"{BEHIND} "))
    if "down" in case["name"] or "slow" in case["name"]:
        assert failure.why == "the last line of the log"
    if "trouble" in case:
        assert failure.why == case["trouble"]


@pytest.mark.parametrize(
    ("behind", "says"),
    [
        ((BEHIND,), f"novaops asked {BEHIND} past it"),
        ((BEHIND, URL), f"novaops asked {BEHIND} and {URL} past it"),
        ((), "novaops asked nothing past it"),
    ],
)
def test_what_is_not_proven_where_the_host_may_not_use_the_site_is_told(behind: tuple[str, ...], says: str) -> None:
    past = tuple(SiteAnswer(url, "", "/etc/x") for url in behind)
    allowed = ("192.0.2.0/24", "198.51.100.7/32")
    site = SiteAnswers("gate", (URL,), "127.0.0.2:80", "/etc/x", "", "passthrough", allowed=allowed, behind=past)
    beginning = "the site is for 192.0.2.0/24, 198.51.100.7/32, and so not for this host: "
    assert list(site.notes(Facts({}, {}))) == [f"{beginning}{says}, and no request went through the site"]


def test_an_answer_of_somebody_else_is_no_proof() -> None:
    for other in ("", "shop"):
        site = SiteAnswers("gate", ("http://gate.example.com/",), "outside:80", "/etc/x", "", "open")
        facts: dict[Any, Any] = dict.fromkeys(site.questions(), Answered(200, "hello", "", "", site=other))
        [(_, failure)] = make_plan([site], Facts(facts, {})).unproven
        assert failure.what == "gate: http://gate.example.com/ answers 200, but that is not this site's answer"


def test_what_is_behind_a_site_counts_where_its_names_are_patterns() -> None:
    site = SiteAnswers(
        "gate", (), "127.0.0.1:80", "/etc/x", "", "open", allowed=("192.0.2.0/24",), behind=(SiteAnswer(BEHIND, "", "/etc/x"),)
    )
    facts: dict[Any, Any] = dict.fromkeys(site.questions(), Answered(0, "", "refused", ""))
    [(_, failure)] = make_plan([site], Facts(facts, {})).unproven
    assert failure.what == f"gate: the site is up, but its upstream cannot be reached: {BEHIND} does not answer"


def test_a_site_whose_names_are_patterns_is_not_asked_for_and_that_is_told() -> None:
    site = SiteAnswers("gate", (), "127.0.0.1:80", "/etc/x", "", "open")
    assert list(site.questions()) == []
    plan = make_plan([site], Facts({}, {}))
    assert not plan
    assert [note.text for note in plan.notes] == ["it was asked nothing: all of its names are patterns, and so nothing shows that it works"]


def test_an_answer_that_is_not_known_is_no_proof() -> None:
    site = SiteAnswers("gate", (URL,), "127.0.0.1:80", "/etc/x", "", "open")
    [(_, failure)] = make_plan([site], Facts({}, {"answer": "curl: out of memory"})).unproven
    assert isinstance(failure, HostFailed)
    assert failure.why == "curl: out of memory"


def test_a_stream_that_nginx_gathers_is_told() -> None:
    site = SiteAnswers("gate", (URL,), "127.0.0.1:80", "/etc/x", "", "open", gathers=True)
    known, stranger = (question for question in site.questions() if isinstance(question, SiteAnswer))
    stream = Answered(200, "data: 1", "timed out", "", 28, "text/event-stream; charset=utf-8", "", "gate", passed=True)
    plan = make_plan([site], Facts({known: stream, stranger: stream}, {}))
    assert not plan.unproven, "a stream goes on for as long as it likes"
    assert ["which nginx gathers" in note.text for note in plan.notes] == [True]


@pytest.mark.parametrize(
    ("redirect", "told"),
    [
        ("https://gate.example.com/v1/models", True),
        ("https://GATE.example.com.:443/v1/models", True),
        ("https://gate.example.com/v1/models?lang=de", False),
        ("https://gate.example.com/v1/models/", False),
        ("http://gate.example.com/v1/models", False),
        ("https://gate.example.com:99999/v1/models", False),
        ("//[", False),
        ("", False),
    ],
)
def test_a_site_that_leads_to_itself_is_told(redirect: str, told: bool) -> None:  # noqa: FBT001 - a column of the table
    """An application that takes every request for plain http sends a browser round in a circle."""
    url = "https://gate.example.com/v1/models"
    site = SiteAnswers("gate", (url,), "127.0.0.1:443", "/etc/x", "", "open")
    answers = {question: Answered(301, "", "", "", redirect=redirect, site="gate", passed=True) for question in site.questions()}
    plan = make_plan([site], Facts(answers, {}))
    assert not plan.unproven
    assert [note.text.partition(" (301)")[0] for note in plan.notes] == ([f"{url} leads to itself"] if told else [])


# -- files ------------------------------------------------------------------------------------------------------------

SECRETS = f"{OWN}/shop.inject"


def planned(wanted: Any, on: NginxFacts, files: Mapping[str, FileState] | None = None, holds: tuple[str, ...] = ()) -> Plan:
    """What is planned where only these files are there. Of tests in sh, those hold that have one of the texts."""
    resources = wanted if isinstance(wanted, list) else [wanted]
    answers: dict[Any, Any] = {Nginx(): on, UnitNamed("nginx.service"): UnitFacts("loaded", "active", "enabled")}
    for question in questions_of(resources):
        if isinstance(question, FileAt):
            answers[question] = (files or {}).get(question.path, Missing.ABSENT)
        elif isinstance(question, Succeeds):
            answers[question] = any(text in question.command for text in holds)
        elif isinstance(question, UnitNamed):
            answers.setdefault(question, Missing.ABSENT)
    return make_plan(resources, Facts(answers, {}))


def file(text: str, mode: str = "0644", group: str = "root", *, pending: bool = False) -> FileState:
    return FileState("regular file", mode, "root", group, text.encode(), pending=pending)


def both(nginx_files: bool = True) -> NginxFiles:  # noqa: FBT001, FBT002 - with the second part, or without
    parts = (Part(SITE, lambda *_: "site\n"), Part(SECRETS, lambda *_: Secret("key\n") if nginx_files else None, "0600"))
    return NginxFiles("shop", parts)


def writes(plan: Plan) -> list[tuple[str, Any, tuple[str, ...]]]:
    """But for the note that nginx has to be told."""
    found = [action for step in plan.steps for action in step.actions if isinstance(action, WriteFile) and action.path != STALE]
    return [(action.path, action.content, action.then) for action in found]


def test_files_are_one_step() -> None:
    plan = planned(both(), nginx())
    [step] = plan.steps
    assert step.resource == "nginx:shop"
    assert writes(plan) == [(SITE, "site\n", WHEN_UNDONE), (SECRETS, Secret("key\n"), WHEN_UNDONE)]
    assert [change.field for change in step.changes][:2] == ["novaops-shop.conf file", "novaops-shop.conf content"]
    assert "key" not in str(step.changes)


def test_what_is_right_is_left() -> None:
    found = {SITE: file("site\n"), SECRETS: file("key\n", "0600")}
    assert not planned(both(), nginx(), found)
    [(path, _, _)] = writes(planned(both(), nginx(), {**found, SECRETS: file("key\n")}))
    assert path == SECRETS, "its mode is another one"


def test_one_reload_for_all_that_is_changed() -> None:
    """A note comes before the first change, and goes once nginx has taken everything up. All of that is done together."""
    sites = [NginxFiles(name, (Part(f"{CONF}/{name}.conf", lambda *_: "x"),)) for name in ("one", "two")]
    plan = planned([*sites, NginxReload()], nginx())
    first, second, last = plan.steps
    assert [step.resource for step in plan.steps] == ["nginx:one", "nginx:two", "nginx:(reload)"]
    assert {step.together for step in plan.steps} == {"nginx:one"}
    actions = [(step.resource, action) for step in plan.steps for action in step.actions]
    notes = [(resource, action) for resource, action in actions if isinstance(action, WriteFile) and action.path == STALE]
    assert [(resource, action.content is None) for resource, action in notes] == [("nginx:one", False), ("nginx:(reload)", True)]
    assert (first.actions[0], last.actions[-1]) == tuple(action for _, action in notes), "first of all, and last of all"
    assert [str(action) for action in second.actions] == [f"write {CONF}/two.conf"]
    assert [action.words for action in last.actions if isinstance(action, Command)] == [TAKE_UP]


def test_what_a_killed_run_has_left_is_taken_up() -> None:
    """The files are right, and nginx does not know them."""
    found = {SITE: file("site\n"), SECRETS: file("key\n", "0600"), STALE: file("nginx has not … beginning with nginx:shop\n")}
    [step] = planned([both(), NginxReload()], nginx(), found).steps
    assert step.resource == "nginx:(reload)"
    del found[STALE]
    assert not planned([both(), NginxReload()], nginx(), found)


def test_what_comes_after_a_reload_is_not_done_together_with_what_came_before() -> None:
    """A certificate that was fetched in between is not thrown away when nginx does not accept the site."""
    sites = [NginxFiles(name, (Part(f"{CONF}/{name}.conf", lambda *_: "x"),)) for name in ("one", "two")]
    plan = planned([sites[0], NginxReload(": plain http"), sites[1], NginxReload()], nginx())
    assert [step.together for step in plan.steps] == ["nginx:one", "nginx:one", "nginx:two", "nginx:two"]


def test_plain_http_goes_again_without_a_certificate() -> None:
    """What fails between the first reload and the certificate undoes both; what fails later leaves the certificate."""
    sites = [NginxFiles(name, (Part(f"{CONF}/{name}.conf", lambda *_: "x"),)) for name in ("one", "two")]
    reload = NginxReload(": plain http", settles=False)
    plan = planned(
        [sites[0], reload, NoDefaultPage(), Settled(": plain http"), sites[1], NginxReload()], nginx(default_page_is_debians=True)
    )
    assert [step.resource.partition("/")[0] for step in plan.steps] == [
        *("nginx:one", "nginx:(reload: plain http)", "link:", "nginx:(settled: plain http)", "nginx:two", "nginx:(reload)"),
    ]
    assert first_undone(plan.steps) == [0, 0, 0, 0, 4, 4]


def test_a_file_that_is_not_wanted_goes() -> None:
    found = {SITE: file("site\n"), SECRETS: file("key\n", "0600")}
    assert writes(planned(both(nginx_files=False), nginx(), found)) == [(SECRETS, None, WHEN_UNDONE)]


@pytest.mark.parametrize(
    "complaint",
    [
        "[emerg] unknown directive in /etc/nginx/sites-enabled/other:3",
        "[emerg] unexpected end of file in /etc/nginx/conf.d/mine.conf:1",
        "it says nothing more",
    ],
)
def test_a_configuration_that_somebody_else_broke_is_refused(complaint: str) -> None:
    [(_, refusal)] = planned(both(), nginx(broken=complaint)).refusals
    assert isinstance(refusal, Refused)
    assert refusal.what == f"nginx does not accept its configuration as it is: {complaint}"
    assert refusal.fix
    assert not planned(both(), nginx(broken=complaint), {SITE: file("site\n"), SECRETS: file("key\n", "0600")}), "nothing to do is no harm"


@pytest.mark.parametrize(
    "where", [SITE, HTTP, SECRETS, f"{CONF}/00-novaops.conf", f"{CONF}/novaops.conf", "/etc/letsencrypt/live/novaops-a/x.pem"]
)
def test_a_configuration_that_novaops_broke_is_mended(where: str) -> None:
    assert planned(both(), nginx(broken=f"[emerg] unexpected end in {where}:1")).steps


def test_what_workers_open_is_theirs_to_read() -> None:
    """The group is that of the workers, wherever it stands; and nginx need not be told of it."""
    part = Part(f"{OWN}/shop.htpasswd", lambda *_: "x", "0640", for_workers=True, read_anew=True)
    for conf, debian, group in (
        ("user web;", True, "web"),
        ("user web staff;", True, "staff"),
        ("", True, "www-data"),
        ("", False, "nginx"),
    ):
        on = nginx(conf=NginxConf({"/etc/nginx/nginx.conf": conf}), debian=debian)
        [step] = planned(NginxFiles("shop", (part,)), on).steps
        [write] = step.actions
        assert isinstance(write, WriteFile)
        assert (write.owner, write.group, write.mode, write.then) == ("root", group, "0640", ())


def test_content_sees_what_is_there() -> None:
    seen: list[str] = []

    def content(_: NginxFacts, old: str) -> str:
        seen.append(old)
        return old

    planned(NginxFiles("shop", (Part(SITE, content),)), nginx(), {SITE: file("as it was\n")})
    planned(NginxFiles("shop", (Part(SITE, content),)), nginx(), {SITE: FileState("regular file", "0644", "root", "root", b"\xff")})
    planned(NginxFiles("shop", (Part(SITE, content),)), nginx())
    assert seen == ["as it was\n", "\ufffd", ""]


def test_whose_files_they_are() -> None:
    for ours in (SITE, HTTP, SECRETS, f"{CONF}/00-novaops.conf", f"{CONF}/novaops.conf"):
        assert is_ours(ours)
    for theirs in (f"{CONF}/default.conf", f"{CONF}/my-novaops-x.conf", "/etc/nginx/nginx.conf", DEFAULT_PAGE):
        assert not is_ours(theirs)


# -- the addresses of APIs ---------------------------------------------------------------------------------------------

APIS = ((("gate", ("api.test:443", "files.test:443")),), ("shop",))
WRITTEN = "[ -e /etc/nginx/novaops/gate.addresses/api.test:443 ]"
FORGOTTEN = "[ ! -e /etc/nginx/novaops/shop.addresses ]"


def followed(on: NginxFacts, holds: tuple[str, ...], *timers: str) -> list[tuple[str, str | None, str | None]]:
    """The changes of a plan where these timers run."""
    wanted: list[Resource] = [ApiTimers(*APIS, start=False), ApiAddresses(*APIS), ApiTimers(*APIS)]
    answers: dict[Any, Any] = {Nginx(): on}
    for question in questions_of(wanted):
        if isinstance(question, Succeeds):
            answers[question] = question.command.startswith(holds)
        elif isinstance(question, UnitNamed):
            runs = question.name.removeprefix("novaops-proxy@").removesuffix(".timer") in timers
            answers[question] = UnitFacts("loaded", "active", "enabled") if runs else Missing.ABSENT
    plan = make_plan(wanted, Facts(answers, {}))
    return [(change.field, change.before, change.after) for step in plan.steps for change in step.changes]


def test_a_site_s_timer_and_first_addresses() -> None:
    every = ("timers", None, "every 20 s for gate")
    assert followed(nginx(), (WRITTEN, FORGOTTEN), "gate") == [], "what the files say later is the host's own"
    assert followed(nginx(), (WRITTEN, FORGOTTEN)) == [every]
    assert followed(nginx(), (FORGOTTEN,), "gate") == [("addresses", None, "api.test:443, files.test:443")]
    assert followed(nginx(), (FORGOTTEN,)) == [("addresses", None, "api.test:443, files.test:443"), every]
    assert followed(nginx(), (WRITTEN,), "gate", "shop") == [("timers", "for shop", None), ("addresses", "of shop", None)]


def test_a_newer_nginx_needs_neither() -> None:
    assert followed(nginx((1, 27, 3)), (FORGOTTEN, "[ ! -e /etc/nginx/novaops/gate.addresses ]")) == []
    assert followed(nginx((1, 27, 3)), (WRITTEN, FORGOTTEN), "gate") == [("timers", "for gate", None), ("addresses", "of gate", None)]


# -- gone -------------------------------------------------------------------------------------------------------------


def test_a_site_goes_with_all_that_is_its_own() -> None:
    own = [f"{OWN}/shop.{suffix}" for suffix in ("inject", "tokens", "htpasswd", "crt", "key")]
    plan = planned(site_removed("shop"), nginx(), {path: file("x") for path in (SITE, HTTP, *own, f"{CONF}/novaops-shop2.conf")})
    assert [path for path, content, _ in writes(plan) if content is None] == [SITE, HTTP, *own], "what refers to the others first"
    assert not planned(site_removed("shop"), nginx())
    assert not planned(site_removed("shop"), nginx(installed=False))


def test_its_certificate_goes() -> None:
    renewal = "/etc/letsencrypt/renewal/novaops-shop.conf"
    assert not planned(LineageRemoved("shop"), nginx())
    [step] = planned(LineageRemoved("shop"), nginx(), {renewal: file("x")}).steps
    [delete] = step.actions
    assert isinstance(delete, Command)
    assert delete.words == ("certbot", "delete", "--non-interactive", "--cert-name", "novaops-shop")
    assert step.cannot_undo


# -- "Welcome to nginx!" ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "before"),
    [
        ({"default_page_is_debians": True}, "present"),
        ({"default_page_is_debians": False}, None),
        ({"installed": False}, "comes with nginx"),
        ({"installed": False, "debian": False}, None),
    ],
)
def test_the_default_page(about: dict[str, Any], before: str | None) -> None:
    plan = planned(NoDefaultPage(), nginx(**about))
    assert [(change.before, change.after) for step in plan.steps for change in step.changes] == ([] if before is None else [(before, None)])
    for step in plan.steps:
        [remove] = step.actions
        assert isinstance(remove, Command)
        assert remove.words == ("rm", "--", DEFAULT_PAGE)
        assert remove.undo is not None
        assert "reload" in " ".join(remove.undo.words)


# -- room for streams -------------------------------------------------------------------------------------------------


def widened(text: str) -> str | None:
    """What nginx.conf becomes for a hundred streams; None where it stays."""
    file = FileState("regular file", "0644", "root", "root", text.encode())
    plan = make_plan([NginxCapacity(100)], Facts({FileAt(MAIN): file}, {}))
    assert not plan.refusals, plan.refusals
    written = [action.content for step in plan.steps for action in step.actions if isinstance(action, WriteFile)]
    assert len(written) <= 1
    return payload(written[0]).decode() if written and written[0] is not None else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "events {\n    worker_connections 512; # as it was\n}\n",
            "worker_rlimit_nofile 1224;\nevents {\n    worker_connections 712; # as it was\n}\n",
        ),
        ("events { worker_connections 512; }\n", "worker_rlimit_nofile 1224;\nevents { worker_connections 712; }\n"),
        ("events{worker_connections 512;}", "worker_rlimit_nofile 1224;\nevents{worker_connections 712;}"),
        (
            "worker_rlimit_nofile 999; pid /run/nginx.pid;\nevents { use epoll; worker_connections 800; }\n",
            "worker_rlimit_nofile 1224; pid /run/nginx.pid;\nevents { use epoll; worker_connections 800; }\n",
        ),
        (
            "# events { worker_connections 1; }\n#worker_rlimit_nofile 9;\nworker_rlimit_nofile 9;\nevents { worker_connections 1; }",
            "# events { worker_connections 1; }\n#worker_rlimit_nofile 9;\nworker_rlimit_nofile 1224;\nevents { worker_connections 712; }",
        ),
        ("worker_rlimit_nofile 65535;\nevents { worker_connections 4096; }", None),
    ],
)
def test_room_for_streams_changes_two_numbers_and_nothing_beside_them(before: str, after: str | None) -> None:
    assert widened(before) == after
