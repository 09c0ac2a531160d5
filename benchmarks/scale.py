"""What a choice costs as pools and data grow: seconds and memory of a batch of 8, beside the floor that the machine sets.

    python benchmarks/scale.py                                          # 10^4 … 10^6 candidates, 100 features, 1,000 observations
    python benchmarks/scale.py --rows 10000000 --observations 1000      # 8 GB on disk
    python benchmarks/scale.py --rows 100000 --botorch                  # BoTorch's exact LogEI in joint chunks beside it

The pool is a table of float64 on disk, mapped into memory; peak memory counts what the process holds beyond the pages of that
table. 'Cold' is the first batch: fit, leave-one-out, search of the whole pool, joint batch. 'Next' is the batch after 8
more results, with the fit that follows from the last one. The floor is measured first: what the covariances, exponentials
and triangular solves of exhaustive search over all candidates take at this machine's speed, one after the other, in
double and in single precision. Each case runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

BATCH = 8
PART = 20_000


def table(folder: Path, rows: int, features: int) -> Path:
    """A pool on disk: correlated features of eight hidden causes."""
    import numpy as np

    path = folder / f"{rows}x{features}.npy"
    if path.exists():
        return path
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(8, features))
    values = np.lib.format.open_memmap(path.with_suffix(".new"), "w+", np.float64, (rows, features))
    for start in range(0, rows, PART):
        n = min(PART, rows - start)
        values[start : start + n] = generator.random((n, 8)) @ mixing + 0.3 * generator.normal(size=(n, features))
    values.flush()
    path.with_suffix(".new").rename(path)
    return path


def floor(rows: int, features: int, observations: int) -> dict[str, float]:
    """Seconds that exhaustive search cannot do without, from the speed of a chunk."""
    import torch

    found = {}
    for name, dtype in (("double", torch.float64), ("single", torch.float32)):
        chunk = 2048
        X, Z = torch.randn(chunk, features, dtype=dtype), torch.randn(observations, features, dtype=dtype)
        K = torch.randn(chunk, observations, dtype=dtype)
        L = (
            torch.eye(observations, dtype=dtype)
            + torch.tril(torch.rand(observations, observations, dtype=dtype)) * 1e-3
        )
        steps = {
            "covariance": lambda X=X, Z=Z: X @ Z.T,
            "exponential": lambda K=K: K.exp(),
            "solve": lambda L=L, K=K: torch.linalg.solve_triangular(L, K.T, upper=False),
        }
        seconds = {step: _best(call) * rows / chunk for step, call in steps.items()}
        found[name] = sum(seconds.values())
        found |= {f"{name}_{step}": value for step, value in seconds.items()}
    return found


def _best(call: Any, repeats: int = 5) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


class Peak:
    """The most private memory, in MB, that the process held while this was entered, beyond what it held at the start."""

    def __enter__(self) -> Peak:
        self.before, self.most, self.done = self._now(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.02):
            self.most = max(self.most, self._now() - self.before)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
        self.most = max(self.most, self._now() - self.before)

    @staticmethod
    def _now() -> float:
        """Resident memory without the pages of mapped files, in MB."""
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return float(fields["RssAnon"].split()[0]) / 1e3


def case(path: Path, observations: int, botorch: bool) -> dict[str, Any]:
    """One pool under one amount of data; printed as JSON by the child process."""
    import numpy as np

    from discover.policy.bayesian import Bayesian
    from discover.surrogate.belief import belief

    X = np.load(path, mmap_mode="r")
    generator = np.random.default_rng(1)
    rows = generator.choice(len(X), observations + BATCH, replace=False)
    weights = generator.normal(size=X.shape[1]) / np.sqrt(X.shape[1])

    def answer(at: Any) -> Any:
        return np.sin(X[at] @ weights) + 0.05 * np.random.default_rng(at).normal(size=len(at))

    policy = Bayesian()
    warm = np.random.default_rng(0).normal(size=(200, X.shape[1]))
    policy.propose(_view(warm, np.arange(20), warm[:20, 0], {}), BATCH, np.random.default_rng(0))  # imports, once
    known = np.sort(rows[:observations])
    view = _view(X, known, answer(known), {})
    start = time.perf_counter()
    held = belief(view, policy.surrogate())
    found: dict[str, Any] = {"fit_and_judge": time.perf_counter() - start}
    with Peak() as peak:
        start = time.perf_counter()
        batch = policy.propose(view, BATCH, np.random.default_rng(0))
        found["cold"] = time.perf_counter() - start
    more = np.sort(np.concatenate([known, [int(p.candidate_id[4:]) for p in batch]]))
    following = _view(X, more, answer(more), {"surrogate": held.memory})
    start = time.perf_counter()
    policy.propose(following, BATCH, np.random.default_rng(0))
    found |= {"next": time.perf_counter() - start, "memory_mb": peak.most, "sweep": batch.learned["sweep"]}
    if botorch:
        found |= _botorch(held, X)
    return found


def _view(X: Any, known: Any, y: Any, memory: dict[str, Any]) -> Any:
    import numpy as np

    from discover.objective import Objective
    from discover.protocols import FeatureTable, Training, View

    blocked = np.zeros(len(X), dtype=bool)
    blocked[known] = True
    nothing = np.array([], dtype=np.int64)
    training = Training(known, y, np.full(len(known), np.nan), np.zeros(len(known), dtype=np.int64))
    return View(
        objective=Objective("y"), ids=np.array([f"row-{i:08d}" for i in range(len(X))]),
        features=FeatureTable(tuple(f"f{k}" for k in range(X.shape[1])), X, "made up"), training={"y": training},
        blocked=blocked, pending=nothing, infeasible=nothing, memory=memory,
    )  # fmt: skip


def _botorch(held: Any, X: Any) -> dict[str, float]:
    """BoTorch's LogEI over the whole pool, with our hyperparameters, in joint chunks: its fast way."""
    import torch
    from botorch.acquisition.analytic import _log_ei_helper

    posterior = held.posteriors["y"]
    model = posterior.model()
    best = posterior.mean_variance(posterior.X)[0].max()
    start = time.perf_counter()
    with torch.no_grad():
        for i in range(0, len(X), 2048):
            belief = model.posterior(held.scaled(X[i : i + 2048]))
            deviation = belief.variance[:, 0].clamp_min(1e-12).sqrt()
            _log_ei_helper((belief.mean[:, 0] - best) / deviation) + deviation.log()
    return {"botorch_search": time.perf_counter() - start}


def run(rows: int, features: int, observations: int, threads: int, folder: Path, botorch: bool) -> dict[str, Any]:
    """One case, in a process of its own with its threads fixed."""
    path = table(folder, rows, features)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    given = ["--case", str(path), "--observations", str(observations), *(["--botorch"] if botorch else [])]
    done = subprocess.run(
        [sys.executable, __file__, *given], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"rows": rows, "features": features, "observations": observations, "threads": threads, **found}


def main() -> None:
    """Run the cases, print a line for each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, nargs="+", default=[100])
    parser.add_argument("--observations", type=int, nargs="+", default=[1000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--botorch", action="store_true", help="also BoTorch's search, with the same hyperparameters")
    parser.add_argument("--folder", type=Path, help="where the tables lie; default: a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        import torch

        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        torch.set_num_threads(threads)
        found = case(given.case, given.observations[0], given.botorch)
        import numpy as np

        shape = np.load(given.case, mmap_mode="r").shape
        print(json.dumps(found | {"floor": floor(shape[0], shape[1], given.observations[0])}))
        return
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for features in given.features:
            for rows in given.rows:
                for n in (n for n in given.observations if n + BATCH < rows):
                    found = run(rows, features, n, given.threads, given.folder or Path(temporary), given.botorch)
                    results.append(found)
                    print(line(found), flush=True)
    if given.json:
        body = {
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "cases": results,
        }
        given.json.write_text(json.dumps(body, indent=1) + "\n")


def line(found: dict[str, Any]) -> str:
    """One case in words."""
    search = found["cold"] - found["fit_and_judge"]
    times = search / found["floor"]["double"]
    other = f" · BoTorch's search {found['botorch_search']:.1f} s" if "botorch_search" in found else ""
    return (
        f"{found['rows']:>10,} × {found['features']} · {found['observations']} observations: cold {found['cold']:.1f} s, of "
        f"which fit and leave-one-out {found['fit_and_judge']:.1f} s; next {found['next']:.1f} s; {found['memory_mb']:.0f} MB; "
        f"the search is {times:.2f} × the floor of exhaustive search ({found['floor']['double']:.1f} s){other}"
    )


if __name__ == "__main__":
    main()
