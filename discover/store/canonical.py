"""Canonical JSON: one text for one value, so that hashes and comparisons are stable."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from discover.errors import InvalidInput, Problem


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
    """Compact JSON with sorted keys; floats in their shortest exact form. InvalidInput for text that is not Unicode."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _not_unicode(text, error.start) from error
    return text


def _not_unicode(text: str, place: int) -> InvalidInput:
    near = text[max(0, place - 30) : place + 10].encode("utf-8", "backslashreplace").decode()
    return InvalidInput(
        "text", [Problem("half of a character cannot be stored", value=near, way_out="read the file with its encoding")]
    )


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
