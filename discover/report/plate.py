"""A batch as a plate: a well for each proposal, a sheet to be filled in, and a picture to be printed."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd
from matplotlib.patches import FancyBboxPatch

from discover.errors import InvalidInput, Problem
from discover.report.figure import ROLES, Picture, picture, styled

SIZES: Mapping[int, tuple[int, int]] = {24: (4, 6), 96: (8, 12), 384: (16, 24)}
"""Rows and columns of a plate, by its number of wells."""
WELL = "well"
"""The column of a sheet that says where a proposal stands."""
LETTERS = "ABCDEFGHIJKLMNOP"
TINTS = ("#dcebf7", "#fbe6d2", "#dff0df", "#f3dff0", "#fff3c4", "#e2e2f5", "#f7dede", "#d9f1ef")
"""Grounds of wells, one a value of the first column of names that differs; after the last they begin anew."""
LONGEST = 16
"""Characters of a value that a well shows."""


@dataclass(frozen=True)
class Plate:
    """wells: [n] names. conditions: [n], the candidates' columns that are set. same: values that all wells have."""

    size: int
    wells: tuple[str, ...]
    conditions: pd.DataFrame
    same: Mapping[str, Any]

    @classmethod
    def of(cls, batch: pd.DataFrame, columns: Sequence[str], size: int) -> Plate:
        """The proposals of a batch in the wells A1, A2, … in their order. InvalidInput where they are more than the wells.

        columns: those of the batch that say what is set.
        """
        if size not in SIZES:
            told = ", ".join(map(str, SIZES))
            raise InvalidInput("plate", [Problem("no such plate", value=size, way_out=f"there are {told} wells")])
        if len(batch) > size:
            raise InvalidInput("plate", [Problem(f"{len(batch)} proposals do not fit", value=size)])
        across = SIZES[size][1]
        wells = tuple(f"{LETTERS[k // across]}{k % across + 1}" for k in range(len(batch)))
        conditions = batch[list(columns)].reset_index(drop=True)
        first: Any = conditions.iloc[0] if len(batch) > 1 else {}
        same = {c: first[c] for c in columns if len(batch) > 1 and all(_same(v, first[c]) for v in conditions[c])}
        return cls(size, wells, conditions, same)

    @property
    def varied(self) -> list[str]:
        """Columns in which the wells differ."""
        return [column for column in self.conditions.columns if column not in self.same]

    def lines(self, place: int) -> list[str]:
        """What differs in one well, a line a column; parts of a mixture that are not in it are left out."""
        row = self.conditions.iloc[place]
        told = []
        for column in self.varied:
            value = row[column]
            part = "." in column
            if _absent(value) or (part and isinstance(value, Real) and float(value) == 0.0):
                continue
            name = column.rpartition(".")[2] if part else column
            told.append(_short(value) if isinstance(value, str) else f"{name[:LONGEST]} {_short(value)}")
        return told

    @property
    def constants(self) -> str:
        """What all wells have, in a line."""
        return ", ".join(f"{column} {_short(value)}" for column, value in self.same.items() if not _absent(value))

    def sheet(self, batch: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
        """The batch with its wells, and empty columns for results, for a status where there is none, and for a note."""
        empty = dict.fromkeys([*targets, "status", "note"], "")
        frame = batch.reset_index(drop=True).assign(**empty)
        frame.insert(1, WELL, list(self.wells))
        return frame


def draw_plate(plate: Plate, title: str) -> Picture:
    """A page in landscape with the conditions of every well; the colour is that of the first name that differs."""
    down, across = SIZES[plate.size]
    figure, axes = picture(11.2, 7.6, f"{title}: a plate of {plate.size} wells, {len(plate.wells)} of them used")
    tint = _tints(plate)
    size = {24: 8.0, 96: 4.9, 384: 2.6}[plate.size]
    with styled():
        axes.set_title(title + (f"\nall wells: {plate.constants}" if plate.constants else ""), loc="left")
        for place in range(plate.size):
            row, column = divmod(place, across)
            used = place < len(plate.wells)
            axes.add_patch(
                FancyBboxPatch(
                    (column + 0.06, row + 0.06), 0.88, 0.88, boxstyle="round,pad=0,rounding_size=0.12",
                    facecolor=tint[place] if used else "none", edgecolor=ROLES["muted"], linewidth=0.6,
                )
            )  # fmt: skip
            if used:
                axes.text(
                    column + 0.5, row + 0.5, "\n".join([plate.wells[place], *plate.lines(place)]), ha="center",
                    va="center", fontsize=size, color=ROLES["ink"], linespacing=1.15, clip_on=True,
                )  # fmt: skip
        axes.set_xlim(0, across)
        axes.set_ylim(down, 0)
        axes.set_xticks([k + 0.5 for k in range(across)], [str(k + 1) for k in range(across)])
        axes.set_yticks([k + 0.5 for k in range(down)], list(LETTERS[:down]))
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def picture_bytes(figure: Picture, suffix: str) -> bytes:
    """The picture as .png, .svg or .pdf. InvalidInput for another suffix."""
    kinds = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
    if suffix.lower() not in kinds:
        raise InvalidInput(
            "picture", [Problem("no such kind of picture", value=suffix, way_out="use .png, .svg or .pdf")]
        )
    out = io.BytesIO()
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kinds[suffix.lower()])
    with styled():
        figure.savefig(out, format=kinds[suffix.lower()], dpi=200, facecolor="white", metadata=dates)
    return out.getvalue()


def workbook(sheet: pd.DataFrame, plate: Plate) -> bytes:
    """An Excel workbook: the sheet to be filled in, and the plate as it lies on the bench. Text is never a formula."""
    from openpyxl import Workbook

    book = Workbook()
    _fill_in(book.active, sheet)
    _bench(book.create_sheet("plate"), plate)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill_in(results: Any, sheet: pd.DataFrame) -> None:
    """The rows of a sheet as cells, numbers as numbers."""
    from openpyxl.styles import Font

    results.title = "results"
    for line, row in enumerate([list(sheet.columns), *sheet.itertuples(index=False)], start=1):
        for place, given in enumerate(row, start=1):
            if _absent(given) or given == "":
                continue
            value = given.item() if hasattr(given, "item") else given
            if isinstance(value, (bool, int, float)):
                results.cell(line, place).value = value
            else:
                _put(results.cell(line, place), str(value))
            if line == 1:
                results.cell(line, place).font = Font(bold=True)
    results.freeze_panes = "C2"


def _bench(bench: Any, plate: Plate) -> None:
    """The wells as they lie, each with what differs in it."""
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    down, across = SIZES[plate.size]
    for k in range(across):
        bench.cell(1, k + 2).value = k + 1
        bench.column_dimensions[get_column_letter(k + 2)].width = LONGEST + 4
    for k in range(down):
        bench.cell(k + 2, 1).value = LETTERS[k]
    for place in range(len(plate.wells)):
        cell = bench.cell(place // across + 2, place % across + 2)
        _put(cell, "\n".join(plate.lines(place)))
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    if plate.constants:
        _put(bench.cell(down + 3, 1), f"all wells: {plate.constants}")


def _put(cell: Any, text: str) -> None:
    """Text as text: never a formula, a date or a number that the spreadsheet makes of it."""
    from discover.experiment.laboratory.text import excel_escaped

    cell.value, cell.data_type, cell.number_format = excel_escaped(text), "s", "@"


def read_workbook(data: bytes) -> pd.DataFrame:
    """The first sheet of a workbook as a frame whose index holds the rows' numbers; empty cells are None.

    What a person sees and a program does not get is a problem: errors, formulas without a saved result, merged cells. Numbers
    shown as percentages are `Percent`.
    """
    from discover.experiment.laboratory.numbers import Odd
    from discover.experiment.laboratory.reading import NotWhole, Refused, read_grids

    try:
        rows = list(read_grids(data, ".xlsx")[0].rows)
    except (NotWhole, Refused) as error:
        hint = getattr(error, "way_out", "")
        raise InvalidInput("results", [Problem(f"cannot be read as .xlsx: {error}", way_out=hint)]) from error
    if not rows:
        raise InvalidInput("results", [Problem("the first sheet is empty")])
    names = ["" if name is None else str(name).strip() for name in rows[0][1]]
    cells = [[cell for name, cell in zip(names, row, strict=True) if name] for _, row in rows[1:]]
    problems = [
        Problem("stands beyond the named columns", row=line, value=cell)
        for line, row in rows[1:]
        for name, cell in zip(names, row, strict=True)
        if not name and cell is not None
    ]
    named = [name for name in names if name]
    problems += [
        Problem(cell.reason, row=line, column=name, value=cell.value, way_out="write the value itself")
        for (line, _), row in zip(rows[1:], cells, strict=True)
        for name, cell in zip(named, row, strict=True)
        if isinstance(cell, Odd)
    ]
    if problems:
        raise InvalidInput("results", problems)
    index = pd.Index([line for line, _ in rows[1:]], dtype=object)
    frame = pd.DataFrame(cells, columns=named, index=index, dtype=object)
    return frame[frame.notna().any(axis=1)]


def _tints(plate: Plate) -> list[str]:
    names = [c for c in plate.varied if plate.conditions[c].map(lambda value: isinstance(value, str)).all()]
    if not names:
        return [TINTS[0]] * len(plate.wells)
    values = plate.conditions[names[0]]
    places = {value: k for k, value in enumerate(dict.fromkeys(values))}
    return [TINTS[places[value] % len(TINTS)] for value in values]


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Real):
        return f"{float(value):.6g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (_absent(one) and _absent(other))


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, Real) and not isinstance(value, bool) and math.isnan(float(value)))
