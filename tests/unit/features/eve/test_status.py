"""What `eve status` says of an EVE-NG host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from novaops.errors import HostFailed
from novaops.facts.unit import UnitFacts
from novaops.features.eve.facts.database import DatabaseFacts, UserFacts
from novaops.features.eve.facts.images import Image
from novaops.features.eve.facts.installation import Installation
from novaops.features.eve.facts.site import EveSite
from novaops.features.eve.paths import ADDONS
from novaops.features.eve.sizing import GIB
from novaops.features.eve.status import NO_PASSWORD, EveHost, Web, details, judge
from novaops.model.finding import Finding, has_problem

UP = UnitFacts("loaded", "active", "enabled")
DOWN = UnitFacts("loaded", "failed", "enabled")
IMAGES = (Image("qemu", "vios-15.9", {"virtioa.qcow2": 2 * GIB}, (), ""), Image("iol", "L3-15.5.bin", {"L3-15.5.bin": GIB}, (), ""))
INSTALLED = Installation("6.7.5-eveng-6-ksm+", True, ("vios", "vyos"), "other")  # noqa: FBT003
OWN = UserFacts(default=False, place="right")
DATABASE = DatabaseFacts(root=False, users={"eve-ng": OWN, "guacuser": OWN})
COMMUNITY = EveHost(
    EveSite("eve-ng", "6.2.0-4", ADDONS, 50 * GIB, 30 * GIB), INSTALLED, IMAGES, DATABASE, {"apache2": UP, "mysql": UP, "guacd": UP}
)
PRO = replace(COMMUNITY, site=EveSite("eve-ng-pro", "7.2.0-18", ADDONS, 50 * GIB, 30 * GIB))
WEB = Web("6.2.0-4", 3, {"vios": True, "vyos": False, "iol": True}, default_password=False)


def having(host: EveHost = COMMUNITY, **fields: Any) -> EveHost:
    return replace(host, installation=replace(host.installation, **fields))


def found(subject: str, host: EveHost, web: Web = WEB) -> list[tuple[str, str]]:
    return [(one.verdict, one.text) for one in judge(host, web) if one.subject == subject]


def test_a_host_that_is_right_has_no_problem_and_no_note() -> None:
    assert {one.verdict for one in judge(COMMUNITY, WEB)} == {"ok"}
    assert not has_problem(details(COMMUNITY, WEB))


def test_without_eve_there_is_one_finding() -> None:
    document = details(None, Web())
    (finding,) = document["findings"]
    assert has_problem(document)
    assert (finding["text"], document["installed"]) == ("EVE-NG is not installed", None)


@pytest.mark.parametrize(
    ("host", "web", "subject", "expected"),
    [
        (COMMUNITY, WEB, "edition", ("ok", "EVE-NG Community 6: eve-ng 6.2.0-4, the last version of its line; its API says 6.2.0-4")),
        (PRO, Web(), "edition", ("ok", "EVE-NG 7: eve-ng-pro 7.2.0-18")),
        (
            replace(COMMUNITY, site=EveSite("eve-ng-pro", "6.5.0-27", "/", 1, 1)),
            Web(),
            "edition",
            ("ok", "an edition that novaops does not know: eve-ng-pro 6.5.0-27"),
        ),
        (
            COMMUNITY,
            replace(WEB, default_password=True),
            "passwords",
            ("problem", "the web's user admin has its default password: everybod"),
        ),
        (having(root="default"), WEB, "passwords", ("problem", "the system's root has the default password of EVE-NG: everybody knows it")),
        (
            replace(COMMUNITY, database=replace(DATABASE, root=True)),
            WEB,
            "passwords",
            ("problem", "the database lets in root with its default password: everybody knows it"),
        ),
        (
            replace(COMMUNITY, database=replace(DATABASE, users={"eve-ng": replace(OWN, default=True)})),
            WEB,
            "passwords",
            ("problem", "the database lets in eve-ng with its default password"),
        ),
        (
            replace(COMMUNITY, database=replace(DATABASE, users={"eve-ng": replace(OWN, place="wrong")})),
            WEB,
            "passwords",
            ("problem", "EVE-NG's programs have a password of the database's user eve-ng that is not taken: an upgrade brings its files"),
        ),
        (replace(COMMUNITY, database=None), WEB, "passwords", ("note", "whether a default password stands is not known: database")),
        (COMMUNITY, Web(), "passwords", ("note", "whether a default password stands is not known: web")),
        (having(root="unknown"), Web(), "passwords", ("note", "whether a default password stands is not known: web, system")),
        (having(configured=False), WEB, "wizard", ("problem", "the wizard of the first login is still to come: it makes new ssh host")),
        (having(kernel="6.5.0-1025-gcp"), WEB, "kernel", ("note", "Linux 6.5.0-1025-gcp runs, which is not EVE-NG's own")),
        (having(kernel="7.1.1-eve-ksm+"), WEB, "kernel", ("ok", "Linux 7.1.1-eve-ksm+")),
        (replace(COMMUNITY, units={"apache2": DOWN, "mysql": UP}), WEB, "services", ("problem", "apache2 is failed")),
        (replace(COMMUNITY, units={"apache2": UP}), WEB, "services", ("problem", "mysql is not installed")),
        (replace(COMMUNITY, units={"apache2": UP, "mariadb": DOWN}), WEB, "services", ("problem", "mariadb is failed")),
        (replace(COMMUNITY, units={"apache2": UP, "mysql": UP, "guacd": DOWN}), WEB, "services", ("note", "guacd is failed")),
        (replace(COMMUNITY, units={}), WEB, "services", ("note", "systemd does not say which services run")),
        (COMMUNITY, WEB, "services", ("ok", "apache2, mysql, guacd are active")),
        (COMMUNITY, WEB, "images", ("ok", "2 with 3 GiB: vios-15.9, L3-15.5.bin")),
        (replace(COMMUNITY, images=()), WEB, "images", ("note", "there is none, so no node can be made")),
        (
            replace(COMMUNITY, images=(IMAGES[0], replace(IMAGES[1], unreadable=("L3-15.5.bin",)))),
            WEB,
            "images",
            ("note", "2 with 3 GiB: vios-15.9, L3-15.5.bin; nodes cannot use L3-15.5.bin"),
        ),
        (COMMUNITY, WEB, "templates", ("ok", "2 with an image (vios, iol), 1 without")),
        (COMMUNITY, Web(), "templates", ("ok", "1 with an image (vios), 1 without, by the images' names")),
        (COMMUNITY, WEB, "disk", ("ok", f"30 GiB of 50 GiB free at {ADDONS}")),
        (replace(COMMUNITY, site=EveSite("eve-ng", "6.2.0-4", "/", 50 * GIB, 4 * GIB)), WEB, "disk", ("note", "4 GiB of 50 GiB free at /")),
        (COMMUNITY, WEB, "licence", ("ok", "EVE-NG Community 6 needs none")),
        (PRO, WEB, "licence", ("note", "the API does not tell whether EVE-NG 7 has one; its page does. 7 nodes run at once without one")),
        (PRO, replace(WEB, running=8), "licence", ("ok", "there is one: without it 7 nodes run at once, and here 8 do")),
        (PRO, replace(WEB, running=8), "nodes", ("ok", "8 run")),
        (COMMUNITY, WEB, "nodes", ("ok", "3 run, of 63")),
        (COMMUNITY, replace(WEB, running=63), "nodes", ("note", "63 run, of 63")),
        (PRO, replace(WEB, running=7), "nodes", ("note", "7 run, of 7 without a licence")),
        (COMMUNITY, Web(trouble=HostFailed("it is closed", why="Refused.")), "api", ("problem", "it is closed. Refused")),
        (COMMUNITY, Web(trouble=NO_PASSWORD), "api", ("note", "nothing was asked of the API: no password is known for it")),
    ],
)
def test_each_finding(host: EveHost, web: Web, subject: str, expected: tuple[str, str]) -> None:
    verdict, text = expected
    assert any(one == verdict and said.startswith(text) for one, said in found(subject, host, web)), found(subject, host, web)


def test_a_disk_that_is_nearly_full_grows_where_it_is_mounted() -> None:
    site = EveSite("eve-ng", "6.2.0-4", ADDONS, 50 * GIB, 4 * GIB, "/opt")
    (fix,) = [one.fix for one in judge(replace(COMMUNITY, site=site), WEB) if one.subject == "disk"]
    assert "novaops disk grow HOST --path /opt" in fix


def test_no_password_is_called_safe_that_was_not_tried() -> None:
    assert ("ok", "no default password lets anybody in, neither at the page nor as root") in found("passwords", COMMUNITY)
    for host, web in ((COMMUNITY, Web()), (having(root="unknown"), WEB), (having(root="default"), WEB)):
        assert "ok" not in {verdict for verdict, _ in found("passwords", host, web)}


def test_how_many_run_is_not_guessed() -> None:
    assert found("nodes", COMMUNITY, Web()) == []
    assert details(COMMUNITY, Web())["nodes"] == {"running": None, "limit": 63}


@pytest.mark.parametrize(
    ("host", "running", "licence", "limit"),
    [
        (COMMUNITY, 3, "not needed", 63),
        (PRO, 7, None, 7),
        (PRO, 8, "there", None),
        (replace(PRO, site=replace(PRO.site, version="6.5.0")), 8, None, None),
    ],
)
def test_a_licence_is_known_by_the_nodes_that_run(host: EveHost, running: int, licence: str | None, limit: int | None) -> None:
    document = details(host, replace(WEB, running=running))
    assert (document["licence"], document["nodes"]) == (licence, {"running": running, "limit": limit})


def test_a_long_list_is_cut() -> None:
    images = tuple(replace(IMAGES[0], name=f"linux-{number}", files={"hda.qcow2": GIB}) for number in range(9))
    assert found("images", replace(COMMUNITY, images=images)) == [
        ("ok", "9 with 9 GiB: linux-0, linux-1, linux-2, linux-3, linux-4 and 4 more")
    ]


def test_every_problem_has_a_next_step() -> None:
    host = replace(having(root="default", configured=False), units={"apache2": DOWN})
    problems: list[Finding] = [one for one in judge(host, replace(WEB, default_password=True)) if one.verdict == "problem"]
    assert len(problems) == 5
    assert all(one.fix for one in problems)
