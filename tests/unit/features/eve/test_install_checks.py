"""Every claim of `verify` about an EVE-NG host is seen green, and red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from novaops.features.eve import checks
from novaops.features.eve.observe import Inside, ObservedEve
from novaops.features.eve.settings import Eve

WANTED = Eve.model_validate({"web_password": "env:X", "open": [443, {"port": 80, "from": ["203.0.113.0/24"]}], "data": "auto"})
INSIDE = Inside(
    {"apache2": "active", "mysql": "active"},
    addons="/dev/vdb",
    is_link=False,
    configured=True,
    known=(),
    kernel="6.7.5-eveng",
    newest="6.7.5-eveng",
    default="gnulinux-advanced-1234>gnulinux-6.7.5-eveng-advanced-1234",
    way="pnet0",
    has_member=True,
    root="without-password",
    kept="prohibit-password",
)
RIGHT = ObservedEve(WANTED, INSIDE, "", "Authentication failed", "refused", (443,), (80, 443, 3306), "198.51.100.7")

RED: list[tuple[str, dict[str, Any], str]] = [
    ("test_page", {"page": "Authentication failed (90014)."}, "Authentication failed"),
    ("test_default_web_password", {"default_web": ""}, "let him in"),
    ("test_default_root_password", {"default_root": ""}, "let him in"),
    ("test_default_database_password", {"inside": replace(INSIDE, known=("root",))}, "let in root"),
    ("test_root_login", {"inside": replace(INSIDE, root="yes")}, "has yes"),
    ("test_root_login", {"inside": replace(INSIDE, kept="")}, "does not"),
    ("test_services", {"inside": replace(INSIDE, services={"apache2": "active", "mysql": "failed"})}, "mysql is failed"),
    ("test_ports", {"open": (443, 3306)}, "3306"),
    ("test_ports", {"open": (80, 443)}, "80"),
    ("test_open_ports", {"open": ()}, "443"),
    ("test_open_ports", {"here": "203.0.113.9"}, "80"),
    ("test_wizard", {"inside": replace(INSIDE, configured=False)}, "host keys"),
    ("test_images_disk", {"inside": replace(INSIDE, addons="")}, "nothing is"),
    ("test_images_disk", {"inside": replace(INSIDE, is_link=True)}, "link"),
    ("test_kernel", {"inside": replace(INSIDE, kernel="6.8.0-gcp")}, "6.8.0-gcp runs"),
    ("test_kernel_stays", {"inside": replace(INSIDE, default="0")}, "its default is 0"),
    ("test_bridge", {"inside": replace(INSIDE, way="ens4")}, "ens4"),
    ("test_bridge", {"inside": replace(INSIDE, has_member=False)}, "network card"),
]


@pytest.mark.parametrize(("claim", "fields", "words"), RED)
def test_each_claim_is_green_and_red(claim: str, fields: dict[str, Any], words: str) -> None:
    getattr(checks, claim)(RIGHT)
    with pytest.raises(AssertionError, match=words):
        getattr(checks, claim)(replace(RIGHT, **fields))


@pytest.mark.parametrize("fields", [{"inside": replace(INSIDE, addons="")}, {"open": (443, 3306)}, {"page": "no answer"}])
def test_what_a_reboot_changes_is_found(fields: dict[str, Any]) -> None:
    checks.test_survives_reboot(RIGHT, RIGHT)
    with pytest.raises(AssertionError, match="after the reboot"):
        checks.test_survives_reboot(RIGHT, replace(RIGHT, **fields))


def test_there_is_one_entry() -> None:
    assert list(checks.entries(WANTED)) == [("EVE-NG", WANTED)]
