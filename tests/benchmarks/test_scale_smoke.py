"""The benchmark of scale runs, and says what it says."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/scale.py"


def test_a_small_case_is_measured(tmp_path):
    out = tmp_path / "scale.json"
    given = ["--rows", "3000", "--features", "6", "--observations", "40", "--botorch", "--json", str(out)]
    done = subprocess.run([sys.executable, str(SCRIPT), *given], capture_output=True, text=True, check=True)
    assert "floor of exhaustive search" in done.stdout
    [case] = json.loads(out.read_text())["cases"]
    assert case["cold"] > 0
    assert case["next"] > 0
    assert case["botorch_search"] > 0
    assert case["floor"]["double"] > 0
    assert case["sweep"]["of"] == 2960
