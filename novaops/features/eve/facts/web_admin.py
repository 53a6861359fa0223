"""The password of EVE-NG's web user admin, as its database has it."""

from __future__ import annotations

import re
from typing import ClassVar

from novaops.features.eve.paths import DATABASE, DEFAULT_DATABASE_PASSWORD
from novaops.model.question import Missing, Section, Singleton
from novaops.secret import Secret
from novaops.shell import assign, sh_file

_PACKAGE = "novaops.features.eve"

SQL = assign(database=DATABASE, password=DEFAULT_DATABASE_PASSWORD) + sh_file(_PACKAGE, "sql.sh")

READ = f"""{SQL}echo "SELECT password FROM users WHERE username = 'admin';" | sql"""  # noqa: S608 - nothing is put into it


class WebAdmin(Singleton[Secret]):
    """The hash. ABSENT where there is no EVE-NG, or its database does not answer."""

    family: ClassVar[str] = "eve-admin"

    @classmethod
    def script_one(cls) -> str:
        return f"""{{ {READ}\n}} 2>/dev/null || echo absent\n"""

    @classmethod
    def parse_one(cls, section: Section) -> Secret | Missing:
        said = section.stdout.strip()
        return Secret(said) if re.fullmatch("[0-9a-f]{64}|[!-~]{20,}", said) else Missing.ABSENT
