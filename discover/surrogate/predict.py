"""Predictions of a campaign, whatever its policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from discover.protocols import View
from discover.values import FloatArray

if TYPE_CHECKING:
    from discover.surrogate.evidence.evidence import Evidence
    from discover.surrogate.gaussian.process import GaussianProcess
    from discover.surrogate.targets.reading import Reader


def predict(
    view: View, X: FloatArray, model: GaussianProcess | Evidence | None = None, reader: Reader | None = None
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Fit on the view's observations and predict rows of raw features X [m, d].

    Returns by target the mean [m] and the standard deviation [m] of the noiseless target in its unit; NaN for a target
    without observations.
    """
    from discover.surrogate.belief import belief

    X = np.atleast_2d(np.asarray(X, dtype=np.float64))
    found = belief(view, model, reader=reader, judge=False).predict(X)
    nothing = np.full(len(X), np.nan)
    return {name: found.get(name, (nothing, nothing.copy())) for name in view.objective.names}
