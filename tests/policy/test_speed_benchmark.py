"""The speed benchmark runs, small, and reports both routes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_speed_benchmark_reports_both_routes_side_by_side(tmp_path: Path) -> None:
    small = {"rows": 120, "features": 6, "observations": 15, "batch": 3, "repeats": 1, "threads": 1}
    arguments = [part for name, value in small.items() for part in (f"--{name}", str(value))]
    out = tmp_path / "speed.json"
    script = str(ROOT / "benchmarks" / "speed.py")
    told = subprocess.run(
        [sys.executable, script, *arguments, "--json", str(out)], capture_output=True, text=True, check=True
    )
    found = json.loads(out.read_text())
    assert "BoTorch's route takes" in told.stdout
    assert found["ratio"] > 0
    for route in ("discover", "botorch"):
        numbers = found["seconds"][route]
        assert 0 < numbers["fit"] <= numbers["first"] + numbers["whole"]
        assert len(set(numbers["rows"])) == 3
    assert found["settings"]["observations"] == 15
