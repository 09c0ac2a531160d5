"""The benchmarks are scripts, not a package that is installed: their folder is put on the path for their tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
