"""Small problems on one thread: a second gains nothing, and on a busy machine threads spend their time waiting."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra of torch, numpy and scipy on one thread while this is entered; the caller's settings come back."""
    return _controller().limit(limits=1)


@cache
def _controller() -> ThreadpoolController:
    """Finds the loaded libraries once, which takes some hundredths of a second; what it must find is imported first."""
    import scipy.linalg  # noqa: F401
    import torch  # noqa: F401

    return ThreadpoolController()
