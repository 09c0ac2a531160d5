"""What a surrogate of many observations is worth: some candidates, each predicted from its neighbours among all others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.diagnostics import ENOUGH, LeaveOneOut, groups_of, judged
from discover.surrogate.gaussian.local import LocalPosterior
from discover.surrogate.gaussian.threads import one_thread
from discover.values import BoolArray, IntArray

if TYPE_CHECKING:
    from discover.surrogate.gaussian.posterior import GaussianPosterior

JUDGED = 1000
"""Candidates that are predicted, evenly taken."""


def leave_some_out(
    posterior: GaussianPosterior, rows: IntArray, seen: IntArray, measured: BoolArray | None = None
) -> LeaveOneOut:
    """Some candidates, each predicted from others alone, by hyperparameters that have not seen it.

    rows: [n], the candidate of each observation. seen: positions of the observations that the hyperparameters were fitted
    to; candidates without these are judged, for which nothing needs to be fitted anew, unless there are too few of them.
    measured: [n], those that are judged, see `leave_one_out`.
    Predictions are made from neighbours (see `local`), which for an exact posterior is a little less than it knows.
    """
    unseen = np.setdiff1d(rows, rows[seen])
    offered = unseen if len(unseen) >= 10 * ENOUGH else np.unique(rows)
    taken = offered[fitting.evenly(len(offered), JUDGED)]
    some = torch.from_numpy(np.flatnonzero(np.isin(rows, taken)))
    own = torch.from_numpy(rows)
    with one_thread():
        mean, variance = local(posterior).from_others(posterior.X[some], own[some], own)
    noise = local(posterior).relative_noise[some]
    part = replace(posterior, X=posterior.X[some], y=posterior.y[some], noise=posterior.noise[some])
    told = None if measured is None else measured[some.numpy()]
    return judged(part, groups_of(rows[some.numpy()]), [(mean, variance + noise)], (1.0,), told)


def local(posterior: GaussianPosterior) -> LocalPosterior:
    """The same belief, by neighbours."""
    if isinstance(posterior, LocalPosterior):
        return posterior
    assert posterior.state is not None
    return LocalPosterior(
        posterior.X,
        posterior.y,
        posterior.standard,
        posterior.noise,
        posterior.found,
        None,
        posterior.chunk,
        posterior.notes,
        posterior.form,
        constant=posterior.state.mean,
    )
