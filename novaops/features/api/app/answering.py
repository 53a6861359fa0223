"""An answer on its way to the page: one JSON object a line, as the events come. A page that goes away ends the request."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing, suppress
from dataclasses import asdict
from typing import Any

from novaops.errors import NovaopsError
from novaops.features.api.app.backend import Ended, Event, Passages, Text, Used
from novaops.features.api.app.sentences import bug, document

_KINDS: dict[type[Any], str] = {Text: "text", Passages: "passages", Used: "used", Ended: "ended"}


async def lines(begin: Callable[[], Generator[Event]], shown: Callable[[Any], Any]) -> AsyncGenerator[str]:
    """The events that `begin` gives as lines, with the milliseconds since the beginning. An error is the last line.
    `shown` makes each line fit to be shown.

    A thread of its own begins, reads and closes them, as only the thread that is inside of a generator can.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    stopped = threading.Event()

    def put(line: dict[str, Any] | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: the program ends
            loop.call_soon_threadsafe(queue.put_nowait, line)

    threading.Thread(target=_read, args=(begin, put, stopped), name="answer", daemon=True).start()
    try:
        while (line := await queue.get()) is not None:
            yield json.dumps(shown(line), ensure_ascii=False) + "\n"
    finally:
        stopped.set()


def _read(begin: Callable[[], Generator[Event]], put: Callable[[dict[str, Any] | None], None], stopped: threading.Event) -> None:
    started = time.monotonic()
    try:
        with closing(begin()) as events:
            for event in events:
                if stopped.is_set():
                    break
                put({"kind": _KINDS[type(event)], "ms": round((time.monotonic() - started) * 1000), **asdict(event)})
    except NovaopsError as error:
        put({"kind": "error", **document(error)})
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it who would say it
        put({"kind": "error", **document(bug(error))})
    finally:
        put(None)
