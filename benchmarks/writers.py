"""Sixteen processes ask and tell one campaign for a minute, on each engine: how much gets through, and that nothing is lost.

    OMP_NUM_THREADS=1 python benchmarks/writers.py
    OMP_NUM_THREADS=1 python benchmarks/writers.py --processes 4 --seconds 5 --engines sqlite

Every process opens the campaign by itself and asks for one candidate, tells its result, and now and then tells it again,
withdraws one or excludes one, as fast as it can. Each writes down outside of the store what it was promised. In the end every
promised proposal and value must be in the store once, no candidate may have been proposed twice, events must be numbered
without a gap, and the audit must find no error. Throughput counts committed events and asks of all processes together.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from discover import Campaign, CandidatePool, Objective
from discover.errors import Conflict, StoreError
from discover.provenance.audit import audit
from discover.store.ledger.ledger import Ledger
from tests import postgres

CANDIDATES = 50_000


def begin(url: str, candidates: int = CANDIDATES) -> None:
    """The campaign that everybody writes into."""
    ids = [f"row-{i:06d}" for i in range(candidates)]
    frame = pd.DataFrame({"id": ids, "a": np.arange(candidates) / candidates})
    pool = CandidatePool.from_frame(frame, id="id", features=["a"])
    Campaign.create("c", objective=Objective("y"), candidates=pool, policy="random", store=url)


def write(url: str, number: int, seconds: float, promises: str, ready: Any) -> None:
    """One process: ask and tell until the time is over; what it was promised goes to a file of its own."""
    warnings.simplefilter("ignore")
    dice, mine = random.Random(number), []
    campaign = Campaign.open("c", store=url)
    asks, busy = [], 0
    ready.wait()  # until all have imported
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.perf_counter()
        try:
            batch = campaign.ask(1)
        except Conflict:  # others kept taking what was chosen
            busy += 1
            continue
        asks.append(time.perf_counter() - start)
        pid, candidate, value = batch["proposal_id"][0], batch["id"][0], dice.random()
        mine.append(["proposed", pid, candidate])
        if dice.random() < 0.05:
            campaign.withdraw(pid, reason="a whim")
            mine.append(["withdrawn", pid])
            continue
        told = pd.DataFrame({"proposal_id": [pid], "y": [value]})
        campaign.tell(told)
        mine.append(["observed", pid, value])
        if dice.random() < 0.1:
            assert campaign.tell(told)["became"].tolist() == ["already known"]
        if dice.random() < 0.02:
            campaign.note(f"process {number}")
            mine.append(["noted"])
    Path(promises).write_text(json.dumps({"asks": asks, "busy": busy, "promises": mine}))


def check(url: str, promised: Sequence[list]) -> int:
    """Everything that was promised is there once, and nothing else; how many events there are."""
    campaign = Campaign.open("c", store=url)
    events = campaign._journal.log.read("c")
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    stored: Counter = Counter()
    for e in events:
        if e.kind == "proposed":
            stored.update(("proposed", p["proposal_id"], p["candidate_id"]) for p in e.payload["proposals"])
        elif e.kind == "observed":
            stored["observed", e.payload["observation"]["proposal_id"], e.payload["observation"]["value"]] += 1
        elif e.kind == "withdrawn":
            stored.update(("withdrawn", pid) for pid in e.payload["proposal_ids"])
        elif e.kind == "noted":
            stored[("noted",)] += 1
    assert stored == Counter(tuple(one) for one in promised), "lost or doubled"
    free = {e.payload["proposal_ids"][0] for e in events if e.kind == "withdrawn"}
    tried = Counter(t.candidate_id for t in campaign.ledger.trials.values() if t.proposal_id not in free)
    assert max(tried.values()) == 1, "a candidate was proposed twice"
    assert [t.state for t in Ledger().apply(events).trials.values()] == [
        t.state for t in campaign.ledger.trials.values()
    ]
    report = audit(url)
    assert report.clean, report
    campaign._journal.log.database.close()
    return len(events)


def measure(url: str, processes: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Throughput of so many processes on one store."""
    begin(url)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes)
    files = [folder / f"{n}.json" for n in range(processes)]
    workers = [context.Process(target=write, args=(url, n, seconds, str(files[n]), ready)) for n in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(worker.exitcode == 0 for worker in workers), [worker.exitcode for worker in workers]
    lives = [json.loads(file.read_text()) for file in files]
    asks = sorted(second for life in lives for second in life["asks"])
    events = check(url, [one for life in lives for one in life["promises"]])
    return {
        "processes": processes, "seconds": seconds, "events": events, "events a second": round(events / seconds, 1),
        "asks": len(asks), "ask, median [s]": round(statistics.median(asks), 4),
        "ask, 99th percentile [s]": round(asks[int(0.99 * (len(asks) - 1))], 4),
        "asks given up as others took the candidates": sum(life["busy"] for life in lives),
        "fewest asks of a process": min(len(life["asks"]) for life in lives),
        "lost": 0, "doubled": 0,
    }  # fmt: skip


def run(processes: int, seconds: float, engines: Sequence[str]) -> dict[str, Any]:
    """Every engine in turn."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="writers_") as place:
        folder = Path(place)
        if "sqlite" in engines:
            found["sqlite"] = measure(f"sqlite:///{folder / 'c.db'}", processes, seconds, folder)
        if "postgresql" in engines:
            os.environ["DISCOVER_FILES"] = str(folder / "files")
            with postgres.running(durable=True) as server:
                if server is None:
                    raise StoreError("no PostgreSQL server could be started; --engines sqlite goes without")
                found["postgresql"] = measure(server.create("writers"), processes, seconds, folder)
    found["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                        "python": platform.python_version(), "load": os.getloadavg()[0]}  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--engines", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args()
    found = run(given.processes, given.seconds, given.engines)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
