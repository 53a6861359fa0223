"""What the environment says of the way out: proxies, and whose certificates count."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from novaops.errors import Unreachable, UsageError
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.route import direct
from novaops.providers.loader import load
from novaops.secret import Secret

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that turns everybody away, and the first lines that it was told."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                while True:
                    with listening.accept()[0] as one:
                        asked.append(one.recv(1000).decode("latin-1").partition("\r\n")[0])
                        one.sendall(b"HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


def ask(upstream: str = "https://api.test/v1") -> None:
    with Http("openai", Secret("sk-of-the-test"), direct(load("openai").located(upstream)), timeout=5) as http:
        http.document("GET", "/models")


@pytest.mark.parametrize("other", ["socks5://127.0.0.1:1", "socks5h://127.0.0.1:1", "socks://127.0.0.1:1/"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_socks_proxy_beside_one_that_speaks_http(
    other: str, scheme: str, proxy: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the programs say it that lead through a proxy: https_proxy=http://… all_proxy=socks5://…"""
    monkeypatch.setenv("https_proxy", f"{scheme}{proxy[0]}")
    monkeypatch.setenv("all_proxy", other)
    with pytest.raises(Unreachable) as caught:
        ask()
    assert proxy[1] == ["CONNECT api.test:443 HTTP/1.1"]
    assert caught.value.what == "api.test by the proxy of HTTPS_PROXY cannot be reached"


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks", "ftp"])
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_a_proxy_that_speaks_something_else(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"{kind}://user:word-of-the-proxy@127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        ask()
    assert caught.value.what == f"{name.upper()} names a proxy of the kind {kind}, and novaops speaks only HTTP to proxies"
    assert "https_proxy=http://HOST:PORT" in caught.value.fix
    assert "NO_PROXY=api.test" in caught.value.fix
    assert "word-of-the-proxy" not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"


def test_what_goes_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    for upstream, without in (("https://api.test.invalid/v1", "test.invalid"), ("https://localhost:1/v1", "")):
        monkeypatch.setenv("no_proxy", without)
        with pytest.raises(Unreachable) as caught:
            ask(upstream)
        assert "proxy" not in caught.value.what


def test_a_proxy_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"^api\.test by the proxy of HTTPS_PROXY refuses the connection"):
        ask()


@pytest.mark.parametrize("value", ["http://127.0.0.1:abc", "http://user:word-of-the-proxy@127.0.0.1:abc", "http://[::1"])
def test_a_proxy_that_is_no_url(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(UsageError, match="the proxy that HTTPS_PROXY or ALL_PROXY names cannot be used") as caught:
        ask()
    assert "word-of-the-proxy" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("SSL_CERT_FILE", "/nowhere.pem"), ("SSL_CERT_FILE", "/etc/hostname"), ("SSLKEYLOGFILE", "/nowhere/keys")]
)
def test_authorities_that_cannot_be_read(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an environment of conda's leaves it that was removed."""
    monkeypatch.setenv(name, value)
    if name == "SSLKEYLOGFILE":
        monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    with pytest.raises(UsageError, match=f"what the environment says of certificates cannot be used: .*{name}={value}"):
        ask()
