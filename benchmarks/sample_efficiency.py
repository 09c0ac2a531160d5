"""How much sooner the default policy finds good candidates than chance and than the best single feature do.

    python benchmarks/sample_efficiency.py                      # 50 seeds, 60 experiments: the numbers of the README
    python benchmarks/sample_efficiency.py --seeds 2 --rows 300 # a minute's look
    python benchmarks/sample_efficiency.py --campaign campaigns/stiff-materials.yaml  # on its table of all answers

The retrospective campaign of campaigns/refractive-index.yaml is played with each policy and each seed. Measured is the area
under the normalised best-so-far curve (0: the worst of the pool, 1: its best) minus its exact expectation under random
choice, with a 95 % bootstrap interval over the seeds; and the same against the one-feature baseline, whichever way it
falls. Values of the refractive index above 10 are failures, as the campaign file says. Written to benchmarks/results/:
one JSON with every curve, and one picture.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discover.candidates.pool.pool import CandidatePool

# One thread each: the runs are many and small, and the numbers do not depend on the machine's number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
POLICIES = "bayesian,one-feature,random"


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run the benchmark; returns the path of the JSON."""
    options = _parser().parse_args(arguments)
    from discover.backtest.study import named_policies, run_study
    from discover.candidates.pool.pool import CandidatePool
    from discover.definition import load
    from discover.report import read_answers
    from discover.report.study_plot import study_curves

    definition = load(options.campaign)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        pool = definition.pool(definition.pull(files))
        answers = read_answers(definition.answers) if definition.answers else definition.runner(files)
        if answers is None:
            sys.exit(f"{options.campaign} names no experiment")
        if not isinstance(pool, CandidatePool):
            sys.exit(f"{options.campaign} chooses from a space, which has no table of all answers")
        if options.rows:
            pool = _first(pool, options.rows)
        begun = time.perf_counter()
        study = run_study(
            pool, definition.objective, answers, name=definition.name, policies=named_policies(options.policies.split(","), definition.policy),
            seeds=range(options.seeds), budget=options.budget, batch=options.batch, processes=options.processes,
            cache=options.cache, progress=_progress if sys.stderr.isatty() or options.verbose else None,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
    results = Path(options.out)
    path = study.save(results / f"sample-efficiency-{definition.name}.json")
    picture = path.with_suffix(".png")
    picture.write_bytes(study_curves(study)._repr_png_())
    print(study)
    columns = ["area", "random_area", "gain", "gain_low", "gain_high", "found_best", "top", "enhancement", "seconds"]
    print(study.summary()[columns].round(3).to_string())
    print(f"{seconds:.0f} s with {options.processes} processes; written: {path} and {picture}")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", default=HERE.parent / "campaigns" / "refractive-index.yaml")
    parser.add_argument("--policies", default=POLICIES)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0, help="only the first rows of the pool, for a quick look")
    parser.add_argument("--processes", type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument("--out", default=HERE / "results")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the features between runs")
    parser.add_argument("--verbose", action="store_true")
    return parser


def _first(pool: CandidatePool, rows: int) -> CandidatePool:
    """The pool's first rows, evenly taken over its ids."""
    import numpy as np

    from discover.candidates.pool.pool import CandidatePool

    chosen = np.unique(np.linspace(0, len(pool) - 1, rows).astype(int))
    frame = pool.frame(chosen, structure=True)
    spec = pool.spec
    return CandidatePool.from_frame(
        frame, id=spec.id, features=spec.columns, categorical=spec.categorical, made_from=spec.made_from,
        structure=spec.made_from.get("structure"), composition=spec.made_from.get("composition"),
    )  # fmt: skip


def _progress(done: int, total: int | None) -> None:
    print(f"\r{done}/{total} campaigns", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
