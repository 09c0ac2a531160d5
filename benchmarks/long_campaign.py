"""A campaign of 100,000 events: how long it takes to open, to tell a row, and to see where it stands.

    OMP_NUM_THREADS=1 python benchmarks/long_campaign.py
    OMP_NUM_THREADS=1 python benchmarks/long_campaign.py --events 2000 --engines sqlite

The campaign is lived by the program itself: batches are asked for, proposals are submitted and told. Opening is done by a
new process that has imported everything, three times; the median counts, and processor seconds stand beside it for machines
that others use. Telling is `campaign.tell` of a frame with one row
for a pending proposal, its commit on the disk included; median, 99th percentile and the slowest of 200 stand there. Once
in ten thousand events the cached fold is written as well, which is what the slowest may show.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from discover import Campaign, CandidatePool, Objective
from discover.store.canonical import canonical
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import identity
from discover.store.log.events import Draft, submission_key
from tests import postgres

GOALS = {"open [s]": 1.0, "tell a row, median [s]": 0.020}
BATCH = 500


def lived(url: str, events: int) -> Campaign:
    """A campaign with so many events, three in four of them submissions and observations."""
    rows = events // 2 + 2 * BATCH
    dice = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"row-{i:06d}" for i in range(rows)], "a": dice.random(rows), "b": dice.random(rows)})
    pool = CandidatePool.from_frame(frame, id="id", features=["a", "b"])
    campaign = Campaign.create("long", objective=Objective("y"), candidates=pool, policy="random", store=url)
    journal = campaign._journal
    while journal.ledger.seq < events:
        campaign.ask(BATCH)
        journal.transact(_finished)
    campaign.ask(BATCH)
    return campaign


def _finished(ledger: Ledger) -> Iterator[Draft]:
    """Submit every pending proposal, and tell its result: what a worker writes, in fewer transactions."""
    from discover.values import Observation

    for trial in ledger.pending():
        pid = trial.proposal_id
        body = {"proposal_id": pid, "attempt": 1, "key": submission_key(pid, 1), "worker": "bench"}
        yield Draft("submitted", body, identity=canonical(["submitted", pid, 1]))
        found = Observation(trial.candidate_id, "y", trial.seq + trial.place / 7, proposal_id=pid, source="experiment",
                            extra={"attempt": 1, "cached": False, "details": {}})  # fmt: skip
        key = identity(found)
        body = {name: value for name, value in vars(found).items() if name != "seq"}
        yield Draft("observed", {"identity": key, "observation": body}, identity=f"observed {key}")


OPEN = """
import json, sys, time
import numpy, pandas
from discover import Campaign
import discover.candidates.pool.pool, discover.campaign.telling.telling, discover.provenance, sqlalchemy, psycopg
import discover.store.database.migrating
url = sys.argv[1]
from discover.store.log.log import EventLog
EventLog("sqlite://").names()
start, processor = time.perf_counter(), time.process_time()
campaign = Campaign.open("long", store=url)
opened, processor = time.perf_counter() - start, time.process_time() - processor
start = time.perf_counter()
text = str(campaign.status())
print(json.dumps({"open [s]": opened, "open, processor [s]": processor, "status [s]": time.perf_counter() - start, "events": campaign.ledger.seq}))
"""


def opened(url: str) -> dict[str, float]:
    """Medians of three new processes."""
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", OPEN, url], check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def told(url: str, rows: int) -> dict[str, float]:
    """Tell pending rows one by one, as somebody who has just opened the campaign."""
    campaign = Campaign.open("long", store=url)
    pids = [trial.proposal_id for trial in campaign.ledger.pending()[:rows]]
    seconds = []
    for number, pid in enumerate(pids):
        frame = pd.DataFrame({"proposal_id": [pid], "y": [float(number)]})
        start = time.perf_counter()
        campaign.tell(frame)
        seconds.append(time.perf_counter() - start)
    later = sorted(seconds[1:])
    return {
        "first tell, with the candidates [s]": seconds[0],
        "tell a row, median [s]": statistics.median(later),
        "tell a row, 99th percentile [s]": later[int(0.99 * (len(later) - 1))],
        "tell a row, slowest [s]": later[-1],
    }


@contextmanager
def places(engines: Sequence[str], folder: Path) -> Iterator[dict[str, str]]:
    """A store's URL on each engine; the server waits for the disk, as real ones do."""
    urls = {}
    if "sqlite" in engines:
        urls["sqlite"] = f"sqlite:///{folder / 'long.db'}"
    if "postgresql" not in engines:
        yield urls
        return
    os.environ["DISCOVER_FILES"] = str(folder / "files")
    with postgres.running(durable=True) as server:
        if server is None:
            raise SystemExit("no PostgreSQL server could be started; --engines sqlite goes without")
        yield urls | {"postgresql": server.create("long")}


def measure(events: int, engines: Sequence[str], rows: int = 200) -> dict[str, Any]:
    """The numbers of both engines, and whether the goals were met."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="long_") as folder, places(engines, Path(folder)) as urls:
        for engine, url in urls.items():
            start = time.perf_counter()
            campaign = lived(url, events)
            numbers: dict[str, float] = {"events": campaign.ledger.seq, "made in [s]": time.perf_counter() - start}
            numbers |= opened(url) | told(url, rows)
            found[engine] = {name: round(value, 4) for name, value in numbers.items()}
            met = {f"{name} < {goal}": bool(numbers[name] < goal) for name, goal in GOALS.items()}
            found[engine]["goals"] = met
    found["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                        "python": platform.python_version(), "load": os.getloadavg()[0]}  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--engines", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args()
    found = measure(given.events, given.engines)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
