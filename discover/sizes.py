"""How large a table may be that is held in memory as a whole: one number for candidates, their features and their scale."""

from __future__ import annotations

CELLS = 20_000_000
"""Cells of the largest table that is held in memory; what is larger stays on disk, and is looked at part by part."""


def large(rows: int, columns: int) -> bool:
    """Whether a table of so many rows and columns stays on disk."""
    return rows * columns > CELLS
