"""Policies against each other on a known table: paired seeds, and the exact random line beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover import registry
from discover.backtest.answers import Answers, answers_from_frame, ask_everything, single_target
from discover.backtest.loop import Retrospective, Trace
from discover.backtest.metrics import Scale, best_so_far, top_found, top_set
from discover.backtest.one_feature import OneFeature
from discover.backtest.outcome import Run, Study
from discover.backtest.parallel import play_all
from discover.backtest.random_line import random_line
from discover.campaign.terms import without_terms
from discover.errors import InvalidInput, Problem, nearest
from discover.objective import Objective, Target
from discover.policy.named import named_columns
from discover.protocols import Experiment, Policy
from discover.values import BoolArray, FeatureTable, FloatArray, Progress

if TYPE_CHECKING:
    import pandas as pd

    from discover.candidates.pool.pool import CandidatePool

PACKAGES = ("discover-loop", "numpy", "scipy", "torch", "botorch", "gpytorch")
TOP_PERCENT = 5.0


def run_study(
    pool: CandidatePool,
    objective: Objective,
    experiment: Experiment | pd.DataFrame | Answers,
    *,
    policies: Sequence[str] | Mapping[str, Policy] = ("bayesian", "random"),
    seeds: Sequence[int] = range(20),
    budget: int = 60,
    batch: int = 5,
    features: FeatureTable | None = None,
    cache: Path | None = None,
    processes: int = 1,
    name: str = "",
    progress: Progress | None = None,
) -> Study:
    """Play every policy with every seed on a pool whose answers are all known.

    experiment: a table (anything whose `run` costs nothing), or a frame with the pool's id, the target and optionally
    `status` and `reason`. policies: names ('bayesian', 'random', 'space-filling', 'one-feature', or a third party's), or
    names with policies. Seeds are paired: policies that begin alike begin with the same candidates. features: by default
    made from the pool's specification, with `cache` as the folder to keep them in. processes: worker processes; the
    result does not depend on their number. progress: called with (campaigns done, campaigns in all).
    """
    target = single_target(objective)
    chosen = dict(policies) if isinstance(policies, Mapping) else named_policies(policies)
    seeds = tuple(int(seed) for seed in seeds)
    _check(seeds, budget, batch, chosen, objective)
    answers = _answers(pool, objective, experiment)
    if features is None:
        from discover.features.build import feature_table

        features = feature_table(pool, cache)
    utilities = answers.utilities(objective)
    experiments = min(budget, len(pool))
    chance = random_line(utilities, experiments)
    scale, top = Scale.of(utilities), top_set(utilities, TOP_PERCENT)

    columns: dict[str, Any] = {}
    for policy in chosen.values():
        columns |= named_columns(policy, pool)
    table = Retrospective(objective, pool.ids, features, answers, columns)
    traces = play_all(table, chosen, seeds, budget=experiments, batch=batch, processes=processes, progress=progress)
    runs = tuple(_run(key, trace, pool.ids, utilities, scale, top, experiments) for key, trace in traces.items())
    facts = {
        "size": len(pool),
        "values": int(np.isfinite(utilities).sum()),
        "hash": pool.hash,
        "statuses": answers.counts(),
    }
    settings = _settings(chosen, features, target, budget)
    return Study(
        name, objective, tuple(chosen), seeds, experiments, batch, facts, scale, chance, runs, _versions(), settings
    )


def named_policies(names: Sequence[str], own: Mapping[str, Any] | None = None) -> dict[str, Policy]:
    """Policies by name. own: the settings of a campaign's policy, used where its kind is named; others have their defaults.
    Its terms (`batch`, `at_most`, `cost` …) are the campaign's, and no policy's.

    InvalidInput names every problem with the names: unknown ones, with the nearest, and those that are given twice.
    """
    known = {"one-feature", *registry.kinds(registry.POLICIES)}
    problems = [] if names else [Problem("needs at least one", way_out=nearest("", known))]
    problems += [
        Problem("unknown policy", value=name, way_out=nearest(name, known)) for name in names if name not in known
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [Problem("the same policy twice is the same campaigns twice", value=name) for name in twice]
    if problems:
        raise InvalidInput("policies", problems)
    own = without_terms(own or {})

    def made(name: str) -> Policy:
        if name == "one-feature":
            return OneFeature()
        policy: Policy = registry.configure(registry.POLICIES, own if own.get("kind") == name else {"kind": name})
        return policy

    return {name: made(name) for name in names}


def _run(
    key: tuple[str, int], trace: Trace, ids: Any, utilities: FloatArray, scale: Scale, top: BoolArray, experiments: int
) -> Run:
    rows = trace.rows
    best = best_so_far(utilities[rows], scale.worst)
    found = top_found(rows, top)
    if len(rows) < experiments:
        # A policy that stopped early keeps what it had.
        missing = (0, experiments - len(rows))
        best = np.pad(best, missing, mode="edge") if len(best) else np.full(experiments, scale.worst)
        found = np.pad(found, missing, mode="edge") if len(found) else np.zeros(experiments)
    return Run(*key, tuple(ids[rows].tolist()), best, scale.normalised(best), found, round(trace.seconds, 3))


def _answers(pool: CandidatePool, objective: Objective, experiment: Any) -> Answers:
    if isinstance(experiment, Answers):
        return experiment
    if isinstance(experiment, Experiment):
        return ask_everything(pool, objective, experiment)
    return answers_from_frame(pool, objective, experiment)


def _check(seeds: Sequence[int], budget: int, batch: int, policies: Mapping[str, Policy], objective: Objective) -> None:
    problems = []
    if not seeds:
        problems.append(Problem("needs at least one seed", column="seeds"))
    if len(set(seeds)) < len(seeds):
        problems.append(Problem("the same seed twice is the same run twice", column="seeds", value=list(seeds)))
    if budget < 1 or batch < 1:
        problems.append(Problem("budget and batch must be at least 1", value=(budget, batch)))
    if not policies:
        problems.append(
            Problem("needs at least one policy", column="policies", way_out="for example ['bayesian', 'random']")
        )
    if problems:
        raise InvalidInput("backtest", problems)
    for policy in policies.values():
        check = getattr(policy, "check", None)
        if callable(check):
            check(objective)


def _settings(policies: Mapping[str, Policy], features: FeatureTable, target: Target, budget: int) -> dict[str, Any]:
    """What the study was made with; plain JSON."""
    return {
        "policies": {name: repr(policy) for name, policy in policies.items()},
        "features": len(features.names),
        "features_hash": features.hash,
        "target": target.to_dict(),
        "top_percent": TOP_PERCENT,
        "budget_asked": budget,
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
