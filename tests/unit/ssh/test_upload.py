"""The end of an upload: a host that takes everything and never says that it has written it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from novaops.errors import HostFailed
from novaops.ssh import upload


class _Channel:
    out_max_packet_size = 4096

    def __init__(self) -> None:
        self.status_event = threading.Event()
        self.got = b""

    def sendall(self, data: bytes) -> None:
        self.got += data

    def recv_exit_status(self) -> int:
        self.status_event.wait()
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.mark.timeout(20)
def test_a_host_that_does_not_say_that_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_WRITES_S", 0.2)
    (tmp_path / "image").write_bytes(b"x" * 10_000)
    channel = _Channel()
    transport = SimpleNamespace(open_session=lambda timeout: channel)  # noqa: ARG005 - as paramiko's
    session: Any = SimpleNamespace(connection=SimpleNamespace(transport=transport), target=SimpleNamespace(timeout=1), execs=0)
    with pytest.raises(HostFailed, match="does not say that it is written") as error:
        upload.send_file(session, tmp_path / "image", "cat", 10, lambda _: None)
    assert (len(channel.got), error.value.why) == (9_990, "Nothing was heard of it for 0.2 s.")
    channel.status_event.set()
    upload.send_file(session, tmp_path / "image", "cat", 0, lambda _: None)
