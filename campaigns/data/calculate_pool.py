"""Calculate every answer of the campaign `stiff-materials` once, into the shipped table `stiff-materials-answers/`.

    python campaigns/data/calculate_pool.py                    # some ten minutes on two cores; may be stopped and resumed
    python campaigns/data/calculate_pool.py --processes 8

The table is read by the report alone, which draws from it what random choice would have found. The campaign itself never
sees it. Finished calculations are kept under `--work`, so that a second start goes on where the first one stopped, and so
that other versions, weights or settings are never mixed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.snapshot import SnapshotSource
from discover.errors import ExperimentFailed
from discover.experiment.crystals.equation_of_state import EquationOfState
from discover.values import Candidate, Proposal, Result

HERE = Path(__file__).resolve().parent
SNAPSHOT = "matbench-dielectric"
QUERY = {"num_sites": [1, 12], "exclude_elements": ["C", "B", "N", "H"]}
"""The candidates of `stiff-materials.yaml`."""
EXPERIMENT = EquationOfState(calculator="chgnet")
"""Its experiment."""
OUT = HERE / "stiff-materials-answers"
WORK = HERE.parent / ".discover" / "calculate-pool"


def calculate(work: Path, out: Path, *, processes: int, limit: int | None = None) -> Snapshot:
    """Run the experiment on every candidate (or the first `limit`) and write the table of answers to `out`."""
    parent = SnapshotSource(SNAPSHOT).located(HERE, work).pull()
    pool = SnapshotSource(SNAPSHOT, query=QUERY).located(HERE, work).pull()
    ids = [str(name) for name in pool.ids[:limit]]
    assert pool.structure is not None
    frame = pool.frame([pool.id, pool.structure], ids=ids)
    begun = time.monotonic()
    results = dict(_results(list(zip(frame[pool.id], frame[pool.structure], strict=True)), work, processes))
    seconds = time.monotonic() - begun
    rows = [_row(name, results[name]) for name in ids]
    provenance = {
        "kind": "answers",
        "source": "calculated by campaigns/data/calculate_pool.py from structures of the Materials Project",
        "licence": "CC-BY 4.0",
        "snapshot": parent.hash,
        "query": QUERY,
        "target": EXPERIMENT.target,
        "experiment": dict(EXPERIMENT.describe()),
        "calculated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "last_run": {
            "seconds": round(seconds, 1),
            "processes": processes,
            "calculated": sum(not result.cached for result in results.values()),
        },
    }
    answers = Snapshot.write(pd.DataFrame(rows), out, id="id", provenance=provenance)
    for old in [*out.glob("*.json"), *out.glob("*.parquet")]:
        if old.stem != answers.hash:
            old.unlink()
    return answers


def _results(candidates: list[tuple[str, str]], work: Path, processes: int) -> Iterator[tuple[str, Result]]:
    """(id, result) as they are finished, with a line of progress on standard error."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers, before they load torch
    begun = time.monotonic()
    # Ctrl-C is the parent's business: a worker finishes what it is at, which is then kept.
    deaf = (signal.SIGINT, signal.SIG_IGN)
    executor = ProcessPoolExecutor(processes, get_context("spawn"), initializer=signal.signal, initargs=deaf)
    try:
        jobs = [executor.submit(_run, name, structure, work) for name, structure in candidates]
        for done, job in enumerate(as_completed(jobs), start=1):
            yield job.result()
            if done % 10 == 0 or done == len(jobs):
                left = (time.monotonic() - begun) / done * (len(jobs) - done)
                print(f"\r{done:,} of {len(jobs):,}, {left / 60:.1f} min left ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _run(name: str, structure: str, work: Path) -> tuple[str, Result]:
    """One experiment, in a worker."""
    candidate = Candidate(name, "", {EXPERIMENT.structure: structure})
    try:
        result = EXPERIMENT.located(HERE, work).run(Proposal(name, "all", "every answer", candidate=candidate))
    except ExperimentFailed as error:
        if error.retryable:
            raise
        result = Result("failed", reason=str(error))
    return name, result


def _row(name: str, result: Result) -> dict[str, Any]:
    value = result.values.get(EXPERIMENT.target)
    return {
        "id": name,
        EXPERIMENT.target: None if value is None else value.value,
        f"{EXPERIMENT.target}_std": None if value is None else value.std,
        "status": result.status,
        "reason": result.reason,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=WORK, help="where finished calculations are kept")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--limit", type=int, help="only the first so many candidates, to try it out")
    given = parser.parse_args()
    try:
        answers = calculate(given.work, given.out, processes=given.processes, limit=given.limit)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    counts = answers.frame()["status"].value_counts().to_dict()
    print(f"{answers.path}: {len(answers):,} answers, {counts}")


if __name__ == "__main__":
    main()
