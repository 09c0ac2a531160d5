"""The picture of a backtest: mean curves of each policy over the seeds, beside the exact random line."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from discover.backtest.outcome import Study
from discover.report.figure import ROLES, Picture, picture, styled
from discover.values import FloatArray

_COLOURS = {"bayesian": ROLES["campaign"], "one-feature": ROLES["baseline"], "random": ROLES["muted"]}
_SPARE = ("#2e7d5b", "#7a4fa3", "#8a6d1f", "#a33b6f")


def study_curves(study: Study) -> Picture:
    """Normalised best so far (0: worst of the pool, 1: best), mean over seeds with its 95 % bootstrap band."""
    figure, axes = picture(6.4, 3.7, f"Normalised best so far: {'; '.join(study.verdicts())}.")
    x = study.chance.experiments
    spare = iter(_SPARE)
    with styled():
        axes.plot(x, study.scale.normalised(study.chance.mean), lw=1.6, ls=(0, (4, 2)), color=ROLES["chance"],
                  label="random choice, exact")  # fmt: skip
        for policy in study.policies:
            colour = _COLOURS.get(policy) or next(spare, ROLES["ink"])
            curves = np.array([run.normalised for run in study.of(policy)])
            low, high = _band(curves)
            axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
            axes.plot(x, curves.mean(axis=0), lw=2 if policy != "random" else 1.2, color=colour, label=policy)
        axes.set_xlim(1, len(x))
        axes.set_ylim(None, 1.0)
        axes.set_xlabel("experiments")
        axes.set_ylabel("best so far, 0 = worst, 1 = best of all")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        axes.legend(loc="lower right")
    return figure


def _band(curves: FloatArray, resamples: int = 2000) -> tuple[FloatArray, FloatArray]:
    """95 % percentile bootstrap band of the mean of curves [seeds, k]; no band for one seed."""
    n = len(curves)
    if n < 2:
        return curves[0], curves[0]
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    low, high = np.quantile(weights @ curves, [0.025, 0.975], axis=0)
    return low, high
