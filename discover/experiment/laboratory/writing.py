"""A batch as a sheet to be filled in: the bytes of a CSV or of a workbook."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from discover.experiment.laboratory.text import csv_escaped, excel_escaped
from discover.values import Proposal

LONGEST_SHOWN = 200
LONGEST_CELL = 32_000
LAST = ("status", "note", "replicate", "measured_at")
HELP = "How to fill this in"


@dataclass(frozen=True)
class Blank:
    """A sheet to be filled in. header: names with units. rows: cells; None where somebody writes."""

    header: list[str]
    rows: list[list[Any]]
    targets: Mapping[str, str]


def blank_sheet(
    proposals: Sequence[Proposal], targets: Mapping[str, str], columns: Sequence[str] | None, predicted: bool
) -> Blank:
    """What stands in the sheet: ids, what is to be made, and empty columns for what is found out.

    columns: the candidates' columns that are shown; None: all that are short texts or numbers. predicted: show what the
    model expects; whoever measures should better not know.
    """
    candidates = [proposal.candidate for proposal in proposals]
    values = [candidate.values if candidate else {} for candidate in candidates]
    own = {"proposal_id", "id", *LAST, *targets, *(f"{t}_std" for t in targets)}
    every = dict.fromkeys(name for row in values for name in row if name not in own)
    shown = [name for name in every if all(_is_short(row.get(name)) for row in values)] if columns is None else columns
    shown = [name for name in shown if not _repeats_id(name, proposals)]
    guesses = list(targets) if predicted else []
    asked = [part for target in targets for part in (target, f"{target}_std")]
    header = ["proposal_id", "id", *shown, *(_headed(f"predicted_mean_{t}", targets[t]) for t in guesses)]
    header += [_headed(name, targets[name.removesuffix("_std") if name not in targets else name]) for name in asked]
    rows = [
        [p.proposal_id, p.candidate_id, *(row.get(name) for name in shown),
         *(p.predicted[t].mean if t in p.predicted else None for t in guesses), *[None] * (len(asked) + len(LAST))]
        for p, row in zip(proposals, values, strict=True)
    ]  # fmt: skip
    return Blank([*header, *LAST], rows, targets)


def _headed(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _is_short(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= LONGEST_SHOWN)  # fmt: skip


def _repeats_id(name: str, proposals: Sequence[Proposal]) -> bool:
    return all(p.candidate is not None and str(p.candidate.values.get(name)) == p.candidate_id for p in proposals)


def _text(value: Any) -> Any:
    """A cell: numbers as numbers, everything else as text; None where there is nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)[:LONGEST_CELL]
    return value


def as_csv(blank: Blank, decimal: Literal["auto", ".", ","]) -> bytes:
    """CSV that spreadsheets read as UTF-8. With decimal ',': semicolons between cells, commas in numbers."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";" if decimal == "," else ",", lineterminator="\r\n")
    writer.writerow([csv_escaped(name) for name in blank.header])
    for row in blank.rows:
        writer.writerow([_csv_cell(_text(cell), decimal) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def _csv_cell(cell: Any, decimal: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return csv_escaped(cell)
    return repr(cell).replace(".", ",") if decimal == "," else repr(cell)


def as_workbook(blank: Blank) -> bytes:
    """A workbook: frozen header, readable widths, a choice of statuses, and a second sheet that says how to fill it in."""
    from openpyxl import Workbook
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.active
    sheet.title = "Results"
    asked = PatternFill("solid", fgColor="FFF8E1")
    first = len(blank.header) - len(LAST) - 2 * len(blank.targets)
    for place, name in enumerate(blank.header, start=1):
        _put(sheet.cell(1, place), name).font = Font(bold=True)
        width = max(
            len(str(cell)) for cell in [name, *(row[place - 1] for row in blank.rows if row[place - 1] is not None)]
        )
        sheet.column_dimensions[get_column_letter(place)].width = min(max(width + 2, 10), 40)
    for line, row in enumerate(blank.rows, start=2):
        for place, value in enumerate(row, start=1):
            cell = _put(sheet.cell(line, place), _text(value))
            if place > first:
                cell.fill = asked
    sheet.freeze_panes = sheet.cell(2, 3)
    choices = DataValidation(type="list", formula1='"measured,failed,infeasible,censored"', allow_blank=True)
    letter = get_column_letter(blank.header.index("status") + 1)
    choices.add(f"{letter}2:{letter}{len(blank.rows) + 1}")
    sheet.add_data_validation(choices)
    _explain(book, blank)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _put(cell: Any, value: Any) -> Any:
    """Text is text: never a formula, a date or a number that the spreadsheet makes of it."""
    if isinstance(value, str):
        cell.value = excel_escaped(value)
        cell.data_type = "s"
        cell.number_format = "@"
        cell.quotePrefix = True
    else:
        cell.value = value
    return cell


def _explain(book: Any, blank: Blank) -> None:
    sheet = book.create_sheet(HELP)
    sheet.column_dimensions["A"].width = 110
    for line, text in enumerate(_help(blank.targets), start=1):
        _put(sheet.cell(line, 1), text)


def _help(targets: Mapping[str, str]) -> list[str]:
    named = ", ".join(f"{name}{f' in {unit}' if unit else ''}" for name, unit in targets.items())
    return [
        f"Fill in {named}, one row for each trial. Rows may be left empty, sorted or sent later; then save the file into the inbox.",
        "Do not change proposal_id and id: they say which trial a row belongs to. Sort whole rows only: a sheet whose other cells are "
        "not those of its trials comes back as a whole. What was done otherwise than asked for goes into the column 'note'.",
        "A decimal point or a decimal comma, both are read. Write numbers alone; remarks go into the column 'note'.",
        "…_std: the standard deviation of the value, if it is known, in the same unit.",
        "Below or above what the instrument reads: write '<5' or '>95'.",
        "status: leave it empty for a value. 'failed': tried, no value (say why in 'note'). 'infeasible': it cannot exist or gives nothing.",
        "replicate: empty for the first measurement; 1, 2, … in further rows with the same proposal_id for repeated ones.",
        "measured_at: such as 2026-01-31 or 2026-01-31 14:30.",
        "Further rows with only an id, for what was measured without being asked for, and further columns are allowed; other columns are not read.",
        "What cannot be read comes back with its reason in the folder 'quarantine' of the inbox; good rows are taken all the same.",
    ]
