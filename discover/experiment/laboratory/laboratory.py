"""People in a laboratory as an experiment: a sheet goes out, and comes back filled in, in part or in disorder."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from discover.errors import DiscoverError, ExperimentFailed, InvalidInput, Problem
from discover.experiment.folders import read_json, safe_name, write_json, write_whole
from discover.experiment.laboratory.inbox import DONE, Inbox, Sheet
from discover.experiment.laboratory.numbers import Decimal
from discover.experiment.laboratory.writing import as_csv, as_workbook, blank_sheet
from discover.kinds import typed
from discover.reserved import RESERVED
from discover.values import Handle, Proposal, Result


@dataclass(frozen=True)
@typed
class Laboratory:
    """Writes a batch as a sheet into an outbox, and reads filled sheets from an inbox.

    Example::

        experiment:
          kind: laboratory
          outbox: lab/outbox
          inbox: lab/inbox
          format: xlsx            # or csv
          targets: {yield: "%"}
          columns: [solvent, temperature]

    outbox, inbox: folders, relative to the campaign file; every machine that runs the campaign must see the same. columns: what
    of a candidate is shown (default: all short columns). predicted: show what the model expects; by default whoever
    measures is blind to it. decimal: the mark in numbers: `auto` reads both and refuses what may mean two things ("1,234"),
    "." and "," are taken at their word; with "," a CSV goes out with semicolons.

    **Out.** One sheet for a batch, its name made from the batch's keys, so that a batch written twice is one sheet. Columns:
    proposal_id, id, the chosen columns, each target with its unit and its `_std`, status, note, replicate, measured_at.
    What a spreadsheet would calculate is escaped, and read back as the same text.

    **In.** .xlsx and .csv (UTF-8, UTF-16, Windows-1252; commas, semicolons, tabs), in any order of rows and columns, partly
    filled, with further rows and columns, notes above and below; also with `cost`, `source`, `fidelity` and `context`, written
    as {"reactor": "A"}, as `tell` takes them. '<5' is a bound. Units in headers must be the target's in any
    spelling; nothing is converted. Nothing in a sheet is evaluated: a formula counts with the value that was saved with it.
    A row that cannot be read, or that the campaign refuses, waits with its reason in `inbox/quarantine/<sheet>.csv`; mended
    there, it is dropped again. The other rows are told. Where cells that say what a trial is (the chosen columns) are not those of
    their proposals, rows were mixed up: then nothing of the sheet is told, and it waits in quarantine as a whole. After they are committed the sheet moves to `inbox/done/`. A sheet
    that is dropped twice is one result. A file that changed less than `quiet` seconds ago is left for the next time, a
    broken one for `patience` seconds; then it waits in quarantine as a whole.
    """

    outbox: str
    inbox: str
    targets: dict[str, str]
    format: Literal["xlsx", "csv"] = "xlsx"
    columns: list[str] | None = None
    predicted: bool = False
    decimal: Literal["auto", ".", ","] = "auto"
    quiet: float = 10
    patience: float = 3600
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})

    together = True
    deterministic = False

    def __post_init__(self) -> None:
        problems = []
        if not self.targets:
            problems.append(Problem("needs targets with units", column="targets", way_out='write {yield: "%"}'))
        for name in self.targets:
            if name in RESERVED or not name:
                problems.append(Problem("a target cannot have this name", column="targets", value=name))
        for option in ("outbox", "inbox"):
            if not getattr(self, option).strip():
                problems.append(Problem("names no folder", column=option, value=getattr(self, option)))
        if not problems and Path(self.outbox) == Path(self.inbox):
            hint = "an empty sheet must not be read as a filled one"
            problems.append(Problem("outbox and inbox are one folder", column="inbox", value=self.inbox, way_out=hint))
        for option in ("quiet", "patience"):
            if getattr(self, option) < 0:
                problems.append(Problem("must be at least 0", column=option, value=getattr(self, option)))
        if problems:
            raise InvalidInput("experiment 'laboratory'", problems)

    @property
    def requires(self) -> tuple[str, ...]:
        """The columns that are shown, where they are chosen."""
        return tuple(self.columns or ())

    def located(self, base: Path, files: Path) -> Laboratory:
        """The same experiment: outbox and inbox start at `base`; what went out is noted under `files`."""
        return replace(self, base=Path(base).resolve(), files=Path(files).resolve())

    def describe(self) -> Mapping[str, Any]:
        """How sheets go out and come in."""
        return {
            "kind": "laboratory",
            "method": f"measured by people, who fill in {'an' if self.format == 'xlsx' else 'a'} {self.format} sheet"
            + ("" if self.predicted else " without knowing the prediction"),
            "targets": dict(self.targets),
            "columns": self.columns,
            "decimal": self.decimal,
        }

    def _place(self, folder: str) -> Path:
        return ((self.base or Path.cwd()) / Path(folder).expanduser()).resolve()

    @property
    def _notes(self) -> Path:
        if self.files is None:
            raise DiscoverError("a laboratory needs a place for its notes: use it by way of located(base, files)")
        return self.files / "sheets"

    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
        """Write one sheet for these proposals. ExperimentFailed if it was not written; nothing is there then."""
        bare = [p.candidate_id for p in work.values() if p.candidate is None]
        if bare or not work:
            raise ExperimentFailed(f"proposals without their candidates cannot be written into a sheet: {bare}")
        if self.columns and (missing := [c for c in self.columns if not any(c in _values(p) for p in work.values())]):
            raise ExperimentFailed(
                f"no candidate of the batch has the column {missing[0]!r}, which the sheet is to show"
            )
        blank = blank_sheet(list(work.values()), self.targets, self.columns, self.predicted)
        name = self._name(work)
        try:
            data = as_workbook(blank) if self.format == "xlsx" else as_csv(blank, self.decimal)
        except (ValueError, TypeError) as error:
            raise ExperimentFailed(f"the batch cannot be written as a sheet: {error}") from error
        try:
            self._notes.mkdir(parents=True, exist_ok=True)
            for key in work:
                write_json(self._note(key), {"key": key, "sheet": name, "written": False})
            for folder in (self._place(self.outbox), self._place(self.inbox)):
                folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._place(self.outbox) / name, data)
        except OSError as error:
            raise ExperimentFailed(f"the sheet {name} cannot be written: {error}", retryable=True) from error
        for key in work:
            self._confirm(key, name)
        return {key: {"sheet": name} for key in work}

    def _name(self, work: Mapping[str, Proposal]) -> str:
        """The same for the same keys, and for no others."""
        digest = hashlib.sha256("\0".join(sorted(work)).encode("utf-8", "surrogatepass")).hexdigest()[:8]
        first = min(work)
        return f"{safe_name(work[first].proposal_id or first)}_{len(work)}-trials_{digest}.{self.format}"

    def _note(self, key: str) -> Path:
        return self._notes / f"{safe_name(key)}.json"

    def _confirm(self, key: str, name: str) -> None:
        try:
            write_json(self._note(key), {"key": key, "sheet": name, "written": True})
        except OSError as error:
            warnings.warn(f"{name} is written, but not noted under {self._notes}: {error}", stacklevel=2)

    def find(self, keys: Sequence[str]) -> Mapping[str, Handle] | None:
        """Handles of keys whose sheet was written. A sheet is looked for in outbox, inbox and their done folders.

        To write a sheet again under its name does no harm: it asks for the same trials.
        """
        found = {}
        for key in keys:
            noted = read_json(self._note(key))
            if noted is not None and (noted.get("written") or self._lies_somewhere(str(noted.get("sheet")))):
                found[key] = {"sheet": noted["sheet"]}
        return found

    def _lies_somewhere(self, name: str) -> bool:
        folders = [self._place(folder) for folder in (self.outbox, self.inbox)]
        return any((folder / part / name).exists() for folder in folders for part in ("", DONE))

    def collect(self, handles: Mapping[str, Handle]) -> Mapping[str, Result]:
        """Nothing: results come in by sheet (see `incoming`), not by key."""
        return {}

    def incoming(self, id_name: str, conditions: Mapping[str, str] = MappingProxyType({})) -> Iterator[Sheet]:
        """Sheets that were dropped into the inbox, one by one. Tell `sheet.frame`, then `settle` the sheet.

        id_name: the candidates' id column; sheets may also call it 'id'. conditions: columns that say what a candidate is, with
        their units; those that were shown are in the frame of a sheet that has them, for `tell` to hold against the candidates.
        What stands in others somebody has noted on the way.
        """
        decimal: Decimal = self.decimal
        shown = {name: unit for name, unit in conditions.items() if self.columns is None or name in self.columns}
        yield from self._inbox().sheets(self.targets, id_name, decimal, shown)

    def settle(self, sheet: Sheet, became: pd.DataFrame) -> Path | None:
        """Put a sheet away once its good rows are committed; the file in which its bad rows wait, or None.

        became: what `campaign.tell(sheet.frame, partial=True)` returned; its 'refused' rows are bad ones too.
        """
        return self._inbox().settle(sheet, became)

    def _inbox(self) -> Inbox:
        return Inbox(self._place(self.inbox), self.quiet, self.patience)


def _values(proposal: Proposal) -> Mapping[str, Any]:
    return proposal.candidate.values if proposal.candidate else {}
