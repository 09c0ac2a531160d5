"""A sweep over a pool as a map over shards: in turn, on threads, or wherever `spread_by` sends them.

A shard is some tiles; a tile's numbers depend on nothing but its rows. So the same selections come out for any number of
shards, threads and machines of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np

from discover import threads
from discover.acquisition.tiles import TILE, AnyArray, Tiler
from discover.errors import IntegrityError
from discover.surrogate.gaussian.threads import one_thread
from discover.values import FloatArray, IntArray

SHARD = 64 * TILE
"""Rows of a shard that threads of one process share out, at most;"""
SHARES = 16
"""of few rows so many shards for each thread, for none is to wait long for the last of another."""
FAR_SHARD = 1024 * TILE
"""Rows of a shard that goes to another process, about a second of work; a smaller pool stays here."""

Swept = tuple[AnyArray, AnyArray]
"""Means [K, rows] and bounds of the variances [K, rows], for K components of a belief."""


@dataclass(frozen=True)
class Mapped:
    """A table of float64 in a file of bytes that every worker can read: where it lies, and its shape [N, d]."""

    path: str
    offset: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, values: FloatArray) -> Mapped | None:
        """Where a table that is mapped into memory lies; None for one that is held in it."""
        if not isinstance(values, np.memmap) or not isinstance(values.base, mmap):
            return None  # a part of a mapped table keeps the offset of the whole
        if values.filename is None or not values.flags.c_contiguous:
            return None
        return cls(str(values.filename), int(values.offset), (values.shape[0], values.shape[1]))

    def open(self) -> FloatArray:
        """The table. IntegrityError where it is not there, or shorter."""
        try:
            return np.memmap(self.path, np.float64, "r", self.offset, self.shape)
        except (OSError, ValueError) as error:
            raise IntegrityError(f"the features at {self.path} cannot be read from here: {error}") from error


@dataclass(frozen=True)
class Shard:
    """Rows to sweep, with what they are multiplied by. rows: a range, or [m] of them. table: all raw features, or of these
    rows alone where they could not be found otherwise (`alone`)."""

    tilers: tuple[Tiler, ...]
    rows: tuple[int, int] | IntArray
    table: Mapped | FloatArray
    alone: bool = False

    def run(self) -> Swept:
        """Single- or double-precision numbers, as the tilers have them; on one thread."""
        values = self.table.open() if isinstance(self.table, Mapped) else self.table
        count = self.rows[1] - self.rows[0] if isinstance(self.rows, tuple) else len(self.rows)
        dtype = self.tilers[0].weights.dtype
        mean, variance = (np.empty((len(self.tilers), count), dtype=dtype) for _ in range(2))
        for start in range(0, count, TILE):
            part = slice(start, min(start + TILE, count))
            raw = values[self._places(part)]
            for k, tiler in enumerate(self.tilers):
                mean[k, part], variance[k, part] = tiler.bound(raw)
        return mean, variance

    def run_alone(self) -> Swept:
        """The same in a process of its own, where nobody has seen to the threads."""
        with one_thread():
            return self.run()

    def _places(self, part: slice) -> slice | IntArray:
        if not isinstance(self.rows, tuple):
            return part if self.alone else self.rows[part]
        first = 0 if self.alone else self.rows[0]
        return slice(first + part.start, first + part.stop)


Spread = Callable[[Sequence[Shard]], Iterator[Swept]]
"""Runs shards somewhere and gives what came out, in their order."""
_elsewhere: ContextVar[Spread | None] = ContextVar("elsewhere", default=None)


@contextmanager
def spread_by(spread: Spread | None) -> Iterator[None]:
    """While this is entered, shards of whole pools are run by `spread`; None is here, on threads."""
    token = _elsewhere.set(spread)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def sweep(tilers: Sequence[Tiler], values: FloatArray, rows: IntArray | None = None, size: int = 0) -> Swept:
    """Means and bounds of rows [m] ascending of raw features `values` [N, d], or of all; [K, m] each.

    size: rows of a shard, a multiple of a tile; 0 for what suits.
    """
    spread = _elsewhere.get() if rows is None and len(values) > FAR_SHARD else None
    count = len(values) if rows is None else len(rows)
    size = size or (FAR_SHARD if spread else _share(count))
    shards = list(_shards(tuple(tilers), values, rows, size, far=spread is not None))
    mean, variance = (np.empty((len(tilers), count), dtype=tilers[0].weights.dtype) for _ in range(2))
    done = 0
    for some_mean, some_variance in (spread or _here)(shards):
        part = slice(done, done + some_mean.shape[1])
        mean[:, part], variance[:, part] = some_mean, some_variance
        done = part.stop
    return mean, variance


def _share(count: int) -> int:
    """Rows of a shard, of so many in all."""
    return TILE * min(max(1, count // (TILE * SHARES * threads.count())), SHARD // TILE)


def _shards(
    tilers: tuple[Tiler, ...], values: FloatArray, rows: IntArray | None, size: int, far: bool
) -> Iterator[Shard]:
    count = len(values) if rows is None else len(rows)
    table = Mapped.of(values) if far else None
    for start in range(0, count, size):
        stop = min(start + size, count)
        if rows is not None:
            yield Shard(tilers, rows[start:stop], values)
        elif far and table is None:
            yield Shard(tilers, (start, stop), np.ascontiguousarray(values[start:stop]), alone=True)
        else:
            yield Shard(tilers, (start, stop), table or values)


def _here(shards: Sequence[Shard]) -> Iterator[Swept]:
    """On as many threads as linear algebra is given, each shard on one."""
    many = min(threads.count(), len(shards))
    with one_thread():
        if many < 2:
            yield from map(Shard.run, shards)
            return
        with ThreadPoolExecutor(many) as pool:
            running: list[Any] = []
            for shard in shards:
                running.append(pool.submit(shard.run))
                if len(running) > 2 * many:  # results wait for their turn: not all of them in memory at once
                    yield running.pop(0).result()
            while running:
                yield running.pop(0).result()
