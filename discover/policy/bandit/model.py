"""The belief of a contextual bandit, drawn over arms and scope together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from discover.policy.bandit.arms import Arms, Reward
from discover.policy.bandit.options import Options
from discover.policy.bandit.rules import shares_best
from discover.policy.bandit.standing import Standing
from discover.policy.choice import beginners, free_rows, rows_of, with_chosen
from discover.protocols import View
from discover.surrogate.belief import Belief, belief
from discover.values import FloatArray, IntArray, Prediction, Proposal

if TYPE_CHECKING:
    from discover.surrogate.evidence.evidence import Evidence
    from discover.surrogate.gaussian.process import GaussianProcess


def surrogate_of(model: Literal["single", "evidence"]) -> GaussianProcess | Evidence:
    """The surrogate by its name."""
    from discover.surrogate.evidence.evidence import Evidence
    from discover.surrogate.gaussian.process import GaussianProcess

    return Evidence() if model == "evidence" else GaussianProcess()


@dataclass(frozen=True)
class ArmModel:
    """The belief about arms and scope. rows: [c], the cells that it was drawn on. cov: [c, c], of what they give. noise:
    variance of an observation. worth: [draws, A], what each arm is worth over the scope in each draw, turned so that high
    is good.
    """

    policy: Options
    view: View
    arms: Arms
    held: Belief
    rows: IntArray
    cov: FloatArray
    noise: float
    worth: FloatArray

    @classmethod
    def of(cls, policy: Options, view: View, generator: np.random.Generator) -> ArmModel:
        """Fitted to the view's observations, of which there must be one."""
        arms = Arms.of(view, policy.arms, policy.scope)
        target = view.objective.targets[0]
        held = belief(view, surrogate_of(policy.model), judge=False)
        rows = _cells(arms, policy.cells, generator)
        posterior = held.posteriors[target.name]
        X = held.scaled(view.features.values[rows])
        cov = posterior.joint(X)[1].numpy()
        drawn = np.asarray(target.utility(posterior.sample(X, policy.draws, generator).numpy()))
        worth = _worth(policy, drawn, arms.arm[rows], len(arms.names), target.utility(policy.threshold or 0.0))
        return cls(policy, view, arms, held, rows, cov, float(posterior.noise_variance), worth)

    def conditioned(self, cov: FloatArray, place: int) -> FloatArray:
        """The covariance once one of the cells is observed."""
        column = cov[:, place]
        return cov - np.outer(column, column) / max(cov[place, place] + self.noise, 1e-300)

    def standing(self) -> Standing:
        """Where the arms stand."""
        target = self.view.objective.targets[0]
        tried = np.bincount(self.arms.arm[self.held.observed], minlength=len(self.arms.names)).astype(np.float64)
        every = np.ones(len(tried), dtype=bool)
        reward = Reward(0.0, 1.0, None, "the outcome itself")
        return Standing(
            self.arms, reward, self.policy.objective, target, tried, self.worth.mean(axis=0), self.worth.std(axis=0),
            shares_best(self.worth, every), ~every,
        )  # fmt: skip


def choose(
    policy: Options, view: View, n: int, before: int, generator: np.random.Generator
) -> tuple[tuple[Proposal, ...], dict[str, Any]]:
    """At most n proposals after `before` others of the batch, and what was learned."""
    model = ArmModel.of(policy, view, generator)
    arms, cov = model.arms, model.cov
    place_of = {int(row): place for place, row in enumerate(model.rows)}
    for row in np.setdiff1d(view.pending, model.held.observed):
        if int(row) in place_of:
            cov = model.conditioned(cov, place_of[int(row)])
    chosen: list[Proposal] = []
    rows, now = beginners(view, n), view
    while len(chosen) < n and len(rows):
        open_ = np.bincount(arms.arm[rows], minlength=len(arms.names)) > 0
        odds = shares_best(model.worth, open_)
        arm = int(generator.choice(len(odds), p=odds))
        row, gain, chance = _telling(model, cov, rows[arms.arm[rows] == arm], arm, place_of, generator)
        proposal = _proposal(model, row, arm, odds, gain, chance, before + len(chosen) + 1)
        chosen.append(proposal)
        if row in place_of:
            cov = model.conditioned(cov, place_of[row])
        now = with_chosen(now, np.array([row]))
        rows = np.intersect1d(rows, free_rows(now), assume_unique=True)
    return _with_predictions(model, chosen), _learned(model)


def _cells(arms: Arms, most: int, generator: np.random.Generator) -> IntArray:
    """All rows, or those of so many members of the scope, drawn evenly, that they are about `most`; ascending."""
    n = len(arms.arm)
    if n <= most:
        return np.arange(n, dtype=np.int64)
    members = len(arms.substrates)
    if members == 1:  # without a scope: as many of each arm
        share = max(1, most // len(arms.names))
        parts = [generator.permutation(np.flatnonzero(arms.arm == arm))[:share] for arm in range(len(arms.names))]
        return np.sort(np.concatenate(parts)).astype(np.int64)
    kept = generator.permutation(members)[: max(1, most * members // n)]
    found = np.flatnonzero(np.isin(arms.scope, kept))
    absent = np.setdiff1d(np.arange(len(arms.names)), arms.arm[found])  # an arm that was never on these
    more = [int(generator.choice(np.flatnonzero(arms.arm == arm))) for arm in absent]
    return np.sort(np.concatenate([found, np.array(more, dtype=np.int64)])).astype(np.int64)


def _worth(policy: Options, drawn: FloatArray, arm: IntArray, count: int, threshold: float) -> FloatArray:
    """Turned outcomes in draws [draws, c] to what arms are worth in them [draws, A]."""
    if policy.objective == "minimum":
        least = np.full((count, len(drawn)), np.inf)
        np.minimum.at(least, arm, drawn.T)
        return least.T
    if policy.objective == "fraction-above":
        drawn = (drawn >= threshold).astype(np.float64)
    average = np.zeros((drawn.shape[1], count))
    average[np.arange(len(arm)), arm] = 1.0
    return np.asarray(drawn @ (average / average.sum(axis=0)))


def _telling(
    model: ArmModel, cov: FloatArray, rows: IntArray, arm: int, place_of: dict[int, int], generator: np.random.Generator
) -> tuple[int, float | None, float]:
    """The free row of an arm that takes most variance from the arm's mean, by how much, and its probability."""
    places = np.array([place_of[int(row)] for row in rows if int(row) in place_of], dtype=np.int64)
    if not len(places):  # the scope was drawn in part, and of that part nothing is free
        return int(generator.choice(rows)), None, 1.0 / len(rows)
    cells = np.flatnonzero(model.arms.arm[model.rows] == arm)
    shared = cov[np.ix_(places, cells)].mean(axis=1)
    gains = np.square(shared) / np.maximum(cov[places, places] + model.noise, 1e-300)
    best = int(gains.argmax())
    return int(model.rows[places[best]]), float(gains[best]), 1.0


def _proposal(
    model: ArmModel, row: int, arm: int, odds: FloatArray, gain: float | None, chance: float, rank: int
) -> Proposal:
    name, member = model.arms.names[arm], model.arms.substrates[int(model.arms.scope[row])]
    on = f" on {member}, which tells most about it" if member else ""
    share = float(odds[arm])
    details: dict[str, Any] = {"arm": name, "scope": member, "arm_probability": share, "phase": "model"}
    details["all_arms"] = bool((odds > 0).all())
    if gain is not None:
        details["variance_taken"] = gain
    reason = f"{name} is the best over the scope in {share:.0%} of the draws{on}"
    return Proposal(
        str(model.view.ids[row]), "contextual", reason, probability=share * chance, acquisition=gain, rank=rank,
        details=details,
    )  # fmt: skip


def _with_predictions(model: ArmModel, chosen: list[Proposal]) -> tuple[Proposal, ...]:
    rows = rows_of(model.view, chosen)
    if not len(rows):
        return ()
    told = model.held.predict(model.view.features.values[rows])
    return tuple(
        replace(p, predicted={t: Prediction(float(m[k]), float(max(s[k], 1e-12))) for t, (m, s) in told.items()})
        for k, p in enumerate(chosen)
    )


def _learned(model: ArmModel) -> dict[str, Any]:
    """The record; plain JSON. `memory` is what the next fit may start from."""
    standing = model.standing().learned()
    drawn = {"cells": len(model.rows), "of": len(model.view.ids), "draws": model.policy.draws}
    nothing = len(np.setdiff1d(model.view.infeasible, model.held.observed))
    return {
        "policy": "contextual",
        "phase": "model",
        **{key: value for key, value in standing.items() if key != "reward"},
        "drawn_on": drawn,
        **({"infeasible_left_out": nothing} if nothing else {}),
        "targets": dict(model.held.learned),
        "memory": {"surrogate": model.held.memory},
    }
