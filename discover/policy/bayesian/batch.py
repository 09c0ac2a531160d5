"""The model-based half of the Bayesian policy: from a view to a batch with its reasons."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.acquisition.batch import greedy_batch
from discover.acquisition.goal import Goal, moments
from discover.acquisition.hypervolume import greedy_front
from discover.acquisition.pool import Scores
from discover.acquisition.weights import Weights
from discover.errors import InvalidInput, Problem
from discover.pareto import beaten_by
from discover.policy import words
from discover.policy.bayesian.acquisitions import IMPROVING
from discover.policy.bayesian.believing import belief_of
from discover.policy.bayesian.failing import log_success, log_success_of, success
from discover.policy.bayesian.one_target import OneTarget
from discover.policy.bayesian.other_choice import BESIDE, beside, best_counts, other_choice
from discover.policy.bayesian.pool_search import marginals, scored, swept
from discover.policy.bayesian.scoring import Aim, matching, parts_at
from discover.policy.choice import free_rows
from discover.policy.limited import allowed_of, prices_of, together
from discover.policy.ranges import TOGETHER, draws_problems
from discover.policy.ranking import Chosen, Ranking, room
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.gaussian.threads import one_thread
from discover.surrogate.targets.transformed import scale_of
from discover.surrogate.targets.transforms import Affine
from discover.values import Batch, IntArray, Prediction, Proposal

if TYPE_CHECKING:
    from discover.acquisition.batch import Prices
    from discover.policy.bayesian.options import Options

BASELINE = 100
"""Observed rows that compete in the joint draws: those with the best posterior means."""


def propose(policy: Options, view: View, n: int, generator: np.random.Generator, held: Belief | None = None) -> Batch:
    """At most n proposals from the belief after the view's observations, which is fitted where it is not told. At least one
    row must be free."""
    _check_size(policy, view, n)
    pool_seed, batch_seed = (int(s) for s in generator.integers(2**31, size=2))
    if held is None:
        held = belief_of(policy, view, judge=True)
    aim = Aim.of(policy, view, held, generator)
    once = partial(_once, policy, held, aim, (pool_seed, batch_seed), generator)
    parts = together(view, n, once, per_cost=policy.per_cost)
    if not parts:
        return Batch(())
    settings = _settings(policy, held, aim, parts[0][0], (pool_seed, batch_seed))
    chosen = [(ranking, place, gain) for ranking, places in parts for place, gain in places]
    proposals = tuple(_proposal(view, aim.goal, *one, settings, k) for k, one in enumerate(chosen))
    return Batch(success(proposals, held, view), _learned(held, settings))


def _check_size(policy: Options, view: View, n: int) -> None:
    """InvalidInput for a batch whose candidates cannot be believed in jointly."""
    free = len(free_rows(view))
    together = min(room(policy.shortlist, min(n, free)), free)
    problems = list(draws_problems(policy.draws, together))
    if together > TOGETHER:
        hint = "ask for them in several batches"
        problems.append(Problem(f"at most {TOGETHER // 2:,} are chosen together", column="n", value=n, way_out=hint))
    if problems:
        raise InvalidInput("batch", problems)


def _once(
    policy: Options,
    held: Belief,
    aim: Aim,
    seeds: tuple[int, int],
    generator: np.random.Generator,
    view: View,
    n: int,
) -> tuple[Ranking, Chosen]:
    """The leading candidates of a view, and at most n of them that are chosen together."""
    if policy.acquisition not in IMPROVING and aim.best is not None:
        return other_choice(policy, view, held, aim.goal, aim.best, n, generator)
    ranking = _rank(policy, view, held, aim, seeds[0], n)
    if not ranking.joint and best_counts(view) and (gain := matching(aim)) is not None and aim.best is not None:
        case = OneTarget.of(policy, view, held, aim.goal, aim.best * aim.goal.spans[0])
        with one_thread():
            return replace(ranking, batch=BESIDE), beside(case, ranking, gain, n, seeds[1])
    with one_thread():
        return ranking, _choose(policy, view, held, aim, ranking, n, seeds[1])


def _rank(policy: Options, view: View, held: Belief, aim: Aim, seed: int, n: int) -> Ranking:
    """The leading free rows: by the exact score of every one, or by a search that comes to the same."""
    free, k = free_rows(view), room(policy.shortlist, n)
    costs, log_chance = view.limits.prices() if policy.per_cost else None, log_success_of(held, view)
    what = ", weighed by the probability of success" if log_chance is not None else ""
    what += " per cost" if costs is not None else ""
    if (found := swept(policy, view, held, aim.goal, aim.best, free, k, log_chance, costs)) is not None:
        return replace(found, kind=found.kind + what)

    def at(rows: IntArray) -> Scores:
        return aim.scores(held, seed, partial(parts_at, X=held.scaled(view.features.values[rows])))

    values, kind, joint = scored(free, at)
    values = values + Weights(log_chance, costs).at(free)
    order = np.argsort(-values, kind="stable")
    order = order[view.limits.spread(free[order], k, n)]
    told = marginals(held, view.features.values[free[order]])
    leading = {name: (mean.numpy(), std.numpy()) for name, (mean, std) in ((n, moments(p)) for n, p in told.items())}
    how = {"of": len(free), "bounds": False}
    return Ranking(free[order], values[order], leading, len(free), kind + what, joint, how)


def _choose(policy: Options, view: View, held: Belief, aim: Aim, ranking: Ranking, n: int, seed: int) -> Chosen:
    """Places in the ranking, with their joint gain; the best scores where a joint batch has nothing to add."""
    n = min(n, ranking.count)
    if not ranking.joint:
        return [(place, None) for place in view.limits.walk(ranking.rows, n)]
    short = ranking.rows
    # What was measured counts as it was read; only what is pending is still to be drawn.
    leading = _leading(aim) if aim.measured is None else np.empty(0, dtype=np.int64)
    baseline = np.concatenate([held.observed[np.sort(leading)], np.setdiff1d(view.pending, held.observed)])
    features = view.features.values
    known = aim.measured is not None and not len(baseline) and _in_closed_form(aim.goal, held)
    first = torch.from_numpy(ranking.values) if known else None
    greedy = partial(greedy_batch, to_keep=aim.best is None, floor=aim.measured, first=first)
    choose = greedy_front if aim.goal.reference and aim.best is not None else greedy
    picks = choose(
        aim.goal,
        held.posteriors,
        held.scaled(features[short]),
        held.scaled(features[baseline]),
        n,
        draws=policy.draws,
        seed=seed,
        allowed=allowed_of(view.limits, short),
        log_prices=_log_prices(policy, view, held, short),
    )
    return [(pick.position, pick.value) for pick in picks]


def _log_prices(policy: Options, view: View, held: Belief, short: IntArray) -> Prices | None:
    """The logarithm of what one success with each of some rows [m] costs, beside those that were picked."""
    prices, log_chance = prices_of(view, short, wanted=policy.per_cost), log_success(held, view, short)
    if prices is None:
        return None if log_chance is None else lambda picked: -log_chance
    return (
        (lambda picked: prices(picked).log() - log_chance)
        if log_chance is not None
        else lambda picked: prices(picked).log()
    )


def _in_closed_form(goal: Goal, held: Belief) -> bool:
    """Whether the score of a candidate is what it alone improves on a floor, and not what comes near to that."""
    plain = all(isinstance(scale_of(posterior), Affine) for posterior in held.posteriors.values())
    return plain and goal.single is not None and goal.single.direction != "match"


def _leading(aim: Aim) -> IntArray:
    """Places of the observed rows that compete: the best that keep the constraints, or those that fewest beat."""
    goal, means = aim.goal, aim.means
    broken = ~goal.feasible(means).numpy()
    worse = beaten_by(goal.above_reference(means).numpy()) if goal.reference else -goal.utility(means).numpy()
    return np.lexsort((worse, broken))[:BASELINE].astype(np.int64)


def _proposal(
    view: View, goal: Goal, ranking: Ranking, place: int, gain: float | None, settings: dict[str, Any], number: int
) -> Proposal:
    predicted = {
        name: Prediction(float(mean[place]), float(std[place])) for name, (mean, std) in ranking.predicted.items()
    }
    value, rank = float(ranking.values[place]), place + 1
    reason = words.reason(view, predicted, rank, ranking.count, ranking.kind, goal)
    details = {**settings, "place_in_batch": number + 1, "rank": rank, "of": ranking.count}
    if view.limits.costs is not None:
        details["cost"] = float(view.limits.costs[ranking.rows[place]])
    if gain is not None:
        details["log_joint_gain" if ranking.joint else "score_when_chosen"] = gain
    acquisition = value if math.isfinite(value) else None
    chance = None if ranking.probability is None else float(ranking.probability[place])
    return Proposal(
        str(view.ids[ranking.rows[place]]), "bayesian", reason, chance, predicted, acquisition, rank, details
    )


def _settings(policy: Options, held: Belief, aim: Aim, ranking: Ranking, seeds: tuple[int, int]) -> dict[str, Any]:
    """What made this batch, the same for all of its proposals; plain JSON."""
    body: dict[str, Any] = {
        "phase": "model",
        "score": ranking.kind,
        "batch": f"sequential greedy {_method(aim)}" if ranking.joint else ranking.batch,
        "sweep": ranking.sweep,
        "incumbent_utility": aim.best,
        "incumbent": "believed" if aim.measured is None else "measured",
        "shortlist": len(ranking.rows),
        "draws": policy.draws,
        "chunk": policy.chunk,
        "seeds": list(seeds),
        "models": {name: posterior.settings() for name, posterior in held.posteriors.items()},
        "threads": torch.get_num_threads(),
        "versions": words.versions(),
    }
    goal = aim.goal
    if goal.single is None:
        names = [target.name for target in goal.objective.targets]
        told = goal.reference or goal.weights
        body["reference_utilities" if goal.reference else "weights"] = dict(zip(names, told))
    return body


def _method(aim: Aim) -> str:
    if aim.best is None:
        return "probability that one keeps the constraints"
    if aim.goal.reference:
        return "qLogNEHVI"
    return "qLogNEI" if aim.measured is None else "qLogEI"


def _learned(held: Belief, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of the batch's belief; plain JSON. `memory` is what the next fit may start from."""
    verdicts = {name: diagnosis.verdict for name, diagnosis in held.diagnostics.items()}
    verdict = (
        next(iter(verdicts.values())) if len(verdicts) == 1 else "; ".join(f"{k}: {v}" for k, v in verdicts.items())
    )
    record = {key: value for key, value in settings.items() if key != "models"}
    told = {}
    if held.feasibility is not None:
        told = {"feasibility": dict(held.feasibility.record)}
        verdict = "; ".join([verdict, *held.feasibility.words])
    return {
        "policy": "bayesian",
        **record,
        **told,
        "targets": dict(held.learned),
        "verdict": verdict,
        "memory": {"surrogate": held.memory},
    }
