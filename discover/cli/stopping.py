"""Stopping in bounded time: the first signal asks, the second one, or the end of the grace period, insists."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopped_by_signals(ask: Callable[[], object], insist: Callable[[], object], grace: float) -> Iterator[list[int]]:
    """Call `ask` at the first signal, and `insist` at the second one or `grace` seconds later; then the process ends.

    Both are called by a thread, so that they also are while the main thread is inside a library that does not return.
    Yields a list that holds the signal once there was one.
    """
    got: list[int] = []
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)

    def listen() -> None:
        with ears:
            if (number := _next(ears)) is None:
                return
            got.append(number)
            ask()
            ears.settimeout(grace)
            try:
                if _next(ears) is None:
                    return
            except (TimeoutError, BlockingIOError):  # the latter for no grace at all
                pass
            insist()
            sys.stdout.flush()
            os._exit(128 + number)

    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    woken = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=listen, name="signals", daemon=True).start()
    try:
        yield got
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        mouth.close()


def _next(ears: socket.socket) -> int | None:
    """The next signal that is ours; None at the end."""
    while data := ears.recv(1):
        if data[0] in SIGNALS:
            return data[0]
    return None
