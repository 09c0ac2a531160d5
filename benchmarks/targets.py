"""Several targets, constraints, and other aims than a single best, on known tables: ours beside BoTorch by hand and random.

    python benchmarks/targets.py --hours 0.25 --seeds 5
    python benchmarks/targets.py --tasks redoxmers soft-magnet --policies hypervolume botorch
    python benchmarks/targets.py --tables            # from what is there, nothing is played

Every policy of a seed begins with the same ten random rows, sees the same encoding of the table, and takes batches of four up
to 42 experiments. Runs are kept one by one under --out and never made twice; they go round over seeds, so that a stop leaves
a balanced table. The number told is the area under the curve of what is sought after the start, 1 for all that the table holds:
the share of the table's hypervolume (front), the best that keeps the constraints (constrained), the hits found, or how well the
table is known (level, whole). The tasks, and which tables they use, are in `target_tasks.py` and `learning_tasks.py`; who plays is
in `target_policies.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from learning_tasks import LEARNING, LEARNING_TOYS
from target_policies import chooser, policies_of
from target_tasks import DATA, TASKS, TOYS, Task, task

TASKS.update(LEARNING)
TOYS.update(LEARNING_TOYS)

OUT = Path(__file__).resolve().parent / "results" / "targets"
RULES = 1
"""Of the game; runs under other rules are made again."""


def play(one: Task, policy: str, seed: int) -> dict[str, Any]:
    """One run: rows in the order of trial, the curve after the start, and the seconds that choosing took."""
    generator = np.random.default_rng([seed, 0])
    rows = generator.choice(len(one), one.start, replace=False)
    choose = chooser(one, policy, seed)
    begun, cpu = time.perf_counter(), time.process_time()
    while len(rows) < min(one.budget, len(one)):
        more = choose(rows, min(one.batch, one.budget - len(rows), len(one) - len(rows)))
        rows = np.concatenate([rows, more])
    seconds = time.perf_counter() - begun
    curve = one.measure(one, rows)
    return {
        "rules": RULES, "task": one.name, "kind": one.kind, "policy": policy, "seed": seed, "rows": rows.tolist(),
        "curve": np.round(curve, 6).tolist(), "area": float(curve[one.start :].mean()), "end": float(curve[-1]),
        "seconds": round(seconds, 2), "cpu_seconds": round(time.process_time() - cpu, 2),
        "versions": {name: version(name) for name in ("torch", "botorch", "gpytorch", "numpy")},
        "machine": {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()},
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def run(names: list[str], only: list[str], seeds: int, hours: float, out: Path) -> None:
    """Play what is missing, seed by seed, until the time is up."""
    ends = time.monotonic() + 3600 * hours
    for seed in range(seeds):
        for name in names:
            for policy in policies_of(task(name)):
                place = out / f"{name}.{policy}.{seed}.json"
                if (only and policy not in only) or _known(place):
                    continue
                if time.monotonic() > ends:
                    print("the time is up")
                    return
                done = play(task(name), policy, seed)
                place.parent.mkdir(parents=True, exist_ok=True)
                draft = place.with_suffix(".draft")
                draft.write_text(json.dumps(done))
                draft.replace(place)
                print(
                    f"{name:18} {policy:22} seed {seed}: area {done['area']:.3f} in {done['seconds']:.1f} s", flush=True
                )


def _known(place: Path) -> bool:
    return place.exists() and json.loads(place.read_text())["rules"] == RULES


def tables(out: Path) -> str:
    """For each task the mean area of each policy over the seeds that all of them have, and its paired difference to the best."""
    runs = [json.loads(place.read_text()) for place in sorted(out.glob("*.json"))]
    lines = []
    for name in dict.fromkeys(r["task"] for r in runs):
        mine = [r for r in runs if r["task"] == name and r["rules"] == RULES]
        by = {p: {r["seed"]: r for r in mine if r["policy"] == p} for p in dict.fromkeys(r["policy"] for r in mine)}
        seeds = sorted(set.intersection(*(set(found) for found in by.values())))
        lines.append(f"{name} ({mine[0]['kind']}, {len(seeds)} paired seeds)")
        if seeds:
            lines += _lines(by, seeds)
    return "\n".join(lines)


def _lines(by: dict[str, dict[int, dict[str, Any]]], seeds: list[int]) -> list[str]:
    areas = {policy: np.array([found[seed]["area"] for seed in seeds]) for policy, found in by.items()}
    order = sorted(areas, key=lambda policy: -areas[policy].mean())
    lines = []
    for policy in order:
        gap = areas[policy] - areas[order[0]]
        error = gap.std(ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else float("nan")
        end = np.mean([by[policy][seed]["end"] for seed in seeds])
        cpu = np.median([by[policy][seed]["cpu_seconds"] for seed in seeds])
        said = "" if policy == order[0] else f"   {gap.mean():+.3f} ± {error:.3f} to the first"
        lines.append(f"  {policy:22} area {areas[policy].mean():.3f}   end {end:.3f}   {cpu:7.1f} s CPU a run{said}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--policies", nargs="+", default=[], help="none but these")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--tables", action="store_true", help="play nothing, tell what is there")
    given = parser.parse_args()
    if not given.tables:
        if not DATA.exists() and any(name in TASKS for name in given.tasks):
            parser.error(f"the tables are not there: {DATA}")
        run(given.tasks, given.policies, given.seeds, given.hours, given.out)
    print(tables(given.out))


if __name__ == "__main__":
    main()
