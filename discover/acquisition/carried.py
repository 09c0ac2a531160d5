"""What a sweep leaves for the next iteration: means and variance bounds of the whole pool, which then prune most of it.

Let O be a part of the observations, A the others, and let hyperparameters, transforms and noise variances be the same before
and after A. With m the posterior mean and k_O the posterior covariance given O,

    m_all(x) - m_O(x) = k_O(x, A) w,    w = (k_O(A, A) + N)⁻¹ (y_A - m_O(A)),

which is the posterior mean of what O leaves over, N being the noise of A. k_O is a covariance, so by the inequality of Cauchy
and Schwarz |k_O(x, A) w| <= σ_O(x) c with c² = wᵀ k_O(A, A) w, and σ_O(x) is no larger than any bound of it. Inverting the
whole covariance in blocks shows that w is the part at A of the weights (K + N)⁻¹ (y - mean) of all observations. With the
factor L of the whole, O standing first, L_AA L_AAᵀ = k_O(A, A) + N: so c² = |L_AAᵀ w|² - Σ N w². And σ_all <= σ_O.

None of this holds once an observation is corrected or taken back, a fantasy is released, the noise, the jitter, the constant
mean or the scale of the target changes: then nothing is carried. A file is a cache: without it the search finds the same.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from discover.acquisition.tiles import AnyArray
from discover.drafts import draft_of
from discover.surrogate.covariance import fitting
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.values import FloatArray, IntArray

EPOCHS = 32
"""Iterations whose numbers may stand side by side, before all are worked out anew."""
UNKNOWN = 255
"""The epoch of rows of which nothing is known."""
ENORMOUS = 1e30
SLIP = 1e-9
"""The share of a difference of two large numbers that is allowed for their rounding."""


@dataclass(frozen=True)
class Carried:
    """Means and bounds of the variances of K components for the N rows of a pool, each from one of E epochs.

    mean, variance: [K, N] in single precision. epoch: [N]. off, wide: [E, K], how far they may be off by rounding. slack: [E, K],
    c of the module, from the data of the epoch to those of now. seen: [n, 16], a hash of each observation; since: [n], the
    first epoch that knew it. key: a hash of all that must not change.
    """

    key: str
    mean: AnyArray
    variance: AnyArray
    epoch: AnyArray
    off: FloatArray
    wide: FloatArray
    slack: FloatArray
    seen: AnyArray
    since: IntArray

    @classmethod
    def read(cls, folder: Path, parts: Sequence[GaussianPosterior], pool: str, rows: int) -> Carried | None:
        """What an iteration under the same prior left, whose observations are all still there; None where there is nothing."""
        key = _key(parts, pool, rows)
        try:
            with _path(folder, key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                told = {name: arrays[name] for name in _FIELDS}
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
            return None
        kinds = [(told[name].shape, told[name].dtype) for name in ("mean", "variance", "epoch")]
        wide = ((len(parts), rows), np.dtype(np.float32))
        if kinds != [wide, wide, ((rows,), np.dtype(np.uint8))]:
            return None
        seen = _hashes(parts[0])
        since = _since(told["seen"], told["since"], seen, len(told["off"]))
        if since is None or len(told["off"]) >= EPOCHS:
            return None
        slack = _slacks(parts, since, len(told["off"]))
        return None if slack is None else cls(key, slack=slack, **{**told, "seen": seen, "since": since})

    @classmethod
    def after(cls, before: Carried | None, parts: Sequence[GaussianPosterior], pool: str, rows: int) -> Carried:
        """What goes on to the next iteration: what was carried, to be overwritten, or nothing yet."""
        if before is not None:
            return before
        mean, variance = (np.zeros((len(parts), rows), dtype=np.float32) for _ in range(2))
        epoch = np.full(rows, UNKNOWN, dtype=np.uint8)
        none, seen = np.empty((0, len(parts))), _hashes(parts[0])
        since = np.zeros(len(seen), dtype=np.int64)
        return cls(_key(parts, pool, rows), mean, variance, epoch, none, none, none, seen, since)

    def at(self, rows: IntArray) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
        """Means within so much, and variances at most so much and a bit, of some rows: [K, m] each, under all data of now."""
        mean, off, variance, wide = self.stored(rows)
        slack = self._by_epoch(self.slack, rows)
        return mean, off + slack * np.sqrt(np.maximum(variance, 0.0) + wide), variance, wide

    def stored(self, rows: IntArray) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
        """The same under the data of each row's own epoch."""
        off, wide = self._by_epoch(self.off, rows), self._by_epoch(self.wide, rows)
        return self.mean[:, rows], off, self.variance[:, rows], wide

    def _by_epoch(self, numbers: FloatArray, rows: IntArray) -> FloatArray:
        """Numbers [E, K] of the epochs of some rows: [K, m]; enormous where nothing is known."""
        epoch = self.epoch[rows].astype(np.int64)
        epoch[epoch == UNKNOWN] = len(numbers)
        known: FloatArray = np.vstack([numbers, np.full((1, numbers.shape[1]), ENORMOUS)]).T
        return known[:, epoch]

    def put(self, rows: IntArray, mean: AnyArray, variance: AnyArray, off: FloatArray, wide: FloatArray) -> Carried:
        """With what was worked out under all data of now. mean, variance: [K, m] of rows [m]. off, wide: [K]."""
        self.mean[:, rows], self.variance[:, rows] = mean, variance
        self.epoch[rows] = len(self.off)
        return replace(self, off=np.vstack([self.off, off]), wide=np.vstack([self.wide, wide]))

    def write(self, folder: Path) -> None:
        """In place of what was carried before; a folder that cannot be written to is done without."""
        path = _path(folder, self.key)
        fresh = draft_of(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                np.savez(file, **{name: getattr(self, name) for name in _FIELDS})
            fresh.replace(path)
            for other in folder.glob(f"{_PREFIX}*.npz"):
                if other != path:
                    other.unlink(missing_ok=True)
        except OSError:
            with suppress(OSError):  # of a folder that is none, or of a disk that nobody may write to
                fresh.unlink()


_FIELDS = ("mean", "variance", "epoch", "off", "wide", "seen", "since")
_PREFIX = "sweep-"


def _path(folder: Path, key: str) -> Path:
    return folder / f"{_PREFIX}{key}.npz"


def _key(parts: Sequence[GaussianPosterior], pool: str, rows: int) -> str:
    """A hash of all that must be the same: the prior of each component, and the pool."""
    told: list[Any] = [pool, rows]
    for part in parts:
        assert part.found is not None
        assert part.state is not None
        prior = [
            part.found.kernel,
            list(part.found.lengths),
            list(part.found.shares),
            part.found.noise,
            repr(part.form),
        ]
        told.append([*prior, part.standard.shift, part.standard.scale, part.state.mean, part.state.jitter])
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]


def _hashes(part: GaussianPosterior) -> AnyArray:
    """A hash [n, 16] of each observation: features, value, noise, and the how-manieth of its kind it is."""
    table = torch.cat([part.X, part.y[:, None], part.noise[:, None]], dim=1).contiguous().numpy() + 0.0
    times: dict[bytes, int] = {}
    found = []
    for row in table:
        told = row.tobytes()
        times[told] = times.get(told, 0) + 1
        found.append(hashlib.blake2b(told + times[told].to_bytes(8, "little"), digest_size=16).digest())
    return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, 16)


def _since(before: AnyArray, since: IntArray, now: AnyArray, fresh: int) -> IntArray | None:
    """The first epoch [n] that knew each observation of now; None where one of before is gone."""
    known = {row.tobytes(): int(epoch) for row, epoch in zip(before, since, strict=True)}
    found = [known.pop(row.tobytes(), fresh) for row in now]
    return None if known else np.array(found, dtype=np.int64)


def _slacks(parts: Sequence[GaussianPosterior], since: IntArray, epochs: int) -> FloatArray | None:
    """c [E, K] of the module, from the data of each epoch to all. None where the covariance has no factor in this order."""
    order = np.argsort(since, kind="stable")
    counts = [int((since <= epoch).sum()) for epoch in range(epochs)]
    found = np.empty((epochs, len(parts)))
    for k, part in enumerate(parts):
        assert part.found is not None
        assert part.state is not None
        X, weights = part.X[order], part.state.weights[order]
        noise = (fitting.noise_diagonal(part.noise, part.found.noise) + part.state.jitter)[order]
        factor, info = torch.linalg.cholesky_ex(part.covariance.across(X, X) + torch.diag(noise))
        if int(info):
            return None
        for epoch, n in enumerate(counts):
            whole = float((factor[n:, n:].T @ weights[n:]).square().sum())
            noisy = float((noise[n:] * weights[n:].square()).sum())
            found[epoch, k] = np.sqrt(max(whole - noisy, 0.0) + SLIP * whole)
    return found
