"""SenseNova's own library, in an environment of its own: it pins an old PyJWT, and evaluates what is no JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from novaops.features.api.llm.chat import ChatClient
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.protocol import ChatRequest, Delta, KeyPair, Message
from novaops.features.api.llm.route import direct
from novaops.providers.loader import load
from novaops.secret import Secret
from tests.support.llm_api import LlmApi

PACKAGES = ["sensenova==1.0.6", "requests", "tqdm", "aiohttp", "PyJWT"]
PROGRAM = """
import json, sys
import sensenova
sensenova.access_key_id, sensenova.secret_access_key = "ak", "sk"
asked = [{"role": "user", "content": "hi"}]
events = sensenova.ChatCompletion.create(model="m", messages=asked, stream=True, max_new_tokens=9)
streamed = [choice["delta"] for event in events for choice in event["data"]["choices"]]
whole = sensenova.ChatCompletion.create(model="m", messages=asked)
print(json.dumps([streamed, whole["data"]["choices"][0]["message"]]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sensenova")
    venv.create(place, with_pip=True)
    found = place / "bin/python"
    pip = [str(found), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", PACKAGES[0]], check=True, capture_output=True)
    subprocess.run([*pip, *PACKAGES[1:]], check=True, capture_output=True)
    return found


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="its environment is made as on Linux")
def test_it_says_what_our_client_says(python: Path, api: LlmApi) -> None:
    """The same request from both: path, token and body are alike, and both understand the answer."""
    api.pieces = ["Hé", "llo 漢"]
    base = {"SENSENOVA_API_BASE": f"{api.url}/v1", "SENSENOVA_API_BASE_FILE": f"{api.url}/files/v1"}
    done = subprocess.run([python, "-c", PROGRAM], capture_output=True, text=True, check=False, env=base, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["Hé", "llo 漢", ""], "Héllo 漢"]
    client = ChatClient(Http("sensenova", KeyPair("ak", Secret("sk")), direct(load("sensenova").located(api.url))))
    with client:
        asked = ChatRequest((Message("user", "hi"),), model="m")
        assert [event.text for event in client.chat(asked) if isinstance(event, Delta)] == ["Hé", "llo 漢"]
    theirs, ours = api.requests[0], api.requests[-1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    heads = [(request.header("Authorization") or "").removeprefix("Bearer ").split(".") for request in (theirs, ours)]
    assert [len(parts) for parts in heads] == [3, 3]
    assert {key: api.asked[0][key] for key in ("model", "messages", "stream")} == api.asked[-1]
