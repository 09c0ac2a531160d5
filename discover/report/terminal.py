"""A frame as text for a terminal: all rows, columns as far as they fit, numbers short."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

WIDEST = 40
LONG = 26
"""From here on a column is shown only where all shorter ones are."""


def table_text(frame: pd.DataFrame, width: int = 160, way: str = "--json shows them") -> str:
    """Lines of aligned columns. Where not all fit, long texts such as SMILES go first; what is left out is named below.

    way: how what is left out can be seen.
    """
    if frame.empty:
        return "(none)"
    cells = {str(c): [_cell(v) for v in frame[c]] for c in frame.columns}
    sizes = {name: max(len(name), *(len(cell) for cell in column)) + 2 for name, column in cells.items()}
    room, kept = width, set(list(cells)[:1])
    room -= sum(sizes[name] for name in kept)
    for name in sorted(cells, key=lambda name: sizes[name] > LONG):  # stable: in their order, the long ones last
        if name not in kept and sizes[name] <= room:
            kept.add(name)
            room -= sizes[name]
    shown = [(name, sizes[name]) for name in cells if name in kept]
    left_out = [name for name in cells if name not in kept]
    lines = ["".join(name.ljust(size) for name, size in shown).rstrip()]
    for row in range(len(frame)):
        lines.append("".join(cells[name][row].ljust(size) for name, size in shown).rstrip())
    if left_out:
        lines.append(f"(also: {', '.join(left_out)}; {way})")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {_cell(cell)}" for key, cell in value.items())
    text = f"{value:.5g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
