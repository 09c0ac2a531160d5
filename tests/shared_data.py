"""The shared data, which lie beside the repository on some machines only; tests that read them are skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the repository")
