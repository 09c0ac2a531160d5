"""Observations made ready for a fit: on a scale, without gross errors, limits as limits. What was done is recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from discover.objective import Objective
from discover.surrogate.targets.censored import Observed, as_values, tightest
from discover.surrogate.targets.noise import choose_noise
from discover.surrogate.targets.outliers import find_outliers
from discover.surrogate.targets.shape import choose_shape, kept_shape
from discover.surrogate.targets.transforms import Affine, Transform
from discover.values import FloatArray, IntArray, Training

GROWTH = 1.1
"""Scales are compared again when there are so many times the observations of the last comparison."""
LARGEST = 1_000
"""Observations up to which gross errors and uneven noise are looked for. Gross errors that were found stay out beyond that."""
GROSS = ("left_out", "measure_again")
"""What a memory keeps of gross errors: those that were left out, and those that only replicates can overrule."""


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
    whole = _whole(X, training)
    record: dict[str, Any] = {}
    transform, left = _scale(reader, whole, memory or {}, record)
    on_scale = _on(transform, whole)
    same = _alike(X, training.rows)
    out = _gross(reader, on_scale, training, same, merit, ids or {}, memory or {}, record)
    left |= {name: record[name] for name in GROSS if name in record}
    return _without(reader, on_scale, training, same, transform, out, record, left)


def read_as_before(
    reader: Reader, X: FloatArray, training: Training, ids: Mapping[int, str], memory: Mapping[str, Any]
) -> Reading | None:
    """More observations on the scale of the last reading and without its gross errors; nothing is looked for anew.

    What follows from an unchanged prior, such as bounds that are carried from one iteration to the next, holds on an
    unchanged reading alone. None where the scale does not hold the new observations, or a gross error is no longer told.
    """
    whole = _whole(X, training)
    record: dict[str, Any] = {}
    transform: Transform = Affine()
    if "transform" in memory:
        measured = whole.only(whole.measured)
        known = kept_shape(memory["transform"], measured.values, whole.values[~whole.measured])
        if known is None:
            return None
        transform, record["scale"] = known, known.title
    out = _found_again(memory.get("left_out", ()), training, ids)
    if out is None:
        return None
    record |= {name: memory[name] for name in GROSS if name in memory}
    return _without(
        reader, _on(transform, whole), training, _alike(X, training.rows), transform, out, record, dict(memory)
    )


def _whole(X: FloatArray, training: Training) -> Observed:
    return Observed(X, training.values, np.square(training.stds), training.bounds)


def _without(
    reader: Reader,
    on_scale: Observed,
    training: Training,
    same: IntArray,
    transform: Transform,
    out: IntArray,
    record: dict[str, Any],
    left: dict[str, Any],
) -> Reading:
    """The reading of observations on their scale, without those at some positions."""
    keep = tightest(same, training.values, training.bounds)
    keep[out] = False
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
    memory: Mapping[str, Any],
    record: dict[str, Any],
) -> IntArray:
    """Positions of gross errors among the observations; they are written into the record."""
    measured = np.flatnonzero(told.measured)
    if reader.outliers == "keep":
        return np.array([], dtype=np.int64)
    if len(measured) > LARGEST:
        known = _found_again(memory.get("left_out", ()), training, ids, all_of_them=False)
        assert known is not None
        if len(known):
            record["left_out"] = [_named(training, ids, place) for place in known]
        return known
    some = told.only(measured)
    found = find_outliers(some.X, some.values, some.noise, same[measured], merit[measured])

    if len(found.positions):
        record["left_out"] = [_named(training, ids, place) for place in measured[found.positions]]
        record["left_out_gain"] = found.gain if math.isfinite(found.gain) else None
    if len(found.doubted):
        record["measure_again"] = [_named(training, ids, place) for place in measured[found.doubted]]
    return measured[found.positions]


def _named(training: Training, ids: Mapping[int, str], place: int) -> dict[str, Any]:
    row = int(training.rows[place])
    return {"candidate": ids.get(row, str(row)), "value": float(training.values[place])}


def _found_again(
    named: Sequence[Mapping[str, Any]], training: Training, ids: Mapping[int, str], *, all_of_them: bool = True
) -> IntArray | None:
    """Positions of observations that were named, ascending; None where one is gone, if all of them are to be there."""
    if not named:
        return np.array([], dtype=np.int64)
    places: dict[tuple[str, float], list[int]] = {}
    for place in range(len(training) - 1, -1, -1):
        known = _named(training, ids, place)
        places.setdefault((known["candidate"], known["value"]), []).append(place)
    left = [places.get((one["candidate"], one["value"]), []) for one in named]
    found = [options.pop() for options in left if options]
    if all_of_them and len(found) < len(named):
        return None
    return np.array(sorted(found), dtype=np.int64)
