"""The harness's side of the conversation: a peer's process, asked with a deadline, and ended when it does not answer."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from efficiency.peers import HERE, Kind

SPEAKING = HERE / "wire" / "speaking.py"
GRACE = 120.0
"""Seconds that a process has to start and say its versions; they are no part of a run."""


class Failed(Exception):
    """The peer answered with an error, ended, or broke the rules."""


class TooLate(Exception):
    """No answer by the deadline. The process is gone."""


class Conversation:
    """One process of one kind of peer; it plays run after run until one fails."""

    def __init__(self, kind: Kind, log: Path) -> None:
        if not kind.python.exists():
            raise Failed(f"{kind.name} has no environment: python benchmarks/efficiency/envs.py {kind.name}")
        log.parent.mkdir(parents=True, exist_ok=True)
        # Read before the process is started: an edit of the driver while it runs is no new version of this process.
        self.source = hashlib.sha256((kind.folder / "driver.py").read_bytes() + SPEAKING.read_bytes()).hexdigest()
        self._log: IO[bytes] = log.open("ab")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # The library of this very tree, wherever another one is installed from.
        paths = [SPEAKING.parent, *([HERE.parents[1]] if kind.shared else [])]
        environment |= {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [str(kind.python), str(kind.folder / "driver.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment, cwd=kind.folder,
        )  # fmt: skip
        self._rest = b""
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._answers, selectors.EVENT_READ)
        self.about = self.ask({"do": "about"}, time.monotonic() + GRACE)

    @property
    def _answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, message: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The answer. Failed with the peer's words; TooLate after `deadline` on the monotonic clock, and the process is ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failed(f"the process has ended with code {self._process.poll()}") from error
        answer = json.loads(self._line(deadline))
        if "error" in answer:
            raise Failed(answer["error"])
        return dict(answer)

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not self._ready.select(left):
                self.close()
                raise TooLate
            part = os.read(self._answers.fileno(), 1 << 16)
            if not part:
                raise Failed(f"the process ended with code {self._process.wait()}")
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def close(self) -> None:
        """End the process, and only that one."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except OSError:
                    continue
        self._ready.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
