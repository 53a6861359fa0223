"""Many hosts at once: what is waited for can be interrupted at any moment."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from novaops.engine import parallel

pytestmark = pytest.mark.timeout(20)


class Never(Executor):
    """Its work does not end. As it is begun, Ctrl-C comes in another thread: a flag is set, and nothing wakes the one that waits."""

    def submit(self, *_: Any, **__: Any) -> Future[None]:  # type: ignore[override] # of no use here: what is to be done
        threading.Thread(target=_interrupt, daemon=True).start()
        return Future()


def _interrupt() -> None:
    time.sleep(0.3)  # the other one waits by now
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


def test_a_signal_that_wakes_nobody_is_seen() -> None:
    with pytest.raises(KeyboardInterrupt):
        parallel.over(Never(), [1], lambda _: None)


def test_the_results_are_in_order_and_the_first_error_is_raised() -> None:
    with ThreadPoolExecutor(4) as executor:
        assert parallel.over(executor, range(20), lambda number: number * 2) == [number * 2 for number in range(20)]
        with pytest.raises(ZeroDivisionError):
            parallel.over(executor, [1, 0, 2], lambda number: 1 // number)
