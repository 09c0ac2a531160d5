"""What the surrogate believes of candidates, in the pool or described by a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from discover.campaign.asking.choosing import known_ids
from discover.campaign.reading.tables import predicted_columns
from discover.candidates.space.points import Points, Pool
from discover.candidates.space.reading import describes, numbers_of_frame
from discover.features.build import Features
from discover.protocols import Policy, View
from discover.values import FloatArray

if TYPE_CHECKING:
    from discover.policy.outlook import Outlook

FEWEST = 3
"""Observations of a target without which there is no belief to stop by."""


def predictions(
    view: View, pool: Pool, candidates: str | Sequence[str] | pd.DataFrame, policy: Policy | None = None
) -> pd.DataFrame:
    """One row a candidate, with the mean and deviation of each noiseless target; NaN without observations.

    By the model of the policy, with all of its settings, where it has one. A frame is read by the columns that features are
    made from where it has them all, and otherwise by its ids.
    """
    if isinstance(candidates, pd.DataFrame):
        frame, X = candidates.copy(), _features(view, pool, candidates)
    else:
        ids = [candidates] if isinstance(candidates, str) or not isinstance(candidates, Iterable) else list(candidates)
        known_ids(pool, ids)
        frame, X = pd.DataFrame({pool.id: ids}), view.features.values[pool.rows(ids)]
    found = _predicted(view, policy, X)
    for target, mean, std in predicted_columns(view.objective):
        frame[mean], frame[std] = found.get(target, (np.nan, np.nan))
    return frame


def outlook_of(view: View, policy: Policy) -> Outlook | None:
    """What is believed of a view's candidates, by the policy's model where it has one; None where too little is known.

    A policy that waits for so many observations before it chooses by its model is not stopped by that model earlier.
    """
    start = getattr(policy, "start", 0)
    least = max(FEWEST, start) if isinstance(start, int) else FEWEST
    if min(len(np.unique(view.training[name].rows)) for name in view.objective.names) < least:
        return None
    from discover.policy.outlook import Held, Told
    from discover.surrogate.belief import belief

    if hasattr(policy, "predict") and not hasattr(policy, "believe"):
        return Told(_predicted(view, policy, view.features.values))
    held = policy.believe(view) if hasattr(policy, "believe") else belief(view, judge=False)
    return Held(view, held, view.cache if getattr(policy, "refit", 0.0) > 0 else None)


def _predicted(view: View, policy: Policy | None, X: FloatArray) -> Mapping[str, tuple[FloatArray, FloatArray]]:
    """Mean and deviation [m] of every target at raw features X [m, d]."""
    from discover.surrogate.predict import predict

    own = getattr(policy, "predict", None)
    found: Mapping[str, tuple[FloatArray, FloatArray]] = own(view, X) if own else predict(view, X)
    return found


def _features(view: View, pool: Pool, frame: pd.DataFrame) -> FloatArray:
    if isinstance(pool, Points):
        if not describes(pool.space, list(map(str, frame.columns))) and pool.id in frame.columns:
            known_ids(pool, frame[pool.id])
            return view.features.values[pool.rows(list(frame[pool.id]))]
        return pool.space.encode(numbers_of_frame(pool.space, frame))
    features = Features.of(pool)
    if pool.id in frame.columns and not set(features.requires) <= set(frame.columns):
        known_ids(pool, frame[pool.id])
        return view.features.values[pool.rows(list(frame[pool.id]))]
    return features.transform(frame)
