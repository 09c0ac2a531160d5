"""What a choice costs as pools and data grow: seconds and memory of a batch of 8, beside peers and the machine's floor.

    python benchmarks/scale.py --json benchmarks/results/scale.json                 # 10^4 … 10^6 candidates; about an hour
    python benchmarks/scale.py --rows 10000000 --features 30 100 --observations 1000 --who ours floor --folder /data
    python benchmarks/scale.py --hours 0.5 --json benchmarks/results/scale.json     # goes on where it was

The pool is a table of float64 on disk, mapped into memory; peak memory is what a process holds beyond the pages of that
table. 'Cold' is the first batch: fit, judgement, search of the whole pool, joint batch; 'search' is that without fit and
judgement. 'Next' is the batch after 8 more results, hyperparameters kept; 'third' the one after. The floor is measured
first: what the covariances, exponentials and triangular solves of exhaustive search take at this machine's speed; in single
precision the covariances and exponentials alone are what exact means cost. Each case runs in a process of its own, with its
threads fixed, and is given up after `--limit` seconds; a pool that was given up is not tried again with more rows. Times are
given as seconds that passed and as seconds of processors (`_cpu`): on a machine that others use these say more. The peers'
environments are those of `benchmarks/efficiency/envs.py`. A case that stands in the JSON file is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scale_task import BATCH, table

HERE = Path(__file__).resolve().parent
PEERS = ("physbo", "baybe")
EVERYBODY = ("floor", "ours", "botorch", *PEERS)


def python_of(who: str) -> Path | None:
    """Whose environment runs a case; None where it was not built."""
    if who not in PEERS:
        return Path(sys.executable)
    path = HERE / "efficiency" / ".envs" / who / "bin" / "python"
    return path if path.exists() else None


def run(who: str, path: Path, observations: int, given: argparse.Namespace) -> dict[str, Any]:
    """One case in a process of its own; what went wrong where it does not end in time, or ends badly."""
    python = python_of(who)
    if python is None:
        return {"failed": "its environment is not built: python benchmarks/efficiency/envs.py " + who}
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(given.threads))}
    told = [who, str(path), str(observations), str(given.waves), str(given.threads)]
    try:
        done = subprocess.run(
            [str(python), str(HERE / "scale_case.py"), *told],
            env=environment, timeout=given.limit, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {given.limit:g} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["ended without a word"])[-1][-300:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(case: dict[str, Any], floor: dict[str, Any]) -> str:
    """One case in words."""
    head = f"{case['who']:>8} {case['rows']:>10,} × {case['features']} · n = {case['observations']}:"
    if "failed" in case:
        return f"{head} {case['failed']}"
    if case["who"] == "floor":
        return f"{head} {case['double']:.2f} s in double precision; exact means in single precision {case['single_look']:.2f} s"
    names = [n for n in ("building", "fit_and_judge", "cold", "search", "next", "third") if n in case]
    parts = [f"{name.replace('_', ' ')} {case[name]:.2f} s ({case[name + '_cpu']:.2f})" for name in names]
    if "search_cpu" in case and "double" in floor:
        parts.append(f"search {case['search_cpu'] / floor['double']:.2f} × the floor")
    return f"{head} {', '.join(parts)}, {case['memory_mb']:.0f} MB"


def options() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--observations", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--who", nargs="+", choices=EVERYBODY, default=list(EVERYBODY))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--waves", type=float, default=1.0, help="how fast the target changes: 1 smooth, 6 rough")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a case is given up")
    parser.add_argument("--hours", type=float, default=float("inf"), help="no case is begun after so long")
    parser.add_argument("--folder", type=Path, help="where the tables lie; default: a temporary one")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Run the cases, cheap ones first; print a line for each; write JSON after each."""
    given = options()
    begun = time.monotonic()
    kept = json.loads(given.json.read_text())["cases"] if given.json and given.json.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        for rows, features, n, who in _cases(given):
            key = f"{who} {rows}x{features} n={n} threads={given.threads} waves={given.waves:g}"
            if key not in kept:
                if time.monotonic() - begun > 3600 * given.hours:
                    break
                case = {"who": who, "rows": rows, "features": features, "observations": n, "threads": given.threads}
                if _hopeless(kept.values(), case):
                    found = {"failed": "given up on a smaller pool"}
                else:
                    found = run(who, table(folder, rows, features), n, given)
                kept[key] = case | found
                _write(given.json, kept)
            floor = kept.get(key.replace(who, "floor", 1), {})
            print(line(kept[key], floor), flush=True)


def _cases(given: argparse.Namespace) -> list[tuple[int, int, int, str]]:
    return [
        (rows, features, n, who)
        for rows in sorted(given.rows)
        for features in given.features
        for n in given.observations
        if n + 2 * BATCH < rows
        for who in given.who
    ]


def _hopeless(done: Any, case: dict[str, Any]) -> bool:
    """Whether the same was given up with fewer rows."""
    alike = ("who", "features", "observations", "threads")
    return any(
        "failed" in other and other["rows"] < case["rows"] and all(other[name] == case[name] for name in alike)
        for other in done
    )


def _write(path: Path | None, cases: dict[str, Any]) -> None:
    if path is None:
        return
    machine = {
        "machine": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({**machine, "cases": cases}, indent=1) + "\n")
    fresh.replace(path)


if __name__ == "__main__":
    main()
