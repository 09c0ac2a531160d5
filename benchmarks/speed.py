"""How long a batch takes: ours beside BoTorch's own route, on the same rows, in the same run.

    OMP_NUM_THREADS=1 python benchmarks/speed.py      # 5 out of 5,000 rows, 100 observations, 120 features, one core
    OMP_NUM_THREADS=1 python benchmarks/speed.py --rows 50000 --json speed.json

Ours is `Bayesian().propose`, everything included: scaling, fit, diagnostics, scores of the whole pool, joint batch,
reasons. BoTorch's route is what its documentation leads to with the same steps: SingleTaskGP with its default kernel,
fit_gpytorch_mll, LogExpectedImprovement over the pool, then greedy qLogNoisyExpectedImprovement on an equally long short
list. Seconds are medians over repeats after a first call, which is shown apart because it imports. Processor
seconds stand beside them: on a machine that others use they are nearer to what one idle core takes.
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
from discover.protocols import View
from discover.values import FeatureTable, FloatArray, Training


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


class Clock:
    """Seconds since it was made, by the wall and by the processor."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        """Both, under a name."""
        return {name: time.perf_counter() - self.wall, f"{name}_cpu": time.process_time() - self.processor}


def ours(view: View, n: int) -> tuple[list[int], dict[str, float]]:
    """Rows of our batch, and seconds: the whole; the fit alone; the fit and its leave-one-out, both done again."""
    from discover.surrogate.belief import belief

    policy = Bayesian()
    clock = Clock()
    batch = policy.propose(view, n, np.random.default_rng(0))
    times = clock.read("whole")
    clock = Clock()
    belief(view, policy.surrogate(), judge=False)
    times |= clock.read("fit")
    clock = Clock()
    belief(view, policy.surrogate())
    times |= clock.read("fit_and_judge")
    return [int(p.candidate_id[4:]) for p in batch], times


def botorchs(view: View, n: int, chunk: int = 512) -> tuple[list[int], dict[str, float]]:
    """The same by BoTorch's parts alone."""
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    clock = Clock()
    X = torch.from_numpy(view.features.values)
    training = view.training["stiffness"]
    known, y = X[training.rows], torch.from_numpy(training.values)[:, None]
    bounds = torch.stack([X.amin(dim=0), X.amax(dim=0)])
    normalise = Normalize(X.shape[1], bounds=bounds)
    model = SingleTaskGP(known, y, input_transform=normalise, outcome_transform=Standardize(1))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    times = clock.read("fit")
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
    return chosen, times | clock.read("whole")


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
    ratio_cpu = found["botorch"]["whole_cpu"] / found["discover"]["whole_cpu"]
    print(
        f"A batch of {options.batch} out of {options.rows:,} rows with {options.observations} observations and "
        f"{options.features} features, {options.threads} thread(s):"
    )
    columns = {
        "whole": "whole",
        "whole_cpu": "cpu",
        "fit": "fit",
        "fit_cpu": "fit cpu",
        "fit_and_judge_cpu": "with LOO cpu",
        "first": "first call",
    }
    print(f"{'seconds':12s}" + "".join(f"{title:>14s}" for title in columns.values()) + f"{'predicted mean':>16s}")
    for name, numbers in found.items():
        cells = "".join(f"{numbers[key]:14.3f}" if key in numbers else f"{'-':>14s}" for key in columns)
        print(f"{name:12s}{cells}{target_of(view, numbers['rows']).mean():16.1f}")
    shared = len(set(found["discover"]["rows"]) & set(found["botorch"]["rows"]))
    print(
        f"BoTorch's route takes {ratio:.1f} times as long ({ratio_cpu:.1f} in processor time); {shared} of {options.batch} candidates are the same"
    )
    if options.json:
        kept = {key: value for key, value in vars(options).items() if key != "json"}
        options.json.write_text(
            json.dumps({"settings": kept, "seconds": found, "ratio": ratio, "ratio_cpu": ratio_cpu}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
