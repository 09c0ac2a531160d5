"""What the model said before an experiment, against what the experiment then gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, spearmanr

from discover.values import FloatArray, IntArray

LEVELS: FloatArray = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class Beliefs:
    """Predictions made before [m], and what was found: candidates that a model had judged and that gave a value.

    mean, std, found: in the target's unit. iteration: batch that it was proposed in.
    """

    target: str
    unit: str
    ids: tuple[str, ...]
    iteration: IntArray
    mean: FloatArray
    std: FloatArray
    found: FloatArray

    def __len__(self) -> int:
        return len(self.found)

    @property
    def error(self) -> FloatArray:
        """Found minus predicted [m]."""
        return self.found - self.mean

    def coverage(self, levels: Sequence[float] | FloatArray = LEVELS) -> FloatArray:
        """Share of found values inside the central interval of each level, taking the prediction as normal."""
        half = norm.ppf((1 + np.asarray(levels, dtype=np.float64)) / 2)
        return np.mean(np.abs(self.error) <= half[:, None] * self.std, axis=1)

    def numbers(self) -> dict[str, float]:
        """Mean absolute error, mean error (found minus predicted), Spearman's rho, coverage of the 90 % interval."""
        if not len(self):
            return {}
        rho = (
            float(spearmanr(self.mean, self.found).statistic)
            if len(self) > 2 and np.ptp(self.mean) and np.ptp(self.found)
            else np.nan
        )
        return {
            "mae": float(np.mean(np.abs(self.error))),
            "bias": float(np.mean(self.error)),
            "spearman": rho,
            "coverage90": float(self.coverage([0.9])[0]),
        }


def beliefs(campaign: Any, target: str | None = None) -> Beliefs:
    """Every proposal of a campaign that had a prediction and was then measured, in the order of proposal."""
    objective = campaign.objective
    name = target or objective.names[0]
    suffix = "" if len(objective.targets) == 1 and name == objective.names[0] else f"_{name}"
    proposals = campaign.proposals
    observed = campaign.observations
    measured = observed[(observed["status"] == "measured") & observed["proposal_id"].notna() & observed[name].notna()]
    found = measured.groupby("proposal_id")[name].mean()
    both = proposals[proposals[f"predicted_mean{suffix}"].notna() & proposals["proposal_id"].isin(found.index)]
    return Beliefs(
        name,
        objective.units[name],
        tuple(both[campaign.pool.id].astype(str)),
        both["iteration"].to_numpy(dtype=np.int64),
        both[f"predicted_mean{suffix}"].to_numpy(dtype=np.float64),
        both[f"predicted_std{suffix}"].to_numpy(dtype=np.float64),
        found.loc[both["proposal_id"]].to_numpy(dtype=np.float64),
    )


def binomial_band(levels: FloatArray, n: int, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
    """Where the observed coverage of a perfectly calibrated model falls, with `n` independent trials."""
    from scipy.stats import binom

    tail = (1 - level) / 2
    return binom.ppf(tail, n, levels) / n, binom.ppf(1 - tail, n, levels) / n
