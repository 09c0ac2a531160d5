"""A campaign on a Parquet file of millions of candidates, end to end: seconds and memory of opening, asking, telling, asking again.

    python benchmarks/big_pool.py                                             # 10^6 candidates with 30 numbers each
    python benchmarks/big_pool.py --rows 10000000 --folder /data --json benchmarks/results/big-pool.json

Every step is a process of its own, as on a command line. 'Begin' reads the file, freezes it as a snapshot and makes the
features: once in a campaign's life. 'Tell' opens the campaign and tells results. 'Ask' opens it and asks for eight: fit,
judgement, search of the whole pool. 'Next' tells these eight and asks again in the same process, under hyperparameters that are
kept; 'again' is that in another process, which finds on disk what the last one left. Memory is what a process holds beyond the
pages of mapped files, at its most, and with everything that was imported (about 300 MB).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scale_task import PART

CASE = Path(__file__).resolve().parent / "big_pool_case.py"
STEPS = ("begin", "tell", "ask", "again")
FILE = """\
campaign: big-pool
objective: {{target: y, direction: maximize}}
candidates: {{kind: table, file: pool.parquet, id: id}}
features: [{features}]
policy: {{kind: bayesian, model: single, start: 5, refit: 0.1, batch: 8}}
budget: {{experiments: 10000}}
"""


def pool(folder: Path, rows: int, features: int, shuffled: bool) -> Path:
    """A Parquet file of correlated features of eight hidden causes, and the campaign's file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"x{k}" for k in range(features)]
    campaign = folder / "campaign.yaml"
    campaign.write_text(FILE.format(features=", ".join(names)))
    path = folder / "pool.parquet"
    if path.exists():
        return campaign
    generator = np.random.default_rng(0)
    mixing, order = generator.normal(size=(8, features)), np.arange(rows)
    if shuffled:
        generator.shuffle(order)
    schema = pa.schema([("id", pa.string()), *((name, pa.float64()) for name in names)])
    fresh = path.with_suffix(".new")
    with pq.ParquetWriter(fresh, schema, compression="zstd", compression_level=1) as writer:
        for start in range(0, rows, PART):
            some = order[start : start + PART]
            X = generator.random((len(some), 8)) @ mixing + 0.3 * generator.normal(size=(len(some), features))
            frame = pd.DataFrame(X, columns=names)
            frame.insert(0, "id", [f"c{k:08d}" for k in some])
            writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
    fresh.replace(path)
    return campaign


def run(step: str, campaign: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One step in a process of its own; what went wrong where it ends badly."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(given.threads))}
    told = [step, str(campaign), str(given.observations), str(given.threads), str(given.cells)]
    done = subprocess.run(
        [sys.executable, str(CASE), *told], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["ended without a word"])[-1][-300:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(step: str, found: dict[str, Any]) -> str:
    """One step in words; seconds of processors in brackets."""
    if "failed" in found:
        return f"{step:>6}: {found['failed']}"
    clocks = [name for name in found if f"{name}_cpu" in found]
    parts = [f"{name.replace('_', ' ')} {found[name]:.2f} s ({found[f'{name}_cpu']:.2f})" for name in clocks]
    return f"{step:>6}: {', '.join(parts)}; {found['memory_mb']:.0f} MB"


def main() -> None:
    """The steps in their order; JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--observations", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shuffled", action="store_true", help="ids do not ascend in the file")
    parser.add_argument(
        "--cells", type=int, default=0, help="how many keep a pool on disk, if not those of discover.sizes"
    )
    parser.add_argument("--folder", type=Path, help="where all of it lies; default: a temporary folder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        campaign = pool(given.folder or Path(temporary), given.rows, given.features, given.shuffled)
        steps = {}
        for step in STEPS:
            steps[step] = run(step, campaign, given)
            print(line(step, steps[step]), flush=True)
            if "failed" in steps[step]:
                break
    if given.json:
        known = json.loads(given.json.read_text()) if given.json.exists() else {}
        key = f"{given.rows}x{given.features} n={given.observations} threads={given.threads}"
        key += " shuffled" if given.shuffled else ""
        machine = {"machine": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()}
        given.json.write_text(json.dumps({**known, key: machine | steps}, indent=1) + "\n")


if __name__ == "__main__":
    main()
