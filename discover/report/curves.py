"""The campaign's best so far, and beside it what pure chance and the best single feature would have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.backtest.answers import Answers
from discover.backtest.loop import Retrospective, play
from discover.backtest.metrics import Scale, area, best_so_far
from discover.backtest.one_feature import OneFeature, best_order
from discover.backtest.random_line import RandomLine, random_line
from discover.objective import Target
from discover.values import FloatArray, IntArray


@dataclass(frozen=True)
class Path:
    """The experiments of a campaign in the order in which they ended.

    rows: [k] positions in the pool. values: [k] in the target's unit, NaN for a failure. utilities: [k], larger is better,
    NaN where nothing counts. sizes: experiments of each batch. start: how many came before the first prediction.
    elsewhere: results that were told without a proposal; they are not on the path.
    """

    target: Target
    rows: IntArray
    values: FloatArray
    utilities: FloatArray
    sizes: tuple[int, ...]
    start: int
    elsewhere: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def best(self) -> FloatArray:
        """[k] utility of the best so far; NaN before the first value."""
        return _unfloored(best_so_far(self.utilities, -np.inf))


@dataclass(frozen=True)
class Comparison:
    """What the same number of experiments gives without a model; in utilities, larger is better.

    chance: exact random line. scale: 0 and 1 of the normalised curve. baseline: [k] best so far of the one-feature rule,
    from the campaign's own start. feature: what that rule ended with, in words. odds: chance that random choice does at
    least as well as the campaign did. area: of the campaign, of random (expected), of the baseline.
    """

    chance: RandomLine
    scale: Scale
    baseline: FloatArray
    feature: str
    odds: float
    area: dict[str, float]
    pool: int
    values: int


def path_of(campaign: Any, target: str | None = None) -> Path:
    """The campaign's own experiments; several values of one trial (replicates) are several experiments."""
    objective = campaign.objective
    name = target or objective.names[0]
    wanted = objective.target(name)
    observed = campaign.observations
    own = observed[observed["proposal_id"].notna()]
    values = own[name].to_numpy(dtype=np.float64)
    counts = (own["status"] == "measured").to_numpy() & np.isfinite(values)
    if objective.constraints:
        counts &= np.array(
            [objective.feasible(record) for record in own[list(objective.names)].to_dict("records")], dtype=bool
        )
    utilities = np.where(counts, np.asarray(wanted.utility(values), dtype=np.float64), np.nan)
    sizes = tuple(int(n) for n in own.groupby("iteration").size()) if len(own) else ()
    return Path(
        wanted,
        campaign.pool.rows(own[campaign.pool.id]),
        values,
        utilities,
        sizes,
        _started(campaign, own, name),
        len(observed) - len(own),
    )


def compare(campaign: Any, path: Path, answers: Answers, *, level: float = 0.9) -> Comparison:
    """The exact random line and the one-feature baseline over as many experiments as the campaign made.

    answers: what every candidate of the pool gives. The baseline begins with the campaign's own start (what was tried
    before the first prediction) and takes batches of the campaign's size.
    """
    utilities = answers.utilities(campaign.objective)
    chance = random_line(utilities, len(path), level=level)
    scale = Scale.of(utilities)
    rows = _baseline_rows(campaign, path, answers)
    baseline = best_so_far(utilities[rows], scale.worst)
    order = best_order(campaign.features.values, campaign.features.names, rows, utilities[rows])
    feature = (
        f"{order.name} (rank correlation {order.rho:+.2f} on {order.n} results)" if order else "none that correlates"
    )
    found = best_so_far(path.utilities, scale.worst)
    areas = {
        "campaign": area(scale.normalised(found)),
        "random": area(scale.normalised(chance.mean)),
        "baseline": area(scale.normalised(baseline)),
    }
    odds = _odds(utilities, found[-1], len(path))
    return Comparison(chance, scale, baseline, feature, odds, areas, len(answers), int(np.isfinite(utilities).sum()))


def in_unit(target: Target, utilities: FloatArray) -> FloatArray:
    """Utilities as the target's own values, where that is possible: the distance from it for a target to be matched."""
    return utilities if target.direction == "maximize" else -utilities


def _started(campaign: Any, own: Any, name: str) -> int:
    suffix = "" if len(campaign.objective.targets) == 1 else f"_{name}"
    proposals = campaign.proposals
    judged = set(proposals.loc[proposals[f"predicted_mean{suffix}"].notna(), "proposal_id"])
    with_model = [place for place, pid in enumerate(own["proposal_id"]) if pid in judged]
    return with_model[0] if with_model else len(own)


def _baseline_rows(campaign: Any, path: Path, answers: Answers) -> IntArray:
    table = Retrospective(campaign.objective, campaign.pool.ids, campaign.features, answers)
    begun = _distinct(path.rows[: path.start])
    batch = _usual(path.sizes)
    rule = OneFeature(start=0)
    trace = play(table, rule, seed=int(campaign.seed), budget=len(path), batch=batch, start=begun)
    rows = trace.rows
    return rows if len(rows) == len(path) else np.pad(rows, (0, len(path) - len(rows)), mode="edge")


def _distinct(rows: IntArray) -> IntArray:
    return np.array(list(dict.fromkeys(rows.tolist())), dtype=np.int64)


def _usual(sizes: Sequence[int]) -> int:
    return max(1, round(float(np.median(sizes)))) if len(sizes) else 1


def _odds(utilities: FloatArray, found: float, k: int) -> float:
    """Chance that k random draws hold at least one candidate as good as `found`; exact."""
    better = int(np.count_nonzero(np.nan_to_num(utilities, nan=-np.inf) >= found))
    total = len(utilities)
    miss = np.prod([max(0, total - better - i) / (total - i) for i in range(min(k, total))])
    return float(1 - miss)


def _unfloored(curve: FloatArray) -> FloatArray:
    return np.where(np.isfinite(curve), curve, np.nan)
