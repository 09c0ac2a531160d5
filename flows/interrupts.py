"""Ctrl-C that is heard.

While an event loop runs in the main thread it takes SIGINT over: it cancels what it is at, and where that swallows its being
cancelled, or is being cancelled anyhow, nobody hears of the interrupt. Prefect runs many short
loops, and a campaign would go on to its end. A handler of one's own is left in place by event loops.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_noted = threading.Event()


@contextmanager
def heard() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt wherever the main thread is, and is kept for `check`, should somebody swallow that.

    Where whoever started this process has it ignore interrupts, as a shell does with what it runs behind a script, it does.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _noted.clear()


def check() -> None:
    """Raise KeyboardInterrupt where one came and was swallowed."""
    if _noted.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _noted.set()
    raise KeyboardInterrupt
