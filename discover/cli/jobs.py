"""Several workers on one machine: each a process of its own, so that one that crashes takes none of the others with it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

CRASHES = 3
"""How often a worker that was killed or that crashed is started again, before it is left."""
CALM_SECONDS = 600.0
"""A worker that has lived so long has its crashes forgotten."""
LAST_SECONDS = 10.0
"""What workers get to give back their claims once they were told to end at once."""


class Jobs:
    """Workers of one command, started again where they crash. A worker whose starter is gone stops as after a signal."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], say: Callable[[str], object]):
        self._commands, self._environment, self._say = commands, dict(environment), say
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._crashes = [0] * len(commands)
        self._started = [0.0] * len(commands)
        self._stopping = False

    def run(self) -> int:
        """Start them and wait for their end: 0, or 1 where one has failed or crashed too often."""
        for place in range(len(self._commands)):
            self._start(place)
        failed = False
        while self._running:
            for place, process in list(self._running.items()):
                code = process.poll()
                if code is None:
                    continue
                del self._running[place]
                if time.monotonic() - self._started[place] > CALM_SECONDS:
                    self._crashes[place] = 0
                if code >= 0 or self._stopping:
                    failed = failed or 0 < code < 128
                elif self._crashes[place] < CRASHES:
                    self._crashes[place] += 1
                    self._say(f"worker {place + 1} was killed by {_name(-code)}; starting it again")
                    self._start(place)
                else:
                    failed = True
                    self._say(f"worker {place + 1} was killed by {_name(-code)} once more; look at what it had in hand")
            time.sleep(0.05)
        return int(failed)

    def _start(self, place: int) -> None:
        self._started[place] = time.monotonic()
        self._running[place] = subprocess.Popen(
            self._commands[place], env=self._environment, stdin=subprocess.PIPE, start_new_session=True
        )

    def stop(self) -> None:
        """Ask all to stop."""
        self._stopping = True
        self._send(signal.SIGTERM)

    def end(self) -> None:
        """Ask again, which ends them at once; kill what is still there after that."""
        self._send(signal.SIGTERM)
        end = time.monotonic() + LAST_SECONDS
        while time.monotonic() < end and any(p.poll() is None for p in list(self._running.values())):
            time.sleep(0.05)
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for process in list(self._running.values()):
            with suppress(ProcessLookupError):
                process.send_signal(number)


def follow_starter() -> None:
    """In a worker: stop as after a signal once the process that started it is gone, which closes our standard input."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin: a reader that waits keeps Python from ending
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="starter", daemon=True).start()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
