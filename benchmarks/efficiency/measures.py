"""What a run was worth, and what chance is worth from the same starts.

Utilities are larger-is-better and those of the whole pool are known. Definitions are those of `discover.backtest.metrics`:

- **area** under the normalised best-so-far curve over all experiments of the run, the starts included;
- experiments **to the best** of the pool, and **to the top 1 %** and **5 %** (any of it); one more than the horizon where a
  run did not get there, so that their means are lower bounds, and the share of runs that did is shown beside them;
- **found**: of the best 5 % of the pool, the share that was tried; **EF** = that over the share of the pool that was tried;
- **AF** = experiments that chance needs for the level it reaches at the horizon, over those of the peer, both by first
  crossing of the mean curves.

Chance is exact: after the same starts, the expectation over all orders of the other candidates. The best so far is
`discover.backtest.random_line` over them, with the best start as its floor; the first hit among m of R candidates comes
after j draws with the chance C(R - m, j) / C(R, j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.backtest.metrics import Scale, area, best_so_far, top_found, top_set
from discover.backtest.random_line import random_line
from discover.values import BoolArray, FloatArray, IntArray

NUMBERS = (
    "area",
    "to_best",
    "reached_best",
    "to_top",
    "reached_top",
    "to_five",
    "reached_five",
    "found",
    "enhancement",
)


@dataclass(frozen=True)
class Worth:
    """The measures of one run; those of chance are expectations. curve: [horizon], normalised best so far."""

    area: float
    to_best: float
    reached_best: float
    to_top: float
    reached_top: float
    to_five: float
    reached_five: float
    found: float
    enhancement: float
    curve: FloatArray


@dataclass(frozen=True)
class Scene:
    """What measures need of a pool: utilities [N], and what follows from them."""

    utilities: FloatArray
    horizon: int
    scale: Scale
    best: BoolArray
    top1: BoolArray
    top5: BoolArray

    @classmethod
    def of(cls, utilities: FloatArray, horizon: int) -> Scene:
        """From the utilities of the whole pool, all finite."""
        best = utilities == utilities.max()
        return cls(utilities, horizon, Scale.of(utilities), best, top_set(utilities, 1.0), top_set(utilities, 5.0))

    def played(self, record: dict[str, Any]) -> Worth:
        """Of a run. One that ended early keeps what it had: late and failed runs are scored, not left out."""
        return self.worth(record["rows"])

    def worth(self, rows: Sequence[int]) -> Worth:
        """Of rows [k] in the order they were tried, k at most the horizon."""
        tried = np.asarray(rows, dtype=np.int64)
        missing = (0, self.horizon - len(tried))
        curve = self.scale.normalised(best_so_far(self.utilities[tried], self.scale.worst))
        curve = np.pad(curve, missing, mode="edge")
        found = float(top_found(tried, self.top5)[-1])
        return self._made(curve, found, *(self._reached(wanted[tried]) for wanted in self._goals))

    def chance(self, starts: Sequence[int] | IntArray) -> Worth:
        """Of random choice after the same starts, in expectation."""
        begun = np.asarray(starts, dtype=np.int64)
        rest = np.delete(np.arange(len(self.utilities)), begun)
        draws = self.horizon - len(begun)
        first = best_so_far(self.utilities[begun], self.scale.worst)
        later = random_line(self.utilities[rest], draws, floor=float(first[-1])).mean if draws else np.empty(0)
        curve = self.scale.normalised(np.concatenate([first, later]))
        hits = np.count_nonzero(self.top5[begun]) + np.count_nonzero(self.top5[rest]) * draws / max(1, len(rest))
        found = hits / np.count_nonzero(self.top5)
        return self._made(curve, found, *(self._expected(wanted, begun, rest) for wanted in self._goals))

    def foresight(self, starts: Sequence[int] | IntArray) -> Worth:
        """Of one that knows the answers and tries a best candidate first after the same starts: no policy reaches it sooner."""
        begun = [int(row) for row in starts]
        best = int(self.utilities.argmax())
        return self.worth(begun if best in begun else [*begun, best][: self.horizon])

    @property
    def _goals(self) -> tuple[BoolArray, BoolArray, BoolArray]:
        return self.best, self.top1, self.top5

    def _made(self, curve: FloatArray, found: float, *goals: tuple[float, float]) -> Worth:
        """goals: of the best, the top 1 % and the top 5 %, experiments to it and the chance to have got there."""
        enhancement = found / (self.horizon / len(self.utilities))
        return Worth(area(curve), *(number for goal in goals for number in goal), found, enhancement, curve)

    def _reached(self, hits: BoolArray) -> tuple[float, float]:
        first = self._first(hits)
        return first, float(first <= self.horizon)

    def _first(self, hits: BoolArray) -> float:
        places = np.flatnonzero(hits)
        return float(places[0] + 1) if len(places) else float(self.horizon + 1)

    def _expected(self, wanted: BoolArray, begun: IntArray, rest: IntArray) -> tuple[float, float]:
        """Experiments to the first hit, at most one more than the horizon; and the chance of a hit."""
        if wanted[begun].any():
            return self._first(wanted[begun]), 1.0
        draws = self.horizon - len(begun)
        none = no_hit(len(rest), int(np.count_nonzero(wanted[rest])), draws)
        return len(begun) + float(none.sum()), 1.0 - float(none[-1])


def no_hit(size: int, hits: int, draws: int) -> FloatArray:
    """[draws + 1] chance of no hit in 0, 1, … draws without replacement from `size`, of which `hits` are hits."""
    j = np.arange(draws)
    factors = np.clip((size - hits - j) / np.maximum(size - j, 1), 0.0, 1.0)
    return np.concatenate([[1.0], np.cumprod(factors)])
