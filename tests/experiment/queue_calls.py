"""Calls of the fake queue, and waiting for what it does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUEUE = str(Path(__file__).with_name("fake_queue.py"))
PYTHON = [sys.executable, "-I", "-S"]


def queue(directory: Path, *verb: str) -> str:
    return subprocess.run([*PYTHON, QUEUE, verb[0], str(directory), *verb[1:]], check=True, capture_output=True, text=True).stdout  # fmt: skip


def until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `done` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := done():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing happened in time")
