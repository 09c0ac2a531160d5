"""A frame as text for a terminal: all rows, columns as far as they fit, numbers short."""

from __future__ import annotations

import pandas as pd

WIDEST = 40


def table_text(frame: pd.DataFrame, width: int = 160) -> str:
    """Lines of aligned columns; columns that do not fit are named below."""
    if frame.empty:
        return "(none)"
    shown: list[tuple[str, int]] = []
    left_out: list[str] = []
    used = 0
    cells = {str(c): [_cell(v) for v in frame[c]] for c in frame.columns}
    for name, column in cells.items():
        size = max(len(name), *(len(cell) for cell in column)) + 2
        if used + size > width and shown:
            left_out.append(name)
            continue
        shown.append((name, size))
        used += size
    lines = ["".join(name.ljust(size) for name, size in shown).rstrip()]
    for row in range(len(frame)):
        lines.append("".join(cells[name][row].ljust(size) for name, size in shown).rstrip())
    if left_out:
        lines.append(f"(also: {', '.join(left_out)}; --json shows them)")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    text = f"{value:.5g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
