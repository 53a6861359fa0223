"""The stand-in for SenseNova is honest: its own library understands it, unchanged, in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.provider_files import Stand, stand

CLIENT = Path(__file__).parent.parent / "support/sensenova_client.py"


@pytest.fixture
def there() -> Iterator[Stand]:
    with stand() as made:
        yield made


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensenova")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "sensenova==1.0.6"], check=True)  # its pin of PyJWT cannot be had beside others
    subprocess.run([*pip, "requests", "tqdm", "aiohttp", "PyJWT"], check=True)
    return folder / "bin/python"


@pytest.mark.long
def test_its_own_library_understands_the_stand_in(there: Stand, python: Path) -> None:
    done = subprocess.run([python, CLIENT, there.url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "states": ["UPLOADED", "VALID", "VALID"],
        "of_pdf": ["UPLOADED", "INVALID", "INVALID"],  # it sends every file as "file", so no PDF is told by its name
        "base": ["LOADING", "AVAILABLE", "AVAILABLE"],
        "text": "from the base",
        "listed": ["f1", "f2"],
    }
    assert {kept.name for kept in there.files.values()} == {"file"}
