"""One case of `scale.py` in a process of its own: who, on which table, with how many observations; prints JSON.

Runs in the environment of whoever is measured, so everything of theirs is imported where it is used.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scale_task import BATCH, Clock, Peak, Task, load

CHUNK = 2048


def ours(task: Task) -> dict[str, Any]:
    """Cold: fit, judgement, search, joint batch. Next: after 8 more results, hyperparameters kept; and once more after that."""
    from discover.policy.bayesian import Bayesian
    from discover.surrogate.belief import belief

    policy = Bayesian(refit=0.1)
    warm = np.random.default_rng(0).normal(size=(200, task.X.shape[1]))
    policy.propose(_view(warm, np.arange(20), warm[:20, 0], {}, None), BATCH, np.random.default_rng(0))  # imports, once
    with tempfile.TemporaryDirectory() as cache, Peak() as peak:
        view = _view(task.X, task.known, task.answers(task.known), {}, Path(cache))
        with Clock() as fitting:
            held = belief(view, policy.surrogate())
        found = fitting.told("fit_and_judge")
        known, memory = task.known, {}
        for name in ("cold", "next", "third"):
            view = replace(_view(task.X, known, task.answers(known), memory, Path(cache)))
            with Clock() as clock:
                batch = policy.propose(view, BATCH, np.random.default_rng(0))
            found |= clock.told(name)
            memory = dict(batch.learned["memory"])
            known = np.sort(np.concatenate([known, [int(p.candidate_id[4:]) for p in batch]]))
    found["search"] = max(0.0, found["cold"] - found["fit_and_judge"])
    found["search_cpu"] = max(0.0, found["cold_cpu"] - found["fit_and_judge_cpu"])
    if len(task.known) <= type(policy.surrogate()).exact:
        found |= _same_answer(held, task)
    return found | {"memory_mb": peak.most, "sweep": batch.learned["sweep"]}


def _view(X: Any, known: Any, y: Any, memory: dict[str, Any], cache: Path | None) -> Any:
    from discover.objective import Objective
    from discover.protocols import View
    from discover.values import FeatureTable, Training

    blocked = np.zeros(len(X), dtype=bool)
    blocked[known] = True
    nothing = np.array([], dtype=np.int64)
    training = Training(known, y, np.full(len(known), np.nan), np.zeros(len(known), dtype=np.int64))
    return View(
        objective=Objective("y"), ids=np.array([f"row-{i:08d}" for i in range(len(X))]),
        features=FeatureTable(tuple(f"f{k}" for k in range(X.shape[1])), X, f"made up {X.shape}"),
        training={"y": training}, blocked=blocked, pending=nothing, infeasible=nothing, memory=memory, cache=cache,
    )  # fmt: skip


def _same_answer(held: Any, task: Task) -> dict[str, Any]:
    """Whether the best eight of the search are those of the exact scores of every one of the first rows."""
    from discover.acquisition.bounded import Improvement
    from discover.acquisition.sweep import PoolRows, best_rows

    posterior, some = held.posteriors["y"], min(len(task.X), 20_000)
    score = Improvement(float(posterior.mean_variance(posterior.X)[0].max()))
    pool = PoolRows(np.asarray(task.X[:some]), held.scaling, np.zeros(some, dtype=bool))
    means, deviations = (a[None] for a in posterior.mean_deviation(pool.scaled(np.arange(some))))
    exact = np.argsort(-score(means, deviations, means.new_ones(1)).numpy(), kind="stable")[:BATCH]
    found = best_rows(posterior, pool, BATCH, score)
    return {"same_as_exhaustive_on_20000": set(exact.tolist()) == set(found.rows.tolist())}


def botorch(task: Task) -> dict[str, Any]:
    """Its log expected improvement over the whole pool in joint chunks, its fast way, under our hyperparameters; no batch."""
    import torch
    from botorch.acquisition.analytic import _log_ei_helper

    from discover.policy.bayesian import Bayesian
    from discover.surrogate.belief import belief

    held = belief(_view(task.X, task.known, task.answers(task.known), {}, None), Bayesian().surrogate(), judge=False)
    posterior = held.posteriors["y"]
    model = posterior.model()
    best = posterior.mean_variance(posterior.X)[0].max()
    with torch.no_grad(), Peak() as peak, Clock() as clock:
        for i in range(0, len(task.X), CHUNK):
            told = model.posterior(held.scaled(task.X[i : i + CHUNK]))
            deviation = told.variance[:, 0].clamp_min(1e-12).sqrt()
            _log_ei_helper((told.mean[:, 0] - best) / deviation) + deviation.log()
    return clock.told("search") | {"memory_mb": peak.most}


def physbo(task: Task) -> dict[str, Any]:
    """Its exact Gaussian process and expected improvement; hyperparameters learned when cold, kept for the next batch."""
    import physbo as theirs

    with Peak() as peak:
        with Clock() as building:
            policy = theirs.search.discrete.Policy(theirs.misc.centering(np.asarray(task.X)))
            policy.set_seed(0)
            policy.write(task.known, task.answers(task.known))
        asked = {
            "max_num_probes": 1,
            "num_search_each_probe": BATCH,
            "simulator": None,
            "score": "EI",
            "num_rand_basis": 0,
        }
        with Clock() as cold:
            chosen = policy.bayes_search(**asked, interval=0, is_disp=False)
        policy.write(chosen, task.answers(chosen))
        with Clock() as following:
            policy.bayes_search(**asked, interval=-1, is_disp=False)
    return building.told("building") | cold.told("cold") | following.told("next") | {"memory_mb": peak.most}


def baybe(task: Task) -> dict[str, Any]:
    """Its defaults over a search space from a data frame of the pool."""
    import pandas as pd
    from baybe import Campaign
    from baybe.parameters import NumericalDiscreteParameter
    from baybe.searchspace import SearchSpace
    from baybe.targets import NumericalTarget

    with Peak() as peak:
        with Clock() as building:
            frame = pd.DataFrame(np.asarray(task.X), columns=[f"f{k}" for k in range(task.X.shape[1])])
            parameters = [NumericalDiscreteParameter(name, values=np.unique(frame[name])) for name in frame]
            space = SearchSpace.from_dataframe(frame, parameters)
            campaign = Campaign(space, NumericalTarget(name="y").to_objective())
            campaign.add_measurements(frame.iloc[task.known].assign(y=task.answers(task.known)))
        with Clock() as cold:
            chosen = campaign.recommend(batch_size=BATCH)
        rows = np.array(chosen.index, dtype=int)
        campaign.add_measurements(chosen.assign(y=task.answers(rows)))
        with Clock() as following:
            campaign.recommend(batch_size=BATCH)
    return building.told("building") | cold.told("cold") | following.told("next") | {"memory_mb": peak.most}


def floor(task: Task) -> dict[str, Any]:
    """Seconds that exhaustive search cannot do without at this machine's speed, from the speed of a chunk; and of one look.

    single_look: the covariances of single precision, their exponentials and nothing else: what exact means cost at least.
    """
    import torch

    observations, (rows, features) = len(task.known), task.X.shape
    found: dict[str, Any] = {}
    for name, dtype in (("double", torch.float64), ("single", torch.float32)):
        X, Z = torch.randn(CHUNK, features, dtype=dtype), torch.randn(observations, features, dtype=dtype)
        K = torch.randn(CHUNK, observations, dtype=dtype)
        L = torch.eye(observations, dtype=dtype) + 1e-3 * torch.tril(
            torch.rand(observations, observations, dtype=dtype)
        )
        steps = {
            "covariance": lambda X=X, Z=Z: X @ Z.T,
            "exponential": lambda K=K: K.exp(),
            "solve": lambda L=L, K=K: torch.linalg.solve_triangular(L, K.T, upper=False),
        }
        seconds = {step: _best(call) * rows / CHUNK for step, call in steps.items()}
        found |= {f"{name}_{step}": value for step, value in seconds.items()} | {name: sum(seconds.values())}
    part = np.ascontiguousarray(task.X[: min(rows, 200_000)])
    found["memory"] = _best(lambda: part.sum(axis=0)) * rows / len(part)
    found["single_look"] = found["single_covariance"] + found["single_exponential"] + found["memory"]
    return found


def _best(call: Any, repeats: int = 5) -> float:
    """Least seconds of a processor."""
    call()
    times = []
    for _ in range(repeats):
        with Clock() as clock:
            call()
        times.append(clock.cpu)
    return min(times)


WHO = {"ours": ours, "botorch": botorch, "physbo": physbo, "baybe": baybe, "floor": floor}


def main() -> None:
    """who, path, observations, waves, threads."""
    who, path, observations, waves, threads = sys.argv[1:]
    if who in ("ours", "botorch", "floor"):
        import torch

        torch.set_num_threads(int(threads))
    before = load()
    found = WHO[who](Task(Path(path), int(observations), float(waves)))
    print(json.dumps(found | {"load": [before, load()]}))


if __name__ == "__main__":
    main()
