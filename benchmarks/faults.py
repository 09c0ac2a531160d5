"""A thousand kills: the core loop is SIGKILLed before and after every commit and at random instants, and resumed.

    OMP_NUM_THREADS=1 python benchmarks/faults.py                       # 1,000 instants, on both engines
    OMP_NUM_THREADS=1 python benchmarks/faults.py --instants 50 --json faults.json

After every kill and resume it is checked that nothing committed was lost or calculated again, that nothing was doubled and
no candidate proposed twice, that the audit is clean, and that the finished campaign and its next batch are those of a run
that nobody disturbed, bit for bit. One campaign in twenty has the bayesian policy, the others the random one. The first that
is not so ends the benchmark with its error. A PostgreSQL server is started from this machine or from the wheel that carries it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import postgres
from tests.faults.bench import BAYESIAN, RANDOM, Fields, Lives, Truth, at_a_boundary, at_random

ENGINES = ("sqlite", "postgresql")
SHARE_BAYESIAN = 20
"""One campaign in so many."""


def instants(wanted: int, seed: int, folder: Path, servers: dict[str, Any], lives: Lives) -> Iterator[tuple[str, int]]:
    """(kind, kills) of one campaign after another until there are enough; engines take turns."""
    dice = random.Random(seed)
    made: dict[tuple[str, str], tuple[Fields, Truth]] = {}
    boundaries: dict[tuple[str, str], list[tuple[str, int]]] = {}
    number = 0
    while True:
        engine = list(servers)[number % len(servers)]
        policy = "bayesian" if number % SHARE_BAYESIAN in (SHARE_BAYESIAN - 2, SHARE_BAYESIAN - 1) else "random"
        number += 1
        where = engine, policy
        if where not in made:
            settings, budget = (BAYESIAN, 8) if policy == "bayesian" else (RANDOM, 6)
            fields = Fields(folder / f"{policy}_{engine}", settings, budget, servers[engine])
            made[where] = fields, fields.truth(lives)
            boundaries[where] = [(side, k) for side in ("before", "after") for k in range(1, made[where][1].commits)]
            dice.shuffle(boundaries[where])
        fields, truth = made[where]
        if boundaries[where] and (policy == "random" or dice.random() < 0.5):
            side, k = boundaries[where].pop()
            at_a_boundary(fields, lives, truth, side, k)
            yield f"{engine}, {policy}, {side} a commit", 1
        else:
            kills = at_random(fields, lives, truth, dice, min(6, wanted))
            yield f"{engine}, {policy}, at random", kills


def measure(wanted: int, seed: int, engines: tuple[str, ...]) -> dict[str, Any]:
    """Kill until there were enough instants; how many of each kind there were."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="faults_", dir=memory if memory.is_dir() else None))
    os.environ["DISCOVER_FILES"], os.environ["DISCOVER_SNAPSHOTS"] = str(folder / "files"), str(folder / "snapshots")
    counts: Counter[str] = Counter()
    campaigns, began = 0, time.perf_counter()
    try:
        with postgres.running() as server:
            if server is None and "postgresql" in engines:
                raise SystemExit("no PostgreSQL server could be started; --engines sqlite goes without")
            lives = Lives(bayesian=True)
            try:
                servers = {engine: server if engine == "postgresql" else None for engine in engines}
                for kind, kills in instants(wanted, seed, folder, servers, lives):
                    counts[kind] += kills
                    campaigns += 1
                    print(f"{counts.total():,} of {wanted:,} kills, {campaigns} campaigns", end="\r", flush=True)
                    if counts.total() >= wanted:
                        break
            finally:
                lives.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print()
    return {
        "kills": counts.total(), "campaigns": campaigns, "kinds": dict(sorted(counts.items())),
        "lost": 0, "doubled": 0, "calculated again": 0, "different from the undisturbed run": 0,
        "seed": seed, "seconds": round(time.perf_counter() - began, 1),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                    "python": platform.python_version()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args()
    found = measure(given.instants, given.seed, tuple(given.engines))
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
