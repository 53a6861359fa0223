"""Providers of an API, read from data files: hosts, paths, the header of the key, and requests that show that it works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from novaops.errors import UsageError
from novaops.formats import names
from novaops.providers.proof import WITHOUT_KEY

_SHIPPED = Path(__file__).parent
HTTPS = 443
HTTP = 80
IDLE = 4
"""Seconds. Many servers close a connection that has been idle for 5 s: one that is used in that moment fails."""
_SOURCE = r"^(env|file):."
_HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"


def url_path(text: str) -> str:
    """The path of a URL, without a slash at its end: "/v1", and "" for the root. Raises ValueError with the offending text."""
    plain = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~@:+=,-]+)*", plain) or {".", ".."} & set(plain.split("/")):
        raise ValueError(f'"{text}" is no path of a URL like /v1')
    return plain


def request_path(text: str) -> str:
    """A path of a URL that may have a query: "/openai/models?api-version=2024-10-21". Raises ValueError with the offending text."""
    path, mark, query = text.partition("?")
    if not re.fullmatch(r"[A-Za-z0-9._~:@+=,&%/-]*", query):
        raise ValueError(f'"{text}" has a query that is not like ?api-version=1')
    return f"{url_path(path)}{mark}{query}"


UrlPath = Annotated[str, AfterValidator(url_path)]
RequestPath = Annotated[str, AfterValidator(request_path)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(StrictModel):
    """A host, and the paths below `path` that it serves. A proxy serves them at `at`."""

    host: names.Host
    port: int = Field(default=HTTPS, ge=1, le=65535)
    path: UrlPath
    at: UrlPath | None = None
    tls: bool = True
    """off: plain http, for a server on the host or in a network of one's own. Keys travel in the clear to it. Its port is 80."""

    @model_validator(mode="before")
    @classmethod
    def _own_port(cls, value: Any) -> Any:
        plain = isinstance(value, dict) and value.get("tls") in (False, "off") and "port" not in value
        return {**value, "port": HTTP} if plain else value

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def authority(self) -> str:
        """HOST, or HOST:PORT where that is not the scheme's own."""
        host = names.bracketed(self.host)
        return host if self.port == (HTTPS if self.tls else HTTP) else f"{host}:{self.port}"

    @property
    def served_at(self) -> str:
        return self.path if self.at is None else self.at


class Key(StrictModel):
    """The header that carries a client's key: `Authorization: Bearer KEY`, or `x-api-key: KEY` without a scheme."""

    header: str = Field(default="Authorization", pattern=_HEADER)
    scheme: str = Field(default="Bearer", pattern=r"^[A-Za-z0-9-]*$")
    source: str | None = Field(default=None, pattern=_SOURCE)
    """Where a client finds its key if nobody says."""
    pair: tuple[Annotated[str, Field(pattern=_SOURCE)], Annotated[str, Field(pattern=_SOURCE)]] | None = None
    """The same for an access key's id and its secret, which sign a token for each request."""

    def value(self, key: str) -> str:
        return f"{self.scheme} {key}" if self.scheme else key


class Stream(StrictModel):
    """A request whose answer streams."""

    path: RequestPath
    body: dict[str, Any]


Parameter = Literal["temperature", "top_p", "max_tokens", "repetition_penalty", "n", "seed", "user"]
_COMMON: dict[Parameter, str] = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens"}


_PURPOSES = {"knowledge": "assistants", "fine-tune": "fine-tune", "batch": "batch", "user-data": "user_data", "vision": "vision"}


class Chat(StrictModel):
    """How a client of ours chats there."""

    form: Literal["openai", "anthropic", "sensenova", "responses"] = "openai"
    """The form of requests and answers."""
    model: str | None = None
    """Without --model; else the one of `stream`."""
    parameters: dict[Parameter, str] = _COMMON
    """Our name of a parameter, and the API's; `metadata.user_id` is a field inside another. One that is not here is refused: most
    servers ignore what they do not know.
    """
    usage: dict[str, Any] = {}
    """What a streaming request must have so that the answer says what it cost."""
    web_search: dict[str, Any] | None = None
    """What a request must have so that the model searches the web. Without it the API is taken not to."""


class Files(StrictModel):
    """How a client of ours keeps files there."""

    form: Literal["openai", "sensenova"] = "openai"
    endpoint: int = Field(default=0, ge=0)
    """Which endpoint takes them, counted from 0."""
    purposes: dict[str, str] = _PURPOSES
    """What a file is for, and the API's word. `knowledge.json` goes before `knowledge` for files whose names end so."""
    most: int = Field(default=512 << 20, ge=1)
    """Bytes of one file."""


class Provider(StrictModel):
    """One file of a folder `providers`. The paths are those at the provider, as a client of its first endpoint requests them."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    probe: RequestPath
    """A GET that costs nothing: 2xx with a key, one of `without_key` without one, and JSON both times."""
    without_key: tuple[Annotated[int, Field(ge=200, le=499)], ...] = WITHOUT_KEY
    key: Key = Key()
    headers: dict[Annotated[str, Field(pattern=_HEADER)], Annotated[str, Field(pattern=r"^[ -~]{1,256}$")]] = {}
    """Headers that every request must have, such as the version of an API."""
    stream: Stream | None = None
    chat: Chat = Chat()
    files: Files | None = Files()
    """None: novaops handles none there."""
    knowledge: Literal["openai", "sensenova"] | None = "openai"
    """The form of its knowledge bases; None: novaops knows none there."""
    ask: Chat | None = None
    """How a question to one of its knowledge bases is asked where that is not as in `chat`."""
    start: str = Field(default="", max_length=200)
    """For an API on the user's own machine: the command that starts it."""
    own_host: bool = False
    """Whether each user has a host of their own there, which `upstream:` names."""
    idle: int = Field(default=IDLE, ge=1, le=3600)
    """For how many seconds a proxy keeps an idle connection: less than the provider's servers do."""

    @model_validator(mode="after")
    def _below_the_first(self) -> Provider:
        base = self.endpoints[0].path
        for key, asked in (("probe", self.probe), ("stream", self.stream.path if self.stream else base)):
            path = asked.partition("?")[0]
            if path != base and not path.startswith(f"{base}/"):
                raise ValueError(f"{key}: {path} is not below {base or '/'}, the path of the first endpoint")
        return self

    @model_validator(mode="after")
    def _each_served_once(self) -> Provider:
        places = [endpoint.served_at for endpoint in self.endpoints]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"endpoints: two are served at {place or '/'}; `at` says another path for one of them")
        return self

    @property
    def origin(self) -> str:
        """What a URL of the first endpoint begins with."""
        first = self.endpoints[0]
        return f"{first.scheme}://{first.authority}"

    def located(self, url: str) -> Provider:
        """The same API at https://HOST[:PORT][/PATH], or http://: all of its endpoints that were on the first one's host.

        No path: the file's own. Whether http:// may be is the caller's to judge.
        """
        parts = urlsplit(url)
        host, port = names.address(parts.netloc)
        first, path, tls = self.endpoints[0], url_path(parts.path), parts.scheme != "http"
        base = path or first.path

        def moved(below: str) -> str:
            return base + below.removeprefix(first.path)

        def there(endpoint: Endpoint) -> Endpoint:
            if endpoint.host != first.host:
                return endpoint
            under = endpoint.path == first.path or endpoint.path.startswith(f"{first.path}/")
            return endpoint.model_copy(
                update={
                    "host": host,
                    "port": port or (HTTPS if tls else HTTP),
                    "tls": tls,
                    "path": moved(endpoint.path) if under else endpoint.path,
                }
            )

        stream = self.stream and self.stream.model_copy(update={"path": moved(self.stream.path)})
        update = {"endpoints": tuple(map(there, self.endpoints)), "probe": moved(self.probe), "stream": stream, "own_host": False}
        return self.model_copy(update=update)

    @property
    def searches_to_answer(self) -> bool:
        """Whether the API searches its knowledge bases on the way to an answer. Otherwise we search there, and ask with what we find."""
        return self.ask is not None or (self.knowledge is not None and self.chat.form == "sensenova")

    @property
    def model(self) -> str:
        """The model that is asked where nobody names one; "" where none is known."""
        return self.chat.model or (str(self.stream.body.get("model", "")) if self.stream else "")

    @property
    def probed_at(self) -> str:
        """Where a proxy serves the probe. An endpoint's own path is not passed on, but what is below it: a slash is put behind it."""
        path, mark, query = self.probe.partition("?")
        slash = "/" if path and path in {endpoint.path for endpoint in self.endpoints if endpoint.served_at} else ""
        return f"{self.served_at(path)}{slash}{mark}{query}"

    def served_at(self, path: str) -> str:
        """Where a proxy serves this path, which may have a query: at the endpoint whose own path is the longest beginning of it."""
        plain = path.partition("?")[0]
        holding = [each for each in self.endpoints if plain == each.path or plain.startswith(f"{each.path}/")]
        found = max(holding, key=lambda each: len(each.path), default=self.endpoints[0])
        return found.served_at + path.removeprefix(found.path) or "/"


def listed(folders: Sequence[Path] = ()) -> list[str]:
    """The names of all providers, the user's own included."""
    return sorted({file.stem for folder in [*folders, _SHIPPED] for file in folder.glob("*.yaml")})


def load(name: str, folders: Sequence[Path] = ()) -> Provider:
    """The provider of that name: from the first of the user's folders that has it, else from novaops. Raises UsageError."""
    import yaml

    from novaops.formats.yaml_text import LOADER

    try:
        names.name(name)
    except ValueError as error:
        raise UsageError(f"there is no provider {name}", why=str(error)) from None
    searched = [*folders, _SHIPPED]
    file = next((file for folder in searched if (file := folder / f"{name}.yaml").is_file()), None)
    if file is None:
        known = listed(folders)
        fix = f"a file providers/{name}.yaml beside the inventory makes one (docs/proxy.md), and upstream: https://HOST/PATH needs none"
        raise UsageError(f"there is no provider {name}", why=f"There are: {', '.join(known)}.", fix=fix)
    try:
        return Provider.model_validate(yaml.load(file.read_text("utf-8"), LOADER))  # noqa: S506 - libyaml's safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the provider {file}", why=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}/" for part in first["loc"]).rstrip("/")
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(": ".join(filter(None, (str(file), where, said)))) from None
