"""What the surrogate believes of candidates, in the pool or described by a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from discover.campaign.choosing import known_ids
from discover.campaign.tables import predicted_columns
from discover.candidates.pool import CandidatePool
from discover.features.build import Features
from discover.protocols import FloatArray, View


def predictions(view: View, pool: CandidatePool, candidates: str | Sequence[str] | pd.DataFrame) -> pd.DataFrame:
    """One row a candidate, with the mean and deviation of each noiseless target; NaN without observations.

    A frame is read by its ids where the pool knows them all, and otherwise by the columns that features are made from.
    """
    from discover.surrogate.predict import predict

    if isinstance(candidates, pd.DataFrame):
        frame, X = candidates.copy(), _features(view, pool, candidates)
    else:
        ids = known_ids(pool, candidates)
        frame, X = pd.DataFrame({pool.id: ids}), view.features.values[pool.rows(ids)]
    found = predict(view, X)
    for target, mean, std in predicted_columns(view.objective):
        frame[mean], frame[std] = found.get(target, (np.nan, np.nan))
    return frame


def _features(view: View, pool: CandidatePool, frame: pd.DataFrame) -> FloatArray:
    if pool.id in frame.columns and all(i in pool for i in frame[pool.id]):
        return view.features.values[pool.rows([str(i) for i in frame[pool.id]])]
    return Features.of(pool).transform(frame)
