"""The benchmark of scale runs, says what it says, and goes on where it was."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/scale.py"


def test_a_small_case_is_measured_once(tmp_path):
    out = tmp_path / "scale.json"
    given = ["--rows", "3000", "--features", "6", "--observations", "40", "--who", "floor", "ours", "botorch"]
    call = [sys.executable, str(SCRIPT), *given, "--json", str(out), "--folder", str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "× the floor" in done.stdout
    cases = {case["who"]: case for case in json.loads(out.read_text())["cases"].values()}
    assert set(cases) == {"floor", "ours", "botorch"}
    assert all("failed" not in case for case in cases.values()), cases
    ours = cases["ours"]
    assert ours["cold"] > 0
    assert ours["next"] > 0
    assert ours["sweep"]["of"] == 3000 - 40 - 16
    assert ours["same_as_exhaustive_on_20000"] is True
    assert cases["botorch"]["search"] > 0
    assert cases["floor"]["double"] > 0
    before = out.read_bytes()
    again = subprocess.run(call, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout
    assert out.read_bytes() == before
    late = subprocess.run([*call, "--threads", "2", "--hours", "0"], capture_output=True, text=True, check=True)
    assert not late.stdout
