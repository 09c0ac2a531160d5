"""The task of `scale.py`, the same for everybody: a pool on disk, results for its rows, clocks and memory. Knows numpy alone."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 8
PART = 20_000


def table(folder: Path, rows: int, features: int) -> Path:
    """A pool on disk, float64: correlated features of eight hidden causes."""
    path = folder / f"{rows}x{features}.npy"
    if path.exists():
        return path
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(8, features))
    values = np.lib.format.open_memmap(path.with_suffix(".new"), "w+", np.float64, (rows, features))
    for start in range(0, rows, PART):
        n = min(PART, rows - start)
        values[start : start + n] = generator.random((n, 8)) @ mixing + 0.3 * generator.normal(size=(n, features))
    values.flush()
    path.with_suffix(".new").rename(path)
    return path


class Task:
    """Known rows of a pool, what was measured there, and what is measured next; noise belongs to a row, for ever."""

    def __init__(self, path: Path, observations: int, waves: float):
        self.X = np.load(path, mmap_mode="r")
        generator = np.random.default_rng(1)
        self.weights = waves * generator.normal(size=self.X.shape[1]) / np.sqrt(self.X.shape[1])
        self.known = np.sort(generator.choice(len(self.X), observations, replace=False))

    def answers(self, rows: Any) -> Any:
        """Values [m] of some rows."""
        noise = np.array([np.random.default_rng([7, int(row)]).normal() for row in rows])
        return np.sin(self.X[rows] @ self.weights) + 0.05 * noise


class Clock:
    """Seconds that passed, and seconds of processors that this process used: on a busy machine these say more."""

    def __enter__(self) -> Clock:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu

    def told(self, name: str) -> dict[str, float]:
        """For the record."""
        return {name: self.wall, f"{name}_cpu": self.cpu}


class Peak:
    """The most private memory, in MB, that the process held while this was entered, beyond what it held at the start."""

    def __enter__(self) -> Peak:
        self.before, self.most, self.done = self._now(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.02):
            self.most = max(self.most, self._now() - self.before)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
        self.most = max(self.most, self._now() - self.before)

    @staticmethod
    def _now() -> float:
        """Resident memory without the pages of mapped files, in MB."""
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return float(fields["RssAnon"].split()[0]) / 1e3


def load() -> float:
    """How busy the machine was in the last minute."""
    return os.getloadavg()[0]
