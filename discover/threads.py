"""How many threads a calculation takes: fixed before torch is imported, and the same for a campaign on every machine.

The order in which threads add up numbers is part of the bits of a result. Measured with torch 2.13 on two cores (200
observations, 100 features, 5,000 candidates): a fit on one thread and one on two differ from the twelfth digit of a prediction
on, and each repeats itself bit for bit; fits on one thread and a pool scored on one or on two give the same bits. After
`torch.set_num_threads(2)`, `threadpoolctl` alone does not reach the linear algebra inside torch, so torch is told itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

SETTING = "DISCOVER_THREADS"
MOST = 1024
"""Threads that are believed to be meant: libraries begin as many as they are told, and die of too many."""
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the numerical libraries read, once, when they are loaded."""


def wanted() -> int:
    """The threads that the environment asks for: DISCOVER_THREADS, or OMP_NUM_THREADS, or one."""
    if SETTING in os.environ:
        return _count(SETTING, os.environ[SETTING])
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) else 1


def fix() -> None:
    """Set the environment for the libraries that are still to be loaded; called before torch is imported.

    DISCOVER_THREADS counts more than what is set already; without it, what the user has set stays, and the rest is one.
    InvalidInput for a DISCOVER_THREADS that is no count.
    """
    count = wanted()
    for name in VARIABLES:
        if SETTING in os.environ:
            os.environ[name] = str(count)
        else:
            os.environ.setdefault(name, str(count))


def count() -> int:
    """The threads that a calculation would take now."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else wanted()


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Linear algebra of torch, numpy and scipy on so many threads while this is entered; the caller's settings come back.

    Where torch is not loaded yet it finds the number in the environment, and is given the machine's processors afterwards.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    with ExitStack() as stack:
        stack.callback(_give_back, before)
        if torch is None:
            stack.enter_context(_environment(threads))
        else:
            torch.set_num_threads(threads)
        stack.enter_context(_controller(torch is not None).limit(limits=threads))
        yield


def _give_back(before: int | None) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(before or _processors())


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    names = (SETTING, *VARIABLES)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _controller(_torch: bool) -> ThreadpoolController:
    """Finds the loaded libraries, which takes some hundredths of a second; once more when torch has come."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _processors() -> int:
    """What torch would have taken by itself."""
    if os.environ.get("OMP_NUM_THREADS"):
        return wanted()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(name: str, text: str) -> int:
    if text.isdigit() and 1 <= int(text) <= MOST:
        return int(text)
    raise InvalidInput("threads", [Problem(f"must be a whole number from 1 to {MOST:,}", key=name, value=text)])
