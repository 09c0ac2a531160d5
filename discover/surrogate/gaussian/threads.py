"""Small problems on one thread: a second gains nothing, and on a busy machine threads spend their time waiting."""

from __future__ import annotations

from contextlib import AbstractContextManager

from discover.threads import using


def one_thread() -> AbstractContextManager[None]:
    """Linear algebra of torch, numpy and scipy on one thread while this is entered; the caller's settings come back."""
    return using(1)
