"""A call that ends, whatever it waits for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float, leave: Callable[[], None] = lambda: None) -> T:
    """The result of `call`, or TimeoutError after so many seconds, whatever it waits for.

    The thread of a call that is late is left behind; `leave` then lets go of what it holds.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=work, daemon=True, name="discover-exchange").start()
    try:
        value, error = outcome.get(timeout=max(seconds, 0.0))
    except BaseException as interruption:
        leave()
        if isinstance(interruption, queue.Empty):
            raise TimeoutError from None
        raise
    if error is not None:
        raise error
    return value
