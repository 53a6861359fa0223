"""Providers of an API, read from data files: hosts, paths, the header of the key, and requests that show that it works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from novaops.errors import UsageError
from novaops.formats import names

_SHIPPED = Path(__file__).parent
HTTPS = 443
IDLE = 4
"""Seconds. Many servers close a connection that has been idle for 5 s: one that is used in that moment fails."""
_HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"


def url_path(text: str) -> str:
    """The path of a URL, without a slash at its end: "/v1", and "" for the root. Raises ValueError with the offending text."""
    plain = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~@:+=,-]+)*", plain) or {".", ".."} & set(plain.split("/")):
        raise ValueError(f'"{text}" is no path of a URL like /v1')
    return plain


UrlPath = Annotated[str, AfterValidator(url_path)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(StrictModel):
    """A host, and the paths below `path` that it serves. A proxy serves them at `at`."""

    host: names.Host
    port: int = Field(default=HTTPS, ge=1, le=65535)
    path: UrlPath
    at: UrlPath | None = None

    @property
    def served_at(self) -> str:
        return self.path if self.at is None else self.at


class Key(StrictModel):
    """The header that carries a client's key: `Authorization: Bearer KEY`, or `x-api-key: KEY` without a scheme."""

    header: str = Field(default="Authorization", pattern=_HEADER)
    scheme: str = Field(default="Bearer", pattern=r"^[A-Za-z0-9-]*$")

    def value(self, key: str) -> str:
        return f"{self.scheme} {key}" if self.scheme else key


class Stream(StrictModel):
    """A request whose answer streams."""

    path: UrlPath
    body: dict[str, Any]


class Provider(StrictModel):
    """One file of a folder `providers`. The paths are those at the provider, as a client of its first endpoint requests them."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    probe: UrlPath
    key: Key = Key()
    stream: Stream | None = None
    idle: int = Field(default=IDLE, ge=1, le=3600)
    """For how many seconds a proxy keeps an idle connection: less than the provider's servers do."""

    @model_validator(mode="after")
    def _below_the_first(self) -> Provider:
        base = self.endpoints[0].path
        for key, path in (("probe", self.probe), ("stream", self.stream.path if self.stream else base)):
            if path != base and not path.startswith(f"{base}/"):
                raise ValueError(f"{key}: {path} is not below {base or '/'}, the path of the first endpoint")
        return self

    @property
    def origin(self) -> str:
        """What a URL of the first endpoint begins with."""
        first = self.endpoints[0]
        host = names.bracketed(first.host)
        return f"https://{host}" + ("" if first.port == HTTPS else f":{first.port}")

    def served_at(self, path: str) -> str:
        """Where a proxy serves this path of the first endpoint."""
        first = self.endpoints[0]
        return first.served_at + path.removeprefix(first.path) or "/"


def load(name: str, folders: Sequence[Path] = ()) -> Provider:
    """The provider of that name: from the first of the user's folders that has it, else from novaops. Raises UsageError."""
    import yaml

    try:
        names.name(name)
    except ValueError as error:
        raise UsageError(f"there is no provider {name}", why=str(error)) from None
    searched = [*folders, _SHIPPED]
    file = next((file for folder in searched if (file := folder / f"{name}.yaml").is_file()), None)
    if file is None:
        known = sorted({file.stem for folder in searched for file in folder.glob("*.yaml")})
        raise UsageError(f"there is no provider {name}", why=f"There are: {', '.join(known)}.", fix="or write upstream: https://HOST/PATH")
    try:
        return Provider.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the provider {file}", why=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}/" for part in first["loc"]).rstrip("/")
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(": ".join(filter(None, (str(file), where, said)))) from None
