"""An interrupt is heard even where an event loop swallows it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flows import interrupts

SWALLOWED = """
import asyncio, os, signal
from flows import interrupts

signal.signal(signal.SIGINT, signal.default_int_handler)

async def swallows():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        pass

def careless():
    try:
        asyncio.run(swallows())
    except KeyboardInterrupt:
        print("raised")
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("careless(); print('went on')", "went on"),
        ("with interrupts.heard():\n    careless(); print('went on'); interrupts.check()", "raised\nwent on"),
    ],
)
def test_an_event_loop_loses_an_interrupt_and_ours_is_kept(how: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED + how], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == said
    assert ("KeyboardInterrupt" in done.stderr) == ("heard" in how)


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def before(request: pytest.FixtureRequest) -> Iterator[Any]:
    known = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, known)


def test_afterwards_all_is_as_it_was_and_what_is_to_be_ignored_is(before: Any) -> None:
    if before is signal.SIG_IGN:
        with interrupts.heard():
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
        return
    with interrupts.heard():
        assert signal.getsignal(signal.SIGINT) is not before
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(signal.SIGINT) is before
    interrupts.check()
