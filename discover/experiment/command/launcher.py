"""Starts one job in the background and outlives whoever asked for it. Run as a file, with the standard library alone.

    python -I launcher.py FOLDER

FOLDER holds `job.json`: arguments, cwd, timeout (seconds or null), slots (a list of files, of which one must be locked while
the program runs). What it leaves there: `started.json`, made once and for ever by whichever launcher comes first, so that a
job that is asked for twice runs once; `running.json`, the program's process; `ended.json`, how it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2


def process_identity(pid: int) -> dict[str, Any]:
    """What tells a process from every other one: its machine, the machine's start, its number and its own start."""
    return {"host": socket.gethostname(), "boot": boot(), "pid": pid, "start": started(pid)}


def boot() -> str:
    """Which start of the machine this is; '' where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks; '' if it is gone or only waits to be buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def main(folder: Path) -> None:
    """Detach, claim the job, wait for a slot, run the program, and say how it ended."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)  # until the job is claimed, or found claimed
        os._exit(0)
    os.close(reader)
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    if _claimed(folder):
        os.close(writer)
        with _slot(job["slots"]):
            _put(folder / "ended.json", _run(folder, job))
    os._exit(0)


def _claimed(folder: Path) -> bool:
    draft = folder / f".started.{os.getpid()}.tmp"
    draft.write_text(json.dumps(process_identity(os.getpid())), encoding="utf-8")
    try:
        os.link(draft, folder / "started.json")  # fails where there is one: a rename would not
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _slot(files: list[str]) -> Any:
    """One of the files, open and locked; the lock ends with this process, however that ends."""
    while True:
        for name in files:
            file = Path(name).open("a")  # noqa: SIM115
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
            else:
                return file
        time.sleep(POLL_SECONDS)


def _run(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    with (folder / "output.txt").open("wb") as output, (folder / "error.txt").open("wb") as error:
        try:
            program = subprocess.Popen(
                job["arguments"], cwd=job["cwd"], stdin=subprocess.DEVNULL, stdout=output, stderr=error,
                env={**os.environ, "DISCOVER_KEY": job["key"], "DISCOVER_FOLDER": str(folder)}, start_new_session=True,
            )  # fmt: skip
        except OSError as problem:
            return {"problem": f"{job['arguments'][0]} cannot be started: {problem.strerror or problem}"}
        _put(folder / "running.json", process_identity(program.pid))
        try:
            return {"code": program.wait(job["timeout"])}
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            return {"problem": f"ended after {job['timeout']:g} s, the longest that a job may take"}


def _put(path: Path, body: dict[str, Any]) -> None:
    draft = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
