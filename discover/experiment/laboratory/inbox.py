"""The folder into which filled sheets are dropped: which are ready, what becomes of them, and what waits in quarantine."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from discover.errors import DiscoverError, Problem
from discover.experiment.folders import now_in, write_whole
from discover.experiment.laboratory.numbers import Decimal
from discover.experiment.laboratory.reading import REFUSED, SUFFIXES, NotWhole, Refused, read_grids
from discover.experiment.laboratory.rows import Rows, read_rows
from discover.experiment.laboratory.text import csv_escaped

LONGEST_NAME = 150
"""Bytes of a sheet's name, without its ending."""
DONE, QUARANTINE = "done", "quarantine"
LINK, HASH = "raw_data", "raw_hash"
"""The frame's columns that say from which file a row comes, and from which content."""


@dataclass(frozen=True)
class Sheet:
    """One file of the inbox, read.

    frame: rows to tell, labelled with their numbers in the file. refused: rows that cannot be told, with their reasons.
    problem: why nothing of the file can be used. later: why it is left alone for now. remarks: what was passed over.
    """

    path: Path
    frame: pd.DataFrame
    refused: tuple[Problem, ...] = ()
    problem: str = ""
    later: str = ""
    remarks: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    cells: Mapping[int, Sequence[str]] = field(default_factory=dict, repr=False)
    empty: int = 0
    stamp: tuple[int, int] = (0, 0)

    def report(self, became: pd.DataFrame | None = None, quarantined: Path | None = None) -> str:
        """What became of the sheet, for a person. became: what `tell` said of `frame`."""
        return _printable(self._report(became, quarantined))

    def _report(self, became: pd.DataFrame | None, quarantined: Path | None) -> str:
        if self.later:
            return f"{self.path.name}: left for later: {self.later}"
        if self.problem:
            return f"{self.path.name}: nothing was read: {self.problem}\n  it waits in {quarantined}"
        counts = became["became"].value_counts().to_dict() if became is not None and len(became) else {}
        told = [f"{count} {what}" for what, count in counts.items() if what != "refused"]
        wrong = self._wrong(became)
        parts = [*told, *([f"{len(wrong)} refused"] if wrong else [])]
        parts += [f"{self.empty} without a result"] if self.empty else []
        lines = [f"{self.path.name}: {', '.join(parts) or 'no row has a result'}"]
        lines += [f"  note: {remark}" for remark in self.remarks]
        lines += [f"  row {row}: {reason}" for row, reason in wrong.items()]
        lines += [f"  mend them in {quarantined} and drop that file into the inbox"] if quarantined else []
        return "\n".join(lines)

    def mixed_up(self, problems: Sequence[Problem]) -> Sheet:
        """The sheet with nothing to be used in it, for cells say of their rows that they belong to other trials."""
        told = "".join(f"\n  {replace(problem, way_out='')}" for problem in problems)
        hint = (
            "a cell was changed, or rows were mixed up (sorted in part): mend the sheet and drop it into the inbox; what was done "
            "otherwise than proposed goes into 'note', and a column may be left out"
        )
        return replace(self, problem=f"what it says of its trials is not what was proposed ({hint}):{told}")

    def _wrong(self, became: pd.DataFrame | None) -> dict[int, str]:
        """Every refused row with its reason, in the order of the file."""
        found: dict[int, list[str]] = {}
        for problem in self.refused:
            found.setdefault(int(str(problem.row)), []).append(_said(problem))
        if became is not None and len(became):
            for record in became[became["became"] == "refused"].to_dict("records"):
                found.setdefault(int(record["row"]), []).append(_to_a_person(str(record["remark"])))
        return {row: "; ".join(found[row]) for row in sorted(found)}


def _to_a_person(remark: str) -> str:
    """A remark whose ways out name Python's functions, with what whoever mends a sheet can do."""
    return remark.replace("correct(…)", "'discover tell --correct'").replace("propose(…)", "'discover propose'")


def _said(problem: Problem) -> str:
    place = f"{problem.column}: " if problem.column else ""
    value = f"{problem.value!r} " if problem.value is not None else ""
    way_out = f" ({problem.way_out})" if problem.way_out else ""
    return f"{place}{value}{problem.message}{way_out}"


@dataclass(frozen=True)
class Inbox:
    """quiet: seconds without a change after which a file counts as whole. patience: seconds for which a broken one may still
    be on its way."""

    folder: Path
    quiet: float
    patience: float

    def sheets(
        self, targets: Mapping[str, str], id_name: str, decimal: Decimal, conditions: Mapping[str, str]
    ) -> Iterator[Sheet]:
        """Every sheet in the folder, by name. Its subfolders, hidden files and other kinds of files are left alone."""
        for path in self._files():
            sheet = self._sheet(path, targets, id_name, decimal, conditions)
            if sheet is not None:
                yield sheet

    def _files(self) -> list[Path]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = sorted(self.folder.iterdir())
        except OSError as error:
            raise DiscoverError(f"the inbox {self.folder} cannot be read: {error}") from error
        kinds = (*SUFFIXES, *REFUSED)
        return [
            path for path in found
            if path.suffix.lower() in kinds and not path.name.startswith((".", "~$")) and not path.is_symlink() and path.is_file()
        ]  # fmt: skip

    def _sheet(
        self, path: Path, targets: Mapping[str, str], id_name: str, decimal: Decimal, conditions: Mapping[str, str]
    ) -> Sheet | None:
        nothing = pd.DataFrame()
        try:
            stamp, age = self._look(path)
            if age < self.quiet:
                return Sheet(path, nothing, later=f"it changed {max(age, 0):.0f} s ago", stamp=stamp)
            data = path.read_bytes()
            if self._look(path)[0] != stamp:
                return Sheet(path, nothing, later="it is being written", stamp=stamp)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Sheet(path, nothing, later=f"it cannot be read: {error.strerror or error}")
        try:
            rows = read_rows(read_grids(data, path.suffix), targets, id_name, decimal, conditions)
        except NotWhole as error:
            if age < self.patience:
                return Sheet(path, nothing, later=f"{error}; perhaps it is still being written", stamp=stamp)
            return Sheet(path, nothing, problem=str(error), stamp=stamp)
        except Refused as error:
            way_out = f" ({error.way_out})" if error.way_out else ""
            return Sheet(path, nothing, problem=f"it {error}{way_out}", stamp=stamp)
        except Exception as error:  # one odd file must not keep the others out
            problem = f"it cannot be read ({type(error).__name__}: {str(error)[:200]})"
            return Sheet(path, nothing, problem=problem, stamp=stamp)
        return _read(path, rows, hashlib.sha256(data).hexdigest(), stamp)

    def _look(self, path: Path) -> tuple[tuple[int, int], float]:
        """Size and time of a file, and its age; a copy that keeps the old date is as young as its arrival."""
        try:
            now = now_in(self.folder)
        except OSError as error:
            raise DiscoverError(
                f"the inbox {self.folder} cannot be written, so no sheet can be put away: {error}"
            ) from error
        found = path.stat()
        return (found.st_size, found.st_mtime_ns), now - max(found.st_mtime, found.st_ctime)

    def settle(self, sheet: Sheet, became: pd.DataFrame) -> Path | None:
        """Put a sheet away after its good rows were committed; where its bad rows wait, or None.

        Bad rows first, then the move: whatever is cut off between is done again, and nothing is doubled by it. A sheet that
        changed since it was read stays, and is read again.
        """
        if sheet.later:
            return None
        try:
            return self._settle(sheet, became)
        except OSError as error:
            raise DiscoverError(
                f"{sheet.path.name} was told, but cannot be put away: {error}; it will be told again"
            ) from error

    def _settle(self, sheet: Sheet, became: pd.DataFrame) -> Path | None:
        if sheet.problem:
            return self._refuse(sheet)
        wrong = sheet._wrong(became)
        waits = self._quarantine(sheet, wrong) if wrong else None
        if self._unchanged(sheet):
            _move(sheet.path, self.folder / DONE)
        return waits

    def _unchanged(self, sheet: Sheet) -> bool:
        try:
            found = sheet.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime_ns) == sheet.stamp

    def _refuse(self, sheet: Sheet) -> Path | None:
        if not self._unchanged(sheet):
            return None
        place = _move(sheet.path, self.folder / QUARANTINE)
        write_whole(place.with_name(f"{place.name}.reason.txt"), f"{_printable(sheet.problem)}\n".encode())
        return place

    def _quarantine(self, sheet: Sheet, wrong: Mapping[int, str]) -> Path:
        """A CSV with the bad rows as they stood, their numbers and the reasons; one that says the same is used again."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        width = max([len(sheet.header), *(len(sheet.cells[row]) for row in wrong if row in sheet.cells)])
        header = [*sheet.header, *[""] * (width - len(sheet.header))]
        writer.writerow([*map(csv_escaped, header), "row in the sheet", "reason"])
        for row, reason in wrong.items():
            cells = [*sheet.cells.get(row, ()), *[""] * (width - len(sheet.cells.get(row, ())))]
            writer.writerow([*map(csv_escaped, cells), row, csv_escaped(reason)])
        data = out.getvalue().encode("utf-8-sig", "backslashreplace")
        folder = self.folder / QUARANTINE
        folder.mkdir(exist_ok=True)
        for place in _names(folder / f"{sheet.path.stem}.csv"):
            if not place.exists():
                write_whole(place, data)
                return place
            if place.read_bytes() == data:
                return place
        raise AssertionError("names never end")


def _read(path: Path, rows: Rows, sha256: str, stamp: tuple[int, int]) -> Sheet:
    where = {LINK: _printable(path.name), HASH: sha256}
    records: list[dict[str, Any]] = [{**record, **where} for record in rows.good.values()]
    frame = pd.DataFrame(records, index=pd.Index(list(rows.good), dtype=object), dtype=object)
    frame = frame.astype(object).where(frame.notna(), None)
    refused = tuple(problem for problems in rows.refused.values() for problem in problems)
    return Sheet(
        path, frame, refused, remarks=tuple(rows.remarks), header=tuple(rows.header), cells=rows.cells, empty=rows.empty,
        stamp=stamp,
    )  # fmt: skip


def _printable(text: str) -> str:
    """Text that can be printed and stored: a file's name may hold bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode()


def _names(path: Path) -> Iterator[Path]:
    """A path and further ones beside it; a long name is cut, so that there is room to add to it."""
    stem = os.fsencode(path.stem)
    if len(stem) > LONGEST_NAME:
        short = stem[:LONGEST_NAME].decode("utf-8", "ignore")
        path = path.with_name(f"{short}-{hashlib.sha256(stem).hexdigest()[:8]}{path.suffix}")
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def _move(path: Path, folder: Path) -> Path:
    """Into a folder, under its name or the next one that is free."""
    folder.mkdir(exist_ok=True)
    place = next(place for place in _names(folder / path.name) if not place.exists())
    path.rename(place)
    return place
