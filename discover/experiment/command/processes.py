"""Programs of others: short ones that are waited for, and jobs in the background that outlive this process."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from discover.experiment.command import launcher

TAIL = 500
"""Characters of a program's last words that are quoted in a reason."""
FIRST_BYTES = 1_000_000
"""Of a short program's output, what is read."""
LAST_BYTES = 20_000
POLL_SECONDS = 0.1
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


@dataclass(frozen=True)
class Ended:
    """How a short program ended. code: None where it did not end by itself in time. problem: why it was not begun."""

    code: int | None = None
    output: str = ""
    error: str = ""
    problem: str = ""

    @property
    def unclear(self) -> bool:
        """Whether it was cut off, so that what it did is not known."""
        return not self.problem and (self.code is None or self.code < 0)


def run_short(
    arguments: Sequence[str], cwd: Path, timeout: float, more: Mapping[str, str], lock: Path | None = None
) -> Ended:
    """Run a program to its end, at most `timeout` seconds; then it and what it started are killed.

    What it started and left behind when it ended by itself is neither waited for nor killed.

    more: variables beside those of this process, which are passed on and kept nowhere. lock: a file that stays locked as
    long as the program runs, even if this process dies before it (see `finished`).
    """
    with ExitStack() as held:
        passed = [held.enter_context(lock.open("a"))] if lock is not None else []
        if not all(_locked(file, timeout) for file in passed):
            return Ended(error=f"what an earlier call left behind still runs after {timeout:g} s")
        try:
            output, said = held.enter_context(_scratch()), held.enter_context(_scratch())
            program = subprocess.Popen(
                list(arguments), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=said,
                env={**os.environ, **more}, start_new_session=True, pass_fds=[file.fileno() for file in passed],
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return Ended(problem=f"{arguments[0]} cannot be started: {getattr(error, 'strerror', None) or error}")
        return _wait(program, timeout, output, said)


def _scratch() -> BinaryIO:
    """A file without a name, in memory where the system has such: no pipe, which whoever stays behind would keep open."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("discover"), "w+b")
    return cast("BinaryIO", tempfile.TemporaryFile())


def finished(lock: Path, timeout: float) -> bool:
    """Wait until the program that holds a lock has ended; False where it still runs after `timeout` seconds."""
    with lock.open("a") as file:
        return _locked(file, timeout)


def _locked(file: IO[str], timeout: float) -> bool:
    waited = 0.0
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if waited >= timeout:
                return False
            time.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        else:
            return True


def _wait(program: subprocess.Popen[bytes], timeout: float, output: BinaryIO, said: BinaryIO) -> Ended:
    try:
        code = program.wait(timeout)
    except subprocess.TimeoutExpired:
        _kill(program.pid)
        with suppress(subprocess.TimeoutExpired):
            program.wait(5)
        return Ended(error=f"no answer within {timeout:g} s")
    except BaseException:
        _kill(program.pid)
        program.wait()
        raise
    # Read without a seek: what stayed behind may still write, and where it does is ours too.
    first = os.pread(output.fileno(), FIRST_BYTES, 0)
    last = os.pread(said.fileno(), LAST_BYTES, max(0, os.fstat(said.fileno()).st_size - LAST_BYTES))
    return Ended(code, first.decode("utf-8", "replace"), last_words(last))


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def launch(folder: Path) -> str:
    """Start the job that `folder/job.json` describes, in the background; '' or why that was not possible.

    When this returns '', the job is claimed in `started.json`, by this launch or by an earlier one.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", launcher.__file__, str(folder)], stdin=subprocess.DEVNULL, start_new_session=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the job cannot be started: {error}"
    if done.returncode or not (folder / "started.json").exists():
        return f"the job cannot be started: {last_words(done.stderr) or 'the launcher ended without a word'}"
    return ""


def is_alive(process: Mapping[str, Any]) -> bool:
    """Whether a process of this machine still runs; one of another machine is taken to run."""
    if process.get("host") != socket.gethostname():
        return True
    if process.get("boot") != launcher.boot():
        return False
    start = launcher.started(int(process["pid"]))
    if start or process.get("start"):
        return start != "" and start == process.get("start")
    try:  # a system without /proc
        os.kill(int(process["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not Path("/proc").is_dir()


def last_words(data: bytes) -> str:
    """The end of what a program said, in one line, without the secrets of its environment."""
    text = scrub(data[-LAST_BYTES:].decode("utf-8", "replace"))
    line = " | ".join(part.strip() for part in text.splitlines() if part.strip())
    clean = "".join(c if c.isprintable() else "?" for c in line)
    return clean if len(clean) <= TAIL else f"…{clean[-TAIL:]}"


def scrub(text: str) -> str:
    """The text without the values of variables whose names say that they are secrets."""
    secrets = [value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 6]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
