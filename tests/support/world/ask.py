"""The `openai` SDK, streaming through a proxy, each event with its time: for scripts/demo. `… ask BASE-URL ADDRESS CERTIFICATE`."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import sys
import time
from typing import Any

import openai


def main(base: str, address: str, certificate: str) -> None:
    real = socket.getaddrinfo
    domain = base.split("/")[2]

    def found(name: Any, *rest: Any, **more: Any) -> Any:
        """The demo's domain is known to nobody else."""
        return real(address if name in {domain, domain.encode()} else name, *rest, **more)

    vars(socket)["getaddrinfo"] = found
    login = base64.b64encode(f"nova:{os.environ['PROXY_PASSWORD']}".encode()).decode()
    client = openai.OpenAI(
        base_url=base,
        api_key="unused",
        default_headers={"Authorization": f"Basic {login}"},
        http_client=openai.DefaultHttpxClient(verify=ssl.create_default_context(cafile=certificate)),
    )
    began = time.monotonic()
    question: Any = [{"role": "user", "content": "Count from 1 to 5."}]
    for chunk in client.chat.completions.create(model="gpt-4o-mini", stream=True, messages=question):
        if chunk.choices and chunk.choices[0].delta.content:
            print(f"{time.monotonic() - began:4.1f} s  {chunk.choices[0].delta.content!r}")  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
