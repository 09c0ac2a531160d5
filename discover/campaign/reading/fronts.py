"""What a campaign for several targets has found: its Pareto front, and the hypervolume below it as it grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from discover.campaign.reading.tables import best_frame, order_by_utility
from discover.objective import Objective
from discover.pareto import hypervolume, inferred_reference, on_front
from discover.values import FloatArray


@dataclass(frozen=True)
class Front:
    """Measured rows that keep the constraints, and which of them no other beats.

    rows: [n] of the observations. utilities: [n, k], by target, larger is better. member: [n]. reference: [k] utilities above
    which volume counts; empty where nothing was measured. hypervolume: in the product of the targets' units.
    """

    objective: Objective
    rows: pd.DataFrame
    utilities: FloatArray
    member: np.ndarray
    reference: FloatArray

    @property
    def hypervolume(self) -> float:
        """Above the reference; 0 where nothing was measured."""
        return self.volume_of(np.ones(len(self.rows), dtype=bool))

    def volume_of(self, some: np.ndarray) -> float:
        """The hypervolume of some of the rows [n]; 0 where there are none, and so no reference."""
        return hypervolume(self.utilities[some], self.reference) if some.any() else 0.0

    def grown(self, places: Sequence[int]) -> list[float]:
        """The hypervolume once rows up to each place of the observations (their index) were in."""
        index = self.rows.index.to_numpy()
        return [self.volume_of(index <= place) for place in places]

    def reference_values(self) -> dict[str, float]:
        """The reference by target, in its unit; for a target to be matched the distance from it."""
        turned = {t.name: 1.0 if t.direction == "maximize" else -1.0 for t in self.objective.targets}
        return {name: sign * float(u) for (name, sign), u in zip(turned.items(), self.reference, strict=False)}


def front_of(observations: pd.DataFrame, objective: Objective, given: Mapping[str, float] | None = None) -> Front:
    """The front of all that was measured. given: the reference by target, in its unit; inferred where it is not given.

    The rule for what is not given: `discover.pareto.inferred_reference`, over all that was measured so far. So that volumes of
    different times can be compared, take both from one front (`grown`).
    """
    rows = order_by_utility(observations, objective).sort_index()
    columns = [np.asarray(t.utility(rows[t.name].to_numpy(dtype=np.float64))) for t in objective.targets]
    utilities = np.stack(columns, axis=1) if len(rows) else np.zeros((0, len(columns)))
    if not len(rows):
        return Front(objective, rows, utilities, np.zeros(0, dtype=bool), np.zeros(0))
    reference = inferred_reference(utilities)
    for k, target in enumerate(objective.targets):
        if given and target.name in given:
            reference[k] = float(target.utility(np.float64(given[target.name])))
    return Front(objective, rows, utilities, on_front(utilities), reference)


def front_frame(front: Front, pool: Any) -> pd.DataFrame:
    """The front's candidates with their columns, by the first target; attrs: `hypervolume`, `reference`."""
    members = front.rows[front.member]
    frame = best_frame(members, front.objective, pool, len(members)).drop(columns="beaten_by", errors="ignore")
    first = front.objective.targets[0]
    if len(frame):
        order = np.argsort(-np.asarray(first.utility(frame[first.name].to_numpy(dtype=np.float64))), kind="stable")
        frame = frame.iloc[order].reset_index(drop=True)
    frame.attrs |= {"hypervolume": front.hypervolume, "reference": front.reference_values()}
    return frame


def with_volume(iterations: pd.DataFrame, observations: pd.DataFrame, front: Front) -> pd.DataFrame:
    """Iterations [n] with a further column `hypervolume`: once the batch was in, above one reference for all."""
    born = observations["iteration"].fillna(0).to_numpy(dtype=np.float64)
    rows = born[front.rows.index.to_numpy()]
    volumes = [front.volume_of(rows <= number) for number in iterations["iteration"]]
    return iterations.assign(hypervolume=np.array(volumes, dtype=np.float64))
