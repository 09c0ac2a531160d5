"""The peers' side of the conversation: JSON lines on standard input and output. Standard library only.

    {"do": "about"}                                                           → {"versions": {…}, "python": "3.11.7"}
    {"do": "begin", "folder": …, "encoding": "same", "q": 5, "seed": 0, …}    → {}
    {"do": "step", "rows": [3, 8], "values": [0.1, 0.7], "ask": 5}            → {"rows": […]}

Every answer carries seconds by the wall (`seconds`) and by the processor (`cpu`), and the peak of resident memory since the
beginning of the run (`peak_mb`). Values are always to be maximised. An exception is answered with {"error": text}. What a peer prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol


class Table:
    """What a peer may know of a pool: the rows' columns and their common encoding; never an answer."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        about = json.loads((self.folder / "about.json").read_text())
        self.name: str = about["name"]
        self.ids: list[str] = about["ids"]
        self.names: list[str] = about["names"]
        self.columns: list[dict[str, Any]] = about["columns"]
        self.raw: bool = about["raw"]

    def common(self) -> Any:
        """[N, d] numbers, the encoding that every peer gets."""
        import numpy as np

        return np.load(self.folder / "common.npy", allow_pickle=False)


class Chooser(Protocol):
    """A peer in one run. `begin` may take long; `step` tells what came out and asks for n rows, none of them told before."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None: ...

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> Sequence[int]: ...


def serve(make: Callable[[], Chooser], packages: Sequence[str], extra: Callable[[], dict[str, str]] = dict) -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tables: dict[str, Table] = {}
    chooser: Chooser | None = None
    for line in sys.stdin:
        message = json.loads(line)
        begun, used = time.perf_counter(), time.process_time()
        try:
            reply: dict[str, Any] = {}
            if message["do"] == "about":
                reply = {"versions": {**_versions(packages), **extra()}, "python": platform.python_version()}
            elif message["do"] == "begin":
                _forget_peak()
                folder = message["folder"]
                table = tables.setdefault(folder, Table(folder))
                chooser = make()
                chooser.begin(table, message["encoding"], message["q"], message["seed"], message["options"])
            elif chooser is None:
                raise RuntimeError("a step before a beginning")
            else:
                rows = chooser.step(message["rows"], message["values"], message["ask"])
                reply = {"rows": [int(row) for row in rows]}
            reply |= {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - used, "peak_mb": _peak()}
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr, flush=True)
            reply = {"error": f"{type(error).__name__}: {error}"[:2000]}
        try:
            answers.write(json.dumps(reply) + "\n")
            answers.flush()
        except BrokenPipeError:
            # Nobody listens any more: the study was stopped.
            os._exit(0)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _forget_peak() -> None:
    """Start the kernel's high-water mark of resident memory anew, where it can be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> float | None:
    """Largest resident memory since then, MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
