"""Several targets, constraints, and other aims than a single best, on known tables: ours beside BoTorch by hand and random.

    python benchmarks/targets.py --hours 2 --seeds 10            # plays what is missing; stop it, start it again: it goes on
    python benchmarks/targets.py --tasks redoxmers soft-magnet --policies hypervolume botorch
    python benchmarks/targets.py --tables                        # from what is there, nothing is played
    python benchmarks/targets.py --tables --write                # into targets.md and results/targets.json
    python benchmarks/targets.py --side test                     # the tasks of test tables: defaults are frozen before

Every policy of a seed begins with the same ten random rows, sees the same encoding of the table, and takes batches of four up
to the task's budget. Runs are kept one by one under --out and never made twice, but ours after a change of the library; they go
round over seeds, so that a stop leaves a balanced table. The numbers told are the area under the curve of what is sought after
the start, 1 for all that the table holds, and its end: the share of the table's hypervolume (front), the best that keeps the
constraints (constrained), the hits or the ten best that were found, or how well the rest is known (level, whole). The tasks, and
which tables they use, are in `target_tasks.py` and `learning_tasks.py`; who plays is in `target_policies.py`.
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
from learning_tasks import LEARNING, LEARNING_TOYS
from target_policies import chooser, library, policies_of
from target_table import RULES, markdown, played, read, write
from target_tasks import DATA, TASKS, TOYS, Task, task

TASKS.update(LEARNING)
TOYS.update(LEARNING_TOYS)

HERE = Path(__file__).resolve().parent
OUT = HERE / ".targets"
SIDES = ("development", "test")
TEST_WARNING = "These are test tables: they are read once, with the defaults frozen, and nothing is chosen by them."


def play(one: Task, policy: str, seed: int) -> dict[str, Any]:
    """One run: rows in the order of trial, what they were worth, and the seconds that choosing took."""
    generator = np.random.default_rng([seed, 0])
    rows = generator.choice(len(one), one.start, replace=False)
    choose = chooser(one, policy, seed)
    begun, cpu = time.perf_counter(), time.process_time()
    while len(rows) < min(one.budget, len(one)):
        more = choose(rows, min(one.batch, one.budget - len(rows), len(one) - len(rows)))
        rows = np.concatenate([rows, more])
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    curve = one.measure(one, rows)
    return {
        "rules": RULES, "task": one.name, "policy": policy, "seed": seed, "rows": rows.tolist(),
        "curve": np.round(curve, 6).tolist(), "area": float(curve[one.start :].mean()), "end": float(curve[-1]),
        "closing": {key: round(value, 6) for key, value in one.closing(one, rows).items()},
        "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
        "library": library() if policy in one.policies else "",
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
                said = f"area {done['area']:.3f}, end {done['end']:.3f} in {done['seconds']:.1f} s"
                print(f"{name:18} {policy:22} seed {seed}: {said}", flush=True)


def _known(place: Path) -> bool:
    if not place.exists():
        return False
    found = json.loads(place.read_text())
    return found["rules"] == RULES and found["library"] in ("", library())


def main() -> None:
    """Play, and tell what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[], help="these, of whatever side")
    parser.add_argument("--side", choices=SIDES, default="development", help="all tasks of a side")
    parser.add_argument("--policies", nargs="+", default=[], help="none but these")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--tables", action="store_true", help="play nothing, tell what is there")
    parser.add_argument(
        "--write", action="store_true", help="write the tables into targets.md and results/targets.json"
    )
    given = parser.parse_args()
    if not given.tables:
        if not DATA.exists() and (not given.tasks or any(name in TASKS for name in given.tasks)):
            parser.error(f"the tables are not there: {DATA}")
        names = given.tasks or [name for name in TASKS if task(name).side == given.side]
        known = {policy for name in names for policy in policies_of(task(name))}
        if unknown := sorted(set(given.policies) - known):
            parser.error(f"these play none of the tasks: {', '.join(unknown)}; valid: {', '.join(sorted(known))}")
        if any(task(name).side == "test" for name in names):
            print(TEST_WARNING, file=sys.stderr)
        run(names, given.policies, given.seeds, given.hours, given.out)
    found = played(read(given.out))
    print(markdown(found))
    if given.write:
        write(found, HERE / "targets.md", HERE / "results" / "targets.json")


if __name__ == "__main__":
    main()
