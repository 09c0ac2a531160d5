"""An interrupt is heard even where an event loop swallows it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from flows import interrupts

SWALLOWED = """
import asyncio, os, signal
from flows import interrupts

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


def test_afterwards_all_is_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts.heard():
        assert signal.getsignal(signal.SIGINT) is not before
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(signal.SIGINT) is before
    interrupts.check()
