"""The benchmark of a large pool runs from the file to the next batch, with a pool that stays on disk."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/big_pool.py"


def test_a_small_pool_from_its_file_to_the_next_batch(tmp_path):
    out = tmp_path / "found.json"
    given = [
        "--rows",
        "3000",
        "--features",
        "4",
        "--observations",
        "30",
        "--cells",
        "1000",
        "--threads",
        "1",
        "--shuffled",
    ]
    call = [sys.executable, str(SCRIPT), *given, "--folder", str(tmp_path / "pool"), "--json", str(out)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    [found] = json.loads(out.read_text()).values()
    assert set(found) >= {"begin", "tell", "ask", "again"}, done.stdout
    assert found["begin"]["candidates"] == 3000
    assert found["ask"]["features"] == found["again"]["features"]
    assert min(found["ask"]["ask"], found["ask"]["next"], found["again"]["again"]) > 0
    files = tmp_path / "pool" / ".discover" / "big-pool.db.files"
    assert list(files.glob("features/ids-*.npy")), "the ids are mapped from a file"
    assert len(list(files.glob("snapshots/*.parquet"))) == 1
