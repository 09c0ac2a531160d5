"""How long a batch takes: ours beside BoTorch's own route, on the same rows, in the same run.

    python benchmarks/speed.py                      # 5 out of 5,000 rows with 100 observations and 120 features, one core
    python benchmarks/speed.py --rows 50000 --json speed.json

Ours is `Bayesian().propose`, everything included: scaling, fit, diagnostics, scores of the whole pool, joint batch,
reasons. BoTorch's route is what its documentation leads to with the same steps: SingleTaskGP with its default kernel,
fit_gpytorch_mll, LogExpectedImprovement over the pool, then greedy qLogNoisyExpectedImprovement on an equally long short
list. Times are medians over repeats after a first call, which is shown apart because it imports.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from discover.objective import Objective
from discover.policy.bayesian import Bayesian
from discover.protocols import FeatureTable, FloatArray, Training, View


def made_up(rows: int, features: int, observations: int, seed: int) -> View:
    """A campaign over invented rows: correlated features of few hidden causes, a smooth target of them with noise."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(rows, 15))
    X = hidden @ generator.normal(size=(15, features)) + 0.3 * generator.normal(size=(rows, features))
    y = 100.0 + 30.0 * np.sin(hidden[:, 0]) + 20.0 * hidden[:, 1] + 3.0 * generator.normal(size=rows)
    known = np.sort(generator.choice(rows, observations, replace=False)).astype(np.int64)
    blocked = np.zeros(rows, dtype=bool)
    blocked[known] = True
    nothing = np.array([], dtype=np.int64)
    training = Training(known, y[known], np.full(len(known), np.nan), np.zeros(len(known), dtype=np.int64))
    return View(
        objective=Objective("stiffness", unit="GPa"),
        ids=np.array([f"row-{i:07d}" for i in range(rows)]),
        features=FeatureTable(tuple(f"f{k}" for k in range(features)), X, "made up"),
        training={"stiffness": training},
        blocked=blocked,
        pending=nothing,
        infeasible=nothing,
    )


def ours(view: View, n: int) -> tuple[list[int], dict[str, float]]:
    """Rows of our batch, and seconds: the whole, and the fit with its diagnostics within it."""
    from discover.surrogate.belief import belief

    policy = Bayesian()
    start = time.perf_counter()
    batch = policy.propose(view, n, np.random.default_rng(0))
    whole = time.perf_counter() - start
    start = time.perf_counter()
    belief(view, policy.model())
    fit = time.perf_counter() - start
    return [int(p.candidate_id[4:]) for p in batch], {"whole": whole, "fit": fit}


def botorchs(view: View, n: int, chunk: int = 512) -> tuple[list[int], dict[str, float]]:
    """The same by BoTorch's parts alone."""
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    start = time.perf_counter()
    X = torch.from_numpy(view.features.values)
    training = view.training["stiffness"]
    known, y = X[training.rows], torch.from_numpy(training.values)[:, None]
    bounds = torch.stack([X.amin(dim=0), X.amax(dim=0)])
    normalise = Normalize(X.shape[1], bounds=bounds)
    model = SingleTaskGP(known, y, input_transform=normalise, outcome_transform=Standardize(1))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    fit = time.perf_counter() - start
    free = torch.from_numpy(np.flatnonzero(~view.blocked))
    with torch.no_grad():
        score = LogExpectedImprovement(model, best_f=y.max())
        values = torch.cat([score(X[part][:, None]) for part in free.split(chunk)])
        short = free[values.argsort(descending=True)[: Bayesian().shortlist]]
        joint = qLogNoisyExpectedImprovement(model, known, prune_baseline=True)
        chosen: list[int] = []
        for _ in range(n):
            gains = joint(X[short][:, None])
            gains[[place for place, row in enumerate(short.tolist()) if row in chosen]] = -torch.inf
            chosen.append(int(short[gains.argmax()]))
            joint.set_X_pending(X[chosen])
    return chosen, {"whole": time.perf_counter() - start, "fit": fit}


def measured(run: Callable[[], tuple[list[int], dict[str, float]]], repeats: int) -> dict[str, Any]:
    """Seconds of the first call, medians of the later ones, and the rows chosen."""
    start = time.perf_counter()
    rows, _ = run()
    first = time.perf_counter() - start
    times = [run()[1] for _ in range(repeats)]
    return {"first": first, **{key: statistics.median(t[key] for t in times) for key in times[0]}, "rows": rows}


def target_of(view: View, rows: list[int]) -> FloatArray:
    """Predicted means of chosen rows under our model, for a look at whether both routes choose alike."""
    from discover.surrogate.predict import predict

    return predict(view, view.features.values[rows])["stiffness"][0]


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (
        ("rows", 5000),
        ("features", 120),
        ("observations", 100),
        ("batch", 5),
        ("repeats", 5),
        ("threads", 1),
        ("seed", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    view = made_up(options.rows, options.features, options.observations, options.seed)
    found = {
        "discover": measured(lambda: ours(view, options.batch), options.repeats),
        "botorch": measured(lambda: botorchs(view, options.batch), options.repeats),
    }
    ratio = found["botorch"]["whole"] / found["discover"]["whole"]
    print(
        f"A batch of {options.batch} out of {options.rows:,} rows with {options.observations} observations and "
        f"{options.features} features, {options.threads} thread(s):"
    )
    print(f"{'route':12s}{'whole [s]':>12s}{'fit [s]':>12s}{'first call [s]':>16s}{'predicted mean':>16s}")
    for name, numbers in found.items():
        hoped = target_of(view, numbers["rows"]).mean()
        print(f"{name:12s}{numbers['whole']:12.3f}{numbers['fit']:12.3f}{numbers['first']:16.3f}{hoped:16.1f}")
    shared = len(set(found["discover"]["rows"]) & set(found["botorch"]["rows"]))
    print(f"BoTorch's route takes {ratio:.1f} times as long; {shared} of {options.batch} candidates are the same")
    if options.json:
        kept = {key: value for key, value in vars(options).items() if key != "json"}
        options.json.write_text(json.dumps({"settings": kept, "seconds": found, "ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    main()
