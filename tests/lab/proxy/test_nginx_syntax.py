"""What novaops writes, read by nginx itself: no value breaks out of its place, and every site is accepted without a word."""

from __future__ import annotations

import base64
import io
import re
import shlex
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from novaops.errors import HostFailed
from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.formats.nginx_conf import NginxConf
from novaops.formats.nginx_quoting import exactly, literal, quoted
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.proxy_sites import API, APP, ENV, HOSTILE, SITES, TOKEN, WORDS, files, nginx

MAIN = """\
pid /tmp/%(at)s/pid; error_log stderr;
events {}
http {
    access_log off;
    include /tmp/%(at)s/conf.d/*.conf;
}
"""


def drawn(strategy: st.SearchStrategy[Any], number: int) -> list[Any]:
    """Values of a strategy: nginx is asked of all of them at once."""
    found: list[Any] = []

    @settings(max_examples=number, phases=[Phase.generate], deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def take(value: Any) -> None:
        found.append(value)

    take()
    return found


CURRENT: list[NginxFacts] = []
"""The nginx of the host."""


@pytest.fixture(scope="module", params=["_container", pytest.param("_newer", marks=pytest.mark.long)], ids=["Debian 12", "Debian 13"])
def host(request: pytest.FixtureRequest, lab: Lab) -> Iterator[LabHost]:
    """With nginx, which is not started, a certificate, and a loopback interface."""
    found: LabHost = lab.reset(request.getfixturevalue(request.param).name)
    found.run(
        "ln -s /dev/null /etc/systemd/system/nginx.service && apt-get update -q && DEBIAN_FRONTEND=noninteractive"
        " apt-get install -y -q --no-install-recommends nginx curl openssl ca-certificates && rm /etc/nginx/sites-enabled/default"
        " && cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days 9"
        " -keyout key.pem -out crt.pem 2>/dev/null",
        timeout_s=300,
    )
    version = tuple(int(part) for part in re.findall(r"\d+", found.run("nginx -v 2>&1").partition("nginx/")[2])[:3])
    CURRENT[:] = [nginx(version)]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENV.items():
            patch.setenv(name, value)
        yield found


def put(host: LabHost, tree: Mapping[str, str]) -> None:
    """Write files, by path."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in tree.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    host.run("base64 -d | tar x -z -C /", stdin=base64.b64encode(packed.getvalue()).decode())


def complaints(host: LabHost, trees: Sequence[Mapping[str, str]]) -> list[str]:
    """What `nginx -t` says of each tree, but that it is fine. The trees are as for /etc/nginx, and lie elsewhere."""
    everything: dict[str, str] = {}
    for number, tree in enumerate(trees):
        at = f"tree/{number}"
        everything[f"/tmp/{at}/nginx.conf"] = MAIN % {"at": at}  # noqa: S108 - of the container
        for path, text in tree.items():
            moved = re.sub(
                r'(ssl_certificate\s+)"[^"]*"', r"\1/tmp/crt.pem", re.sub(r'(ssl_certificate_key\s+)"[^"]*"', r"\1/tmp/key.pem", text)
            )
            everything[path.replace("/etc/nginx", f"/tmp/{at}", 1)] = moved.replace("/etc/nginx", f"/tmp/{at}")  # noqa: S108
    host.run("rm -rf /tmp/tree")
    put(host, everything)
    script = """\
for n in $(seq 0 %d); do
  said=$(nginx -t -c /tmp/tree/$n/nginx.conf 2>&1); status=$?
  printf '%%s %%s\\n' $status "$(printf '%%s\\n' "$said" | grep -v -e 'syntax is ok$' -e 'test is successful$' | tr '\\n' ' ')"
done"""
    said = host.run(script % (len(trees) - 1)).splitlines()
    assert len(said) == len(trees)
    return ["" if line == "0 " else line for line in said]


def answers(host: LabHost, conf: str, number: int) -> list[bytes]:
    """What a server with the locations /0 to /number - 1 answers, byte for byte."""
    put(host, {"/tmp/asked/nginx.conf": conf})  # noqa: S108
    script = f"""\
cd /tmp/asked && rm -rf out run.sock && nginx -c /tmp/asked/nginx.conf || exit 1
curl -s -S --unix-socket /tmp/asked/run.sock -o '/tmp/asked/out/#1' --create-dirs 'http://x/[0-{number - 1}]'; status=$?
kill $(cat pid)
[ $status = 0 ] && for n in $(seq 0 {number - 1}); do base64 -w 0 out/$n 2>/dev/null; echo; done"""
    lines = host.run(script).split("\n")[:number]
    return [base64.b64decode(line) for line in lines]


def served(http: Sequence[str], values: Sequence[str]) -> str:
    """A configuration whose location /n answers with the nth of `values`, which are spelled as nginx is to read them."""
    locations = "\n".join(f"location = /{number} {{ return 200 {value}; }}" for number, value in enumerate(values))
    return f"""\
pid /tmp/asked/pid; error_log /tmp/asked/error.log;
events {{}}
http {{
access_log off; variables_hash_max_size 8192;
geo $novaops_dollar {{ default "$"; }}
{chr(10).join(http)}
server {{ listen unix:/tmp/asked/run.sock; default_type text/plain;
{locations}
}} }}
"""


def is_taken(write: Any, text: str) -> bool:
    try:
        write(text)
    except ValueError:
        return False
    return True


TEXTS = st.one_of(HOSTILE, st.text(max_size=30), st.just("\\"), st.just("a\\\\"), st.just('"'), st.just("${x}")).filter(
    lambda text: is_taken(quoted, text) and is_taken(str.encode, text)
)


def check_values(host: LabHost, texts: list[str]) -> None:
    """As a word that nginx takes as it is, and as one into which it puts variables."""
    plain = [f"geo $plain{number} {{ default {quoted(text)}; }}" for number, text in enumerate(texts)]
    found = answers(host, served(plain, [*(f'"$plain{number}"' for number in range(len(texts))), *map(literal, texts)]), 2 * len(texts))
    assert [text.decode() for text in found] == [*texts, *texts]


def check_spellings(host: LabHost, words: list[tuple[str, str]]) -> None:
    """However somebody spells a word: what nginx makes of it is what novaops reads."""
    conf = [f"geo $word{number} {{ default {spelled} ; }}" for number, (spelled, _) in enumerate(words)]
    found = answers(host, served(conf, [f'"$word{number}"' for number in range(len(words))]), len(words))
    assert [text.decode() for text in found] == [read for _, read in words]


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12) | HOSTILE.filter(
    lambda text: text != "" and is_taken(quoted, text)
)


def check_keys(host: LabHost, tokens: list[str]) -> None:
    """A token opens to itself, and to nothing like it."""
    http: list[str] = []
    values: list[str] = []
    wanted: list[bytes] = []
    for token in tokens:
        others = [token.swapcase(), f"{token}x", f"x{token}", token[:-1], f"{token}{token}", f"{token} "]
        spelled = [(quoted(token), True), *((quoted(other), other == token) for other in others)]
        spelled.append((quoted(token)[:-1] + '\\n"', False))
        for word, opens in spelled:
            number = len(values)
            http += [
                f"geo $given{number} {{ default {word}; }}",
                f"map $given{number} $who{number} {{ default no; {exactly(token)} yes; }}",
            ]
            values.append(f"$who{number}")
            wanted.append(b"yes" if opens else b"no")
    found = answers(host, served(http, values), len(values))
    assert [http[2 * number : 2 * number + 2] for number in range(len(values)) if found[number] != wanted[number]] == []


def test_no_value_breaks_out(host: LabHost) -> None:
    check_values(host, drawn(TEXTS, 200))
    check_keys(host, drawn(TOKENS, 25))


def test_words_are_read_as_nginx_reads_them(host: LabHost) -> None:
    check_spellings(host, drawn(WORDS, 200))


def trees(lists: Sequence[Sequence[Mapping[str, Any]]], on: NginxFacts) -> list[dict[str, str]]:
    return [{path: written.text for path, written in files(*sites, on=on).items()} for sites in lists]


def check_sites(host: LabHost, lists: list[list[Mapping[str, Any]]]) -> None:
    on = CURRENT[0]
    said = complaints(host, trees(lists, on))
    assert [(line, sites) for line, sites in zip(said, lists, strict=True) if line] == []


LONG = "openai-gateway-for-the-customers-of-the-other-department"
KNOWN: Sequence[Sequence[Mapping[str, Any]]] = [
    [API, APP, TOKEN],
    [{**API, "name": LONG}, {**TOKEN, "name": f"{LONG}-2"}, {**APP, "name": f"{LONG}-3"}],
    [API, {**TOKEN, "name": "GATE"}, {**API, "name": "Gate", "domain": "c.com"}],
    [{**APP, "domain": "a-rather-long-name-of-a-proxy.for-the-customers.example.com"}],
    [{**APP, "domain": f"*.{'a' * 60}.example.com"}],
    [
        {**API, "name": "a" * 32, "cors": ["https://a.example.com"]},
        {**API, "name": "b" * 28, "cors": ["https://a.example.com"], "domain": "b.com"},
    ],
    [{**API, "provider": None, "upstream": "https://api.example.com"}],
    [{**API, "path": "/"}],
    [{**API, "path": "/a+b.c"}],
    [{**APP, "listen": "0.0.0.0"}, {**API, "tls": "off"}],  # noqa: S104
    [{**APP, "upstreams": ["api.example.com:80"]}],
    [{**APP, "upstreams": None, "locations": [{"path": "/a", "upstreams": "127.0.0.1:1"}]}],
    [{**API, "provider": "sensenova"}],
]


def without_none(sites: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in site.items() if value is not None} for site in sites]


def test_every_site_is_accepted(host: LabHost) -> None:
    """Without a warning."""
    assert complaints(host, trees([without_none(sites) for sites in KNOWN], CURRENT[0])) == [""] * len(KNOWN)
    check_sites(host, drawn(SITES, 12))


def test_a_word_that_is_wrong_is_seen(host: LabHost) -> None:
    """The tests above would see it: nginx is asked for real."""
    [said] = complaints(host, [{"/etc/nginx/conf.d/x.conf": "server { listen 80; server_name a; } server { listen 80; server_name a; }"}])
    assert "[warn]" in said
    assert "conflicting server name" in said
    with pytest.raises(HostFailed):
        answers(host, served([], ['"a"b']), 1)


def test_the_configuration_of_a_host_is_read(host: LabHost) -> None:
    """With Debian's own files: its types, its comments."""
    site = {path: written.text for path, written in files(APP, on=CURRENT[0]).items()}
    put(host, site)
    conf = NginxConf.read(host.run("nginx -T 2>&1"))
    host.run(f"rm {shlex.join(site)}")
    assert {"/etc/nginx/nginx.conf", "/etc/nginx/mime.types", *site} <= set(conf.files)
    assert conf.value("user") == ("www-data",)
    [server] = [server for server in conf.servers() if server.names == ("shop.example.com",)]
    assert [(listen.address, listen.port) for listen in server.listens] == [("*", 80), ("[::]", 80)]
    assert site["/etc/nginx/conf.d/novaops-shop.conf"] == conf.files["/etc/nginx/conf.d/novaops-shop.conf"].rstrip("\n") + "\n"


@pytest.mark.long
def test_many_more(host: LabHost) -> None:
    for _ in range(20):
        check_values(host, drawn(TEXTS, 300))
        check_spellings(host, drawn(WORDS, 300))
        check_keys(host, drawn(TOKENS, 60))
        check_sites(host, drawn(SITES, 60))
