"""The editions of EVE-NG, and the systems that each is made for."""

from __future__ import annotations

import functools
from typing import Literal

from pydantic import TypeAdapter

from novaops.features.eve.data import StrictModel, read


class Edition(StrictModel):
    name: Literal["community", "pro"]
    title: str
    major: int
    os: str
    """ID of os-release, a space, VERSION_ID."""
    suite: str
    """The distribution's code name, which the repository also has as its path and its suite."""
    packages: tuple[str, ...]
    """The package that is the edition. More than one: the first that the repository's index has."""
    repository: str
    key: str
    """Where the repository's signing key is."""
    newest: str
    """The newest version seen when the file was written; "" where none was."""
    nodes: int
    """How many nodes run at once without a licence."""
    nodes_licensed: int | None = None
    """How many with one; None: no licence is sold for it, or it sets no such limit."""
    licence_usd_a_year: float | None = None
    support: Literal["installed", "recognised"]
    """installed: `eve install` makes it. recognised: `eve check` and `eve status` know it, and no more."""
    remark: str = ""


@functools.cache
def editions() -> tuple[Edition, ...]:
    return TypeAdapter(tuple[Edition, ...]).validate_python(read("editions")["editions"])


def edition_for(os_id: str, os_version: str) -> Edition | None:
    """The edition that is made for that system."""
    return next((one for one in editions() if one.os == f"{os_id} {os_version}"), None)


def edition_of(package: str, version: str) -> Edition | None:
    """The edition that an installed package is. None for one that is not in the file, such as EVE-NG Pro 6."""
    major = version.partition(".")[0]
    return next((one for one in editions() if package in one.packages and str(one.major) == major), None)


def packages() -> tuple[str, ...]:
    """What counts as EVE-NG where it is installed, whatever the edition."""
    return tuple(dict.fromkeys(name for one in editions() for name in one.packages))
