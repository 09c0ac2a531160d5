"""Batches as plates: what `ask` writes besides a table, and what `tell` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.cli.output import check_new_file, write_csv
from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import pandas as pd

    from discover.campaign import Campaign
    from discover.candidates.sheets.sheet import Sheet
    from discover.candidates.space.points import Pool
    from discover.objective import Objective

PICTURES = (".png", ".svg", ".pdf")
TEXTS = ("proposal_id", "status", "note", "source", "fidelity", "context", "measured_at", "raw_data", "raw_hash")
"""Columns of results that hold no numbers, whatever their cells look like."""


def check_wishes(n: int | None, plate: int | None, out: Path | None, picture: Path | None, *, force: bool) -> int:
    """How many proposals are asked for. InvalidInput for a plate or for files that cannot be, before anything is committed."""
    problems = []
    if plate is not None:
        from discover.report.plate import SIZES

        if plate not in SIZES:
            told = ", ".join(map(str, SIZES))
            problems.append(Problem("no such plate", column="--plate", value=plate, way_out=f"there are {told} wells"))
        elif n is not None and n > plate:
            problems.append(Problem(f"more than the {plate} wells of the plate", column="-n", value=n))
    if picture is not None and plate is None:
        problems.append(Problem("is of a plate", column="--picture", way_out="say --plate 96 or --plate 24, too"))
    if picture is not None and picture.suffix.lower() not in PICTURES:
        told = ", ".join(PICTURES)
        problems.append(
            Problem("no such kind of picture", column="--picture", value=str(picture), way_out=f"use {told}")
        )
    if out is not None and out.suffix.lower() == ".xlsx" and plate is None:
        problems.append(Problem("a workbook is of a plate", column="--out", way_out="say --plate 96, or write a .csv"))
    if problems:
        raise InvalidInput("ask", problems)
    for path in (out, picture):
        if path is not None:
            check_new_file(path, force=force)
    return n if n is not None else plate or 1


def check_columns(campaign: Campaign, plate: int | None) -> None:
    """InvalidInput where a plate's sheet would have two columns of one name: said before anything is committed."""
    from discover.report.plate import WELL

    if plate is not None and WELL in (campaign.pool.id, *campaign.pool.columns, *campaign.objective.names):
        hint = f"a plate's sheet has a column {WELL!r} of its own; ask without --plate, or rename it in the campaign"
        raise InvalidInput("ask", [Problem(f"the campaign has a column {WELL!r}", column="--plate", way_out=hint)])


def write_batch(
    campaign: Campaign, batch: pd.DataFrame, out: Path | None, size: int | None, picture: Path | None
) -> None:
    """The sheet to be filled in and the picture, each whole or not at all."""
    from discover.report.writing import whole_file

    targets = list(campaign.objective.names)
    if size is None:
        if out is not None:
            write_csv(batch.assign(**dict.fromkeys(targets, "")), out)
        return
    from discover.report.plate import Plate, draw_plate, picture_bytes, workbook

    own = [column for column in campaign.pool.columns if column in batch.columns]
    plate = Plate.of(batch, own, size)
    sheet = plate.sheet(batch, targets)
    if out is not None and out.suffix.lower() == ".xlsx":
        with whole_file(out, str(out)) as draft:
            draft.write_bytes(workbook(sheet, plate))
    elif out is not None:
        write_csv(sheet, out)
    if picture is not None:
        data = picture_bytes(draw_plate(plate, campaign.name), picture.suffix)
        with whole_file(picture, str(picture)) as draft:
            draft.write_bytes(data)


def read_results(path: Path) -> pd.DataFrame | Sheet:
    """A sheet of results as it stands: a .csv, whose rows are named by their lines in the file, or the first sheet of an .xlsx."""
    from discover.candidates.sheets.sheet import read_sheet
    from discover.report.plate import read_workbook

    if path.suffix.lower() != ".xlsx":
        return read_sheet(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(str(path), [Problem(f"cannot be read: {error}")]) from error
    return read_workbook(data)


def frame_of(results: pd.DataFrame | Sheet, names: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A sheet as a frame, of a CSV all cells as text with decimal points. names, numbers: columns that certainly hold them.

    InvalidInput for a CSV with semicolons in which a number may mean two.
    """
    from discover.candidates.sheets.sheet import Sheet

    return results.with_points(names, numbers).frame() if isinstance(results, Sheet) else results


def in_units(results: pd.DataFrame | Sheet, campaign: Campaign) -> pd.DataFrame:
    """The results as the campaign reads them, with what a workbook shows as percentages in the targets' units. InvalidInput."""
    objective = campaign.objective
    numbers = ["cost", "replicate", *(name for target in objective.names for name in (target, f"{target}_std"))]
    bounds = [f"{target}_bound" for target in objective.names]
    frame = frame_of(results, [*TEXTS, *bounds, campaign.pool.id, *_labels(campaign.pool)], numbers)
    return _without_percents(frame, objective)


def _labels(pool: Pool) -> list[str]:
    """Columns whose cells are names."""
    from discover.candidates.space.points import Points

    if isinstance(pool, Points):
        return [slot.name for slot in pool.space.slots if slot.labels]
    return list(pool.spec.categorical)


def _without_percents(frame: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The results with what a workbook shows as percentages in the targets' units: 0.551 that is seen as 55.1 %."""
    import pandas as pd

    from discover.experiment.laboratory.numbers import Percent, Unreadable, number

    problems: list[Problem] = []

    def told(cell: Any, row: object, column: str, unit: str) -> Any:
        try:
            return number(cell, unit, frozenset(), "auto")[0] if isinstance(cell, Percent) else cell
        except Unreadable as error:
            problems.append(Problem(str(error), row=row, column=column, value=float(cell), way_out=error.way_out))
            return cell

    units = dict(objective.units)
    own = {c: unit for name, unit in units.items() for c in (name, f"{name}_std") if c in frame.columns}
    read = {
        column: pd.Series([told(cell, row, column, unit) for row, cell in frame[column].items()], frame.index, object)
        for column, unit in own.items()
        if frame[column].map(lambda cell: isinstance(cell, Percent)).any()
    }
    if problems:
        raise InvalidInput("results", problems)
    return frame.assign(**read)


def kept_columns(frame: pd.DataFrame, campaign: Campaign, extra: Sequence[str]) -> list[str]:
    """Columns to keep with the results: those that are named, and the wells of a plate."""
    from discover.report.plate import WELL

    plain = WELL in frame.columns and WELL not in (*campaign.pool.columns, *campaign.objective.names, *extra)
    return [*extra, WELL] if plain else list(extra)


def with_wells(became: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """What became of each row, with its well where the sheet has them."""
    from discover.report.plate import WELL

    if WELL not in frame.columns or "row" not in became.columns or WELL in became.columns:
        return became
    wells = {str(label): well for label, well in frame[WELL].items()}
    told = became.copy()
    told.insert(0, WELL, [wells.get(str(row)) or "" for row in became["row"]])
    return told
