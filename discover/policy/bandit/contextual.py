"""Contextual bandit: one model of conditions and substrates together, so that what is learned of one arm tells of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.kinds import typed
from discover.objective import Objective
from discover.policy.bandit.arms import check_objective, option_problems
from discover.policy.bandit.options import Options
from discover.policy.choice import beginners, checked_count, free_rows, rows_of, shortage, with_chosen
from discover.policy.ranges import DRAWS, TOGETHER, draws_problems, range_problems
from discover.protocols import View
from discover.values import Batch, FloatArray, Proposal

if TYPE_CHECKING:
    from discover.surrogate.belief import Belief


@dataclass(frozen=True)
@typed
class Contextual(Options):
    """Learn which arm is the best over its scope, by a Gaussian process over arms and scope and Thompson sampling.

    arms, scope, objective, threshold: as those of `bandit`. The features of the candidates should tell of both, as one-hot
    columns, descriptors or fingerprints of the conditions and of the substrates: then a ligand is known in part by its like,
    and a substrate that is hard is hard for all. model: evidence (sums and products over the blocks of features, mixed by
    how well they predict) or single.

    Until `start` candidates were observed they are drawn evenly. Then each next arm is the best over the scope in functions
    drawn from the belief: its probability is the share of `draws` in which it is. Of the arm that candidate is tried which
    takes most variance from the arm's mean, as if the earlier ones of the batch were known. cells: where there are more
    candidates than this, the belief is drawn on a part of the scope, which is drawn for each batch; at most 10,000.
    Candidates that gave nothing (infeasible) are no numbers to the model, and are left out. Krause and Ong, NeurIPS 2011;
    Wang et al., Nature 626, 1025 (2024) for arms over a scope.
    """

    def __post_init__(self) -> None:
        problems = option_problems(self.arms, self.scope, self.objective, self.threshold, None)
        problems += range_problems(self, {"start": (2, None), "draws": (16, DRAWS), "cells": (2, TOGETHER)})
        problems += draws_problems(self.draws, self.cells)
        if self.model not in ("single", "evidence"):
            problems.append(Problem("is single or evidence", column="model", value=self.model))
        if problems:
            raise InvalidInput("policy 'contextual'", problems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this policy reads as they stand."""
        return (*self.arms, *self.scope)

    def check(self, objective: Objective) -> None:
        """Raise Unsupported for an objective that is not one target without constraints."""
        check_objective(objective, "contextual")

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator)."""
        n = checked_count(n)
        self.check(view.objective)
        seen = len(np.unique(view.training[view.objective.names[0]].rows))
        begun = self._begun(view, max(0, min(n, self.start - seen)), seen, generator)
        if len(begun) == n or not len(free_rows(now := _after(view, begun))) or not seen:
            learned = {
                "policy": "contextual",
                "phase": "start",
                "verdict": f"no model yet: {seen} of {self.start} observations",
            }
            if not seen and len(begun) < n:  # nothing to fit at all: the whole batch begins
                begun += self._begun(_after(view, begun), n - len(begun), seen, generator, len(begun))
            return Batch(begun, learned, shortage(view, n, begun))
        from discover.policy.bandit.model import choose

        chosen, learned = choose(self, now, n - len(begun), len(begun), generator)
        proposals = (*begun, *chosen)
        return Batch(proposals, learned, shortage(view, n, proposals))

    def standing(self, view: View, generator: np.random.Generator | None = None) -> Any:
        """Where the arms stand, see `discover.policy.bandit.standing.Standing`. At least one observation is needed."""
        from discover.policy.bandit.model import ArmModel

        return ArmModel.of(self, view, generator or np.random.default_rng(0)).standing()

    def believe(self, view: View) -> Belief:
        """What this policy believes of a view's observations."""
        from discover.policy.bandit.model import surrogate_of
        from discover.surrogate.belief import belief

        return belief(view, surrogate_of(self.model), judge=False)

    def predict(self, view: View, X: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Mean [m] and standard deviation [m] of the target at raw features X [m, d], in its unit."""
        from discover.policy.bandit.model import surrogate_of
        from discover.surrogate.predict import predict

        return predict(view, X, surrogate_of(self.model))

    def _begun(
        self, view: View, n: int, seen: int, generator: np.random.Generator, before: int = 0
    ) -> tuple[Proposal, ...]:
        """The first ones: each drawn evenly from what may join the batch."""
        chosen: list[Proposal] = []
        rows, now = (beginners(view, n) if n else np.empty(0, dtype=np.int64)), view
        while len(chosen) < n and len(rows):
            row = int(generator.choice(rows))
            reason = (
                f"drawn evenly from {len(rows):,}; {seen} of the {self.start} observations that the model waits for"
            )
            rank = before + len(chosen) + 1
            proposal = Proposal(
                str(view.ids[row]), "contextual", reason, probability=1.0 / len(rows), rank=rank,
                details={"phase": "start"},
            )  # fmt: skip
            chosen.append(proposal)
            now = with_chosen(now, np.array([row]))
            rows = np.intersect1d(rows, free_rows(now), assume_unique=True)
        return tuple(chosen)


def _after(view: View, chosen: tuple[Proposal, ...]) -> View:
    return with_chosen(view, rows_of(view, chosen))
