"""The model-based half of the Bayesian policy: from a view to a batch with its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.acquisition.batch import greedy_batch
from discover.acquisition.goal import Goal, to_tensors
from discover.acquisition.pool import Scores, incumbent, score
from discover.policy import words
from discover.policy.choice import free_rows
from discover.protocols import Batch, FloatArray, IntArray, Prediction, Proposal, View
from discover.surrogate.belief import Belief, belief
from discover.surrogate.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian import Bayesian

BASELINE = 100
"""Observed rows that compete in the joint draws: those with the best posterior means."""


@dataclass(frozen=True)
class Ranking:
    """The free rows [m] with their scores, beliefs and order. order: positions, best first; ties by row."""

    free: IntArray
    scores: Scores
    predicted: dict[str, tuple[FloatArray, FloatArray]]
    order: IntArray


def propose(policy: Bayesian, view: View, n: int, generator: np.random.Generator) -> Batch:
    """At most n proposals from the belief after the view's observations. At least one row must be free."""
    pool_seed, batch_seed = (int(s) for s in generator.integers(2**31, size=2))
    held = belief(view, policy.model())
    means = _observed_means(held, view)
    goal = Goal.of(view.objective, means, {name: p.standard.scale for name, p in held.posteriors.items()}, generator)
    best = incumbent(goal, means)
    ranking = _rank(view, held, goal, best, pool_seed)
    with one_thread():
        chosen = _choose(policy, view, held, goal, ranking, means, n, batch_seed)
    settings = _settings(policy, held, goal, best, ranking, (pool_seed, batch_seed))
    proposals = tuple(
        _proposal(view, goal, ranking, place, gain, settings, k) for k, (place, gain) in enumerate(chosen)
    )
    return Batch(proposals, _learned(held, settings))


def _observed_means(held: Belief, view: View) -> dict[str, Tensor]:
    """Posterior means [k] of every target at the observed rows."""
    return {
        name: torch.from_numpy(mean) for name, (mean, _) in held.predict(view.features.values[held.observed]).items()
    }


def _rank(view: View, held: Belief, goal: Goal, best: float | None, seed: int) -> Ranking:
    free = free_rows(view)
    predicted = held.predict(view.features.values[free])
    scores = score(goal, to_tensors(predicted), best, seed)
    order = np.argsort(-scores.values.numpy(), kind="stable")
    return Ranking(free, scores, predicted, order)


def _choose(
    policy: Bayesian,
    view: View,
    held: Belief,
    goal: Goal,
    ranking: Ranking,
    means: dict[str, Tensor],
    n: int,
    seed: int,
) -> list[tuple[int, float | None]]:
    """Positions among the free rows, with their joint gain; the best scores where a joint batch has nothing to add."""
    n = min(n, len(ranking.free))
    if not ranking.scores.joint:
        return [(int(place), None) for place in ranking.order[:n]]
    short = ranking.order[: policy.shortlist]
    leading = torch.argsort(-goal.utility(means), stable=True)[:BASELINE].numpy()
    baseline = np.concatenate([held.observed[np.sort(leading)], np.setdiff1d(view.pending, held.observed)])
    features = view.features.values
    picks = greedy_batch(
        goal,
        held.posteriors,
        held.scaled(features[ranking.free[short]]),
        held.scaled(features[baseline]),
        n,
        draws=policy.draws,
        seed=seed,
    )
    chosen: list[tuple[int, float | None]] = [(int(short[pick.position]), pick.value) for pick in picks]
    return chosen + [(int(place), None) for place in ranking.order[len(short) : len(short) + n - len(chosen)]]


def _proposal(
    view: View, goal: Goal, ranking: Ranking, place: int, gain: float | None, settings: dict[str, Any], number: int
) -> Proposal:
    predicted = {
        name: Prediction(float(mean[place]), float(std[place])) for name, (mean, std) in ranking.predicted.items()
    }
    value = float(ranking.scores.values[place])
    rank = int(np.flatnonzero(ranking.order == place)[0]) + 1
    reason = words.reason(view, predicted, rank, len(ranking.free), ranking.scores.kind, goal)
    details = {**settings, "place_in_batch": number + 1, "rank": rank, "of": len(ranking.free)}
    if gain is not None:
        details["log_joint_gain"] = gain
    acquisition = value if math.isfinite(value) else None
    return Proposal(str(view.ids[ranking.free[place]]), "bayesian", reason, None, predicted, acquisition, rank, details)


def _settings(
    policy: Bayesian, held: Belief, goal: Goal, best: float | None, ranking: Ranking, seeds: tuple[int, int]
) -> dict[str, Any]:
    """What made this batch, the same for all of its proposals; plain JSON."""
    body: dict[str, Any] = {
        "phase": "model",
        "score": ranking.scores.kind,
        "batch": "sequential greedy qLogNEI" if ranking.scores.joint else "best scores",
        "incumbent_utility": best,
        "shortlist": min(policy.shortlist, len(ranking.free)),
        "draws": policy.draws,
        "chunk": policy.chunk,
        "seeds": list(seeds),
        "models": {name: posterior.settings() for name, posterior in held.posteriors.items()},
        "threads": torch.get_num_threads(),
        "versions": words.versions(),
    }
    if goal.single is None:
        body["weights"] = dict(zip(goal.objective.names, goal.weights))
    return body


def _learned(held: Belief, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of the batch's belief; plain JSON. `memory` is what the next fit may start from."""
    verdicts = {name: diagnosis.verdict for name, diagnosis in held.diagnostics.items()}
    verdict = (
        next(iter(verdicts.values())) if len(verdicts) == 1 else "; ".join(f"{k}: {v}" for k, v in verdicts.items())
    )
    record = {key: value for key, value in settings.items() if key != "models"}
    return {
        "policy": "bayesian",
        **record,
        "targets": dict(held.learned),
        "verdict": verdict,
        "memory": {"surrogate": held.memory},
    }
