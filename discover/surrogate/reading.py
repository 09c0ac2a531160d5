"""Observations made ready for a fit: on a scale, without gross errors, limits as limits. What was done is recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from discover.objective import Objective
from discover.protocols import FloatArray, IntArray, Training
from discover.surrogate.censored import Observed, as_values, tightest
from discover.surrogate.noise import choose_noise
from discover.surrogate.outliers import find_outliers
from discover.surrogate.shape import choose_shape, kept_shape
from discover.surrogate.transforms import Affine, Transform

GROWTH = 1.1
"""Scales are compared again when there are so many times the observations of the last comparison."""
LARGEST = 1_000
"""Observations up to which gross errors and uneven noise are looked for."""


@dataclass(frozen=True)
class Reader:
    """How observations are read. scale: as told, or one that the evidence finds better. outliers: all are kept, or
    those are left out that others contradict by the evidence. noise: all whose deviation is not stated are equally noisy, or
    as the evidence finds it, by their replicates or growing with the value."""

    scale: Literal["told", "evidence"] = "told"
    outliers: Literal["keep", "evidence"] = "evidence"
    noise: Literal["equal", "evidence"] = "equal"


@dataclass(frozen=True)
class Reading:
    """places [k]: of the n observations, those that enter the fit, ascending. told: these, on the scale of the fit, limits
    as limits. values: the same with pseudo-observations in the place of limits. record, memory: plain JSON."""

    places: IntArray
    transform: Transform
    told: Observed
    values: Observed
    record: dict[str, Any]
    memory: dict[str, Any]


def read(
    reader: Reader,
    X: FloatArray,
    training: Training,
    merit: FloatArray,
    ids: Mapping[int, str] | None = None,
    memory: Mapping[str, Any] | None = None,
) -> Reading:
    """X: [n, k] scaled features of the observations. merit [n]: how good each value is by the objective.

    ids: of candidates by row, for the record. memory: what the last reading left.
    """
    whole = Observed(X, training.values, np.square(training.stds), training.bounds)
    record: dict[str, Any] = {}
    transform, left = _scale(reader, whole, memory or {}, record)
    on_scale = _on(transform, whole)
    same = _alike(X, training.rows)
    keep = tightest(same, training.values, training.bounds)
    keep[_gross(reader, on_scale, training, same, merit, ids or {}, record)] = False
    places = np.flatnonzero(keep)
    told = _noisy(reader, on_scale.only(places), same[places], record)
    values, how = as_values(told)
    if how:
        record |= {"censored": int((training.bounds != 0).sum()), "censored_treatment": how}
        told = told if not values.measured.all() else values
    return Reading(places, transform, told, values, record, left)


def merits(objective: Objective, name: str, values: FloatArray) -> FloatArray:
    """How good values [n] of one outcome are by themselves, large is good; all alike where it is only constrained."""
    if name not in {target.name for target in objective.targets}:
        return np.zeros(len(values))
    found: FloatArray = objective.target(name).utility(torch.from_numpy(values)).numpy()
    return found


def _scale(
    reader: Reader, whole: Observed, memory: Mapping[str, Any], record: dict[str, Any]
) -> tuple[Transform, dict[str, Any]]:
    if reader.scale == "told" or not whole.measured.any():
        return Affine(), {}
    some = whole.only(whole.measured)
    limits = whole.values[~whole.measured]
    kept, before = memory.get("transform"), int(memory.get("compared_at", 0))
    if kept and len(some) < GROWTH * before and (same := kept_shape(kept, some.values, limits)) is not None:
        record["scale"] = same.title
        return same, {"transform": same.settings(), "compared_at": before}
    shape = choose_shape(some.X, some.values, some.noise, limits, kept)
    record.update(shape.record)
    if not shape.record:
        return Affine(), {}
    transform = Affine() if isinstance(shape.transform, Affine) else shape.transform
    return transform, {"transform": transform.settings(), "compared_at": len(some)}


def _on(transform: Transform, told: Observed) -> Observed:
    """The same observations on the scale of the transform; variances are carried over by its slope at each value."""
    if isinstance(transform, Affine):
        return told
    y = torch.from_numpy(np.ascontiguousarray(told.values))
    slope = transform.log_slope(y).exp().numpy()
    return replace(told, values=transform.apply(y).numpy(), noise=told.noise * slope**2)


def _alike(X: FloatArray, rows: IntArray) -> IntArray:
    """A number [n] for each observation, the same for those of one candidate under the same conditions: its replicates."""
    if len(np.unique(rows)) == len(rows):
        return rows
    _, found = np.unique(np.column_stack([rows, X]), axis=0, return_inverse=True)
    return found.reshape(-1).astype(np.int64)


def _noisy(reader: Reader, told: Observed, same: IntArray, record: dict[str, Any]) -> Observed:
    """The same observations, with variances as the evidence finds them; same [k]: see `_alike`."""
    measured = told.measured
    if reader.noise == "equal" or len(told) > LARGEST:
        return told
    found = choose_noise(told.X[measured], told.values[measured], told.noise[measured], same[measured])
    record.update(found.record)
    noise = told.noise.copy()
    noise[measured] = found.variances
    return replace(told, noise=noise)


def _gross(
    reader: Reader,
    told: Observed,
    training: Training,
    same: IntArray,
    merit: FloatArray,
    ids: Mapping[int, str],
    record: dict[str, Any],
) -> IntArray:
    """Positions of gross errors among the observations; they are written into the record."""
    nothing = np.array([], dtype=np.int64)
    measured = np.flatnonzero(told.measured)
    if reader.outliers == "keep" or len(measured) > LARGEST:
        return nothing
    some = told.only(measured)
    found = find_outliers(some.X, some.values, some.noise, same[measured], merit[measured])

    def named(positions: IntArray) -> list[dict[str, Any]]:
        rows = [(int(training.rows[i]), float(training.values[i])) for i in measured[positions]]
        return [{"candidate": ids.get(row, str(row)), "value": value} for row, value in rows]

    if len(found.positions):
        record["left_out"] = named(found.positions)
        record["left_out_gain"] = found.gain if math.isfinite(found.gain) else None
    if len(found.doubted):
        record["measure_again"] = named(found.doubted)
    return measured[found.positions]
