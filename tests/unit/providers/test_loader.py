"""Providers: the ones that come along, one's own, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.errors import UsageError
from novaops.providers import loader
from novaops.providers.loader import Provider

SHIPPED = sorted(file.stem for file in (Path(loader.__file__).parent).glob("*.yaml"))
MINE: dict[str, Any] = {"endpoints": [{"host": "api.example.com", "path": "/v1"}], "probe": "/v1/models"}


def written(folder: Path, document: Any, name: str = "mine") -> Path:
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


def test_some_come_along() -> None:
    assert [
        *("anthropic", "azure", "deepseek", "gemini", "groq", "local", "mistral", "moonshot", "openai", "openrouter", "qwen"),
        *("sensenova", "sensenova-platform", "zhipu"),
    ] == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_each_can_be_asked(name: str) -> None:
    found = loader.load(name)
    assert found.stream is not None
    assert found.stream.body["stream"] is True
    assert str(found.stream.body).count("16") == 1, "as cheap as can be"
    assert found.served_at(found.probe) == found.probe


def test_sensenova_has_two_hosts() -> None:
    found = loader.load("sensenova")
    assert [(e.host, e.path, e.served_at) for e in found.endpoints] == [
        ("api.sensenova.cn", "/v1", "/v1"),
        ("api.sensenova.cn", "/compatible-mode", "/compatible-mode"),
        ("file.sensenova.cn", "/v1", "/files/v1"),
    ]


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ({"host": "api.example.com", "path": ""}, "https://api.example.com"),
        ({"host": "api.example.com", "path": "", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "2001:db8::1", "path": "", "port": 8443}, "https://[2001:db8::1]:8443"),
        ({"host": "10.0.0.5", "path": "", "tls": "off"}, "http://10.0.0.5"),
        ({"host": "llm", "path": "", "tls": False, "port": 443}, "http://llm:443"),
        ({"host": "llm", "path": "", "tls": "on", "port": 80}, "https://llm:80"),
    ],
)
def test_where_it_is(endpoint: dict[str, Any], origin: str) -> None:
    assert Provider.model_validate({"endpoints": [endpoint], "probe": "/models"}).origin == origin


@pytest.mark.parametrize(
    ("path", "at", "asked", "served"),
    [
        ("/v1", None, "/v1/models", "/v1/models"),
        ("/v1", "", "/v1/models", "/models"),
        ("/v1", "", "/v1", "/"),
        ("/v1", "/openai/v1", "/v1/models", "/openai/v1/models"),
        ("/v1", "/openai", "/v1", "/openai"),
        ("", None, "", "/"),
        ("", "/llm", "/models", "/llm/models"),
    ],
)
def test_where_a_proxy_serves_it(path: str, at: str | None, asked: str, served: str) -> None:
    endpoints = [{"host": "api.example.com", "path": path, "at": at}]
    assert Provider.model_validate({"endpoints": endpoints, "probe": asked}).served_at(asked) == served


@pytest.mark.parametrize(
    ("path", "asked", "probed"),
    [
        ("/v1", "/v1/models", "/v1/models"),
        ("/v1", "/v1", "/v1/"),
        ("", "", "/"),
        ("/openai", "/openai/models?api-version=2024-10-21", "/openai/models?api-version=2024-10-21"),
        ("/openai", "/openai?api-version=1", "/openai/?api-version=1"),
    ],
)
def test_what_is_asked_through_a_proxy(path: str, asked: str, probed: str) -> None:
    assert Provider.model_validate({"endpoints": [{"host": "a.com", "path": path}], "probe": asked}).probed_at == probed


@pytest.mark.parametrize(
    ("name", "url", "origin", "probe", "stream"),
    [
        (
            "azure",
            "https://me.openai.azure.com/openai/v1",
            "https://me.openai.azure.com",
            "/openai/v1/models",
            "/openai/v1/chat/completions",
        ),
        ("azure", "https://me.openai.azure.com", "https://me.openai.azure.com", "/openai/v1/models", "/openai/v1/chat/completions"),
        ("openai", "https://llm.me.com:8443/x/v1/", "https://llm.me.com:8443", "/x/v1/models", "/x/v1/chat/completions"),
    ],
)
def test_the_same_api_elsewhere(name: str, url: str, origin: str, probe: str, stream: str) -> None:
    found = loader.load(name).located(url)
    assert found.stream is not None
    assert (found.origin, found.probe, found.stream.path, found.own_host) == (origin, probe, stream, False)


def test_with_and_without_tls_elsewhere() -> None:
    plain = Provider.model_validate(
        {"endpoints": [{"host": "127.0.0.1", "port": 8000, "path": "/v1", "tls": False}], "probe": "/v1/models"}
    )
    assert plain.located("http://[::1]").origin == "http://[::1]"
    assert plain.located("http://10.0.0.5:8000/llm").origin == "http://10.0.0.5:8000"
    assert plain.located("https://llm.example.com").origin == "https://llm.example.com"


def test_all_of_it_moves() -> None:
    found = loader.load("sensenova").located("https://sense.me.com")
    assert [(e.host, e.path, e.served_at) for e in found.endpoints] == [
        ("sense.me.com", "/v1", "/v1"),
        ("sense.me.com", "/compatible-mode", "/compatible-mode"),
        ("file.sensenova.cn", "/v1", "/files/v1"),
    ]


@pytest.mark.parametrize(
    ("key", "shown"), [({}, ("Authorization", "Bearer k")), ({"header": "x-api-key", "scheme": ""}, ("x-api-key", "k"))]
)
def test_how_a_key_is_shown(key: dict[str, str], shown: tuple[str, str]) -> None:
    found = Provider.model_validate({**MINE, "key": key}).key
    assert (found.header, found.value("k")) == shown


def test_ones_own_comes_first(tmp_path: Path) -> None:
    assert loader.load("openai", [written(tmp_path, MINE, "openai")]).endpoints[0].host == "api.example.com"
    assert loader.load("sensenova", [tmp_path]).endpoints[0].host == "api.sensenova.cn"


@pytest.mark.parametrize("name", ["opneai", "../provider", "a/b", "", "-x"])
def test_no_such_provider(name: str, tmp_path: Path) -> None:
    (tmp_path / "providers").mkdir()
    written(tmp_path, MINE, "provider")
    with pytest.raises(UsageError, match=f"there is no provider {name}"):
        loader.load(name, [tmp_path / "providers"])


def test_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        loader.load("opneai", [written(tmp_path, MINE)])
    assert raised.value.why == f"There are: {', '.join(sorted(['mine', *SHIPPED]))}."
    assert "providers/opneai.yaml beside the inventory makes one" in (raised.value.fix or "")


A = {"host": "a", "path": "/v1"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "mine.yaml: Input should be a valid dictionary"),
        ("- a", "mine.yaml: Input should be a valid dictionary"),
        ("a: [", "cannot read the provider"),
        ({**MINE, "prob": "/x"}, "mine.yaml: prob: Extra inputs"),
        ({"endpoints": [], "probe": ""}, "mine.yaml: endpoints: Tuple should have at least 1"),
        ({**MINE, "endpoints": [{"host": "a b", "path": ""}]}, 'mine.yaml: endpoints/0/host: "a b" is no host name'),
        ({**MINE, "endpoints": [{"host": "a", "path": "v1"}]}, 'mine.yaml: endpoints/0/path: "v1" is no path'),
        ({**MINE, "endpoints": [A, {"host": "b", "path": "/v1"}]}, "mine.yaml: endpoints: two are served at /v1"),
        ({**MINE, "endpoints": [A, {"host": "b", "path": "/b", "at": "/v1"}]}, "two are served at /v1; `at` says"),
        ({**MINE, "endpoints": [{**A, "path": ""}, {"host": "b", "path": "/"}], "probe": "/m"}, "endpoints: two are served at /; `at`"),
        ({**MINE, "endpoints": [{**A, "tls": ["off"]}]}, "mine.yaml: endpoints/0/tls: Input should be a valid boolean"),
        ({**MINE, "probe": "/v1/../x"}, 'mine.yaml: probe: "/v1/../x" is no path'),
        ({**MINE, "probe": "/v2/models"}, "mine.yaml: probe: /v2/models is not below /v1, the path of the first endpoint"),
        ({**MINE, "probe": "/v1x"}, "mine.yaml: probe: /v1x is not below /v1"),
        ({**MINE, "stream": {"path": "/chat", "body": {}}}, "mine.yaml: stream: /chat is not below /v1"),
        ({**MINE, "key": {"header": "a: b"}}, "mine.yaml: key/header: String should match"),
        ({**MINE, "headers": {"a b": "c"}}, "mine.yaml: headers/a b/[key]: String should match"),
        ({**MINE, "headers": {"a": "b\nc: d"}}, "mine.yaml: headers/a: String should match"),
        ({**MINE, "probe": "/v1/models?a b"}, 'mine.yaml: probe: "/v1/models?a b" has a query that is not like'),
        ({**MINE, "without_key": [500]}, "mine.yaml: without_key/0: Input should be less than"),
    ],
)
def test_what_is_wrong_with_a_file(document: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        loader.load("mine", [written(tmp_path, document)])
    assert said in str(raised.value)
