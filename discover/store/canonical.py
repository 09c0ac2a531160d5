"""Canonical JSON: one text for one value, so that hashes and comparisons are stable."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The value as plain JSON types: numpy scalars and arrays become Python's, NaN becomes None, tuples become lists.

    TypeError names what cannot be stored; infinite numbers are refused, for JSON has none.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        if math.isinf(value):
            raise TypeError("an infinite number cannot be stored")
        return None if math.isnan(value) else value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    raise TypeError(f"{type(value).__name__} {value!r} cannot be stored as JSON")


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys; floats in their shortest exact form."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
