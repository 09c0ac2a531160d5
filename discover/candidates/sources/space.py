"""Candidates that a campaign file declares rather than lists."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from discover.candidates.sheets.sheet import read_sheet
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.keeping import snapshots
from discover.candidates.space.declaring import space_of
from discover.candidates.space.points import save_space
from discover.candidates.space.space import ID, SearchSpace
from discover.errors import InvalidInput, Problem
from discover.kinds import typed
from discover.values import Progress


@dataclass(frozen=True)
@typed
class SpaceSource:
    """A search space. parameters: a list of mappings, each with its kind (continuous, integer, discrete, binary, categorical,
    substance, mixture, ordering), its name and its options; descriptors may be a CSV, relative to the campaign file.

    constraints: texts such as "temperature <= 78 if solvent.ethanol > 0.5". batch_constraints: texts such as "one
    temperature". id: what the column of ids, which are hashes of the values, is called.
    """

    parameters: list[dict[str, Any]]
    constraints: list[str] = field(default_factory=list)
    batch_constraints: list[str] = field(default_factory=list)
    id: str = ID
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})
    place: Place | None = field(default=None, repr=False, metadata={"internal": True})

    def __post_init__(self) -> None:
        if self.base is None:  # tables of descriptors are sought once it is known where
            space_of(self._declared(_without_table))
        else:
            space_of(self._declared(self._with_table))

    def located(self, base: Path, files: Path) -> SpaceSource:
        """The same source: tables of descriptors are sought from `base`, the declaration is kept under `files`."""
        return replace(self, base=base, files=files)

    def placed(self, place: Place) -> SpaceSource:
        """The same source; the declaration is kept in a place of its own."""
        return replace(self, place=place)

    @property
    def space(self) -> SearchSpace:
        """The space that is declared."""
        return space_of(self._declared(_without_table if self.base is None else self._with_table))

    def header(self) -> tuple[str, ...]:
        """The columns of candidates."""
        return (self.id, *self.space.columns)

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """The declaration as a snapshot. InvalidInput for a table of descriptors that cannot be read."""
        return save_space(self.space, snapshots(self.files, self.place))

    def _declared(self, described: Any) -> dict[str, Any]:
        parameters = self.parameters
        if isinstance(parameters, list):
            parameters = [
                described(one, place) if isinstance(one, Mapping) else one for place, one in enumerate(parameters)
            ]
        return {
            "parameters": parameters,
            "constraints": self.constraints,
            "batch_constraints": self.batch_constraints,
            "id": self.id,
        }

    def _with_table(self, one: Mapping[str, Any], place: int) -> dict[str, Any]:
        if not isinstance(one.get("descriptors"), str):
            return dict(one)
        assert self.base is not None
        path = self.base / one["descriptors"]
        try:
            sheet = read_sheet(path)
            plain = sheet.with_points(names=sheet.header[:1], numbers=sheet.header[1:]).text()
        except InvalidInput as error:
            where = f"parameters.{place}.descriptors"
            told = [Problem(f"{path.name}: {problem}", column=where) for problem in error.problems]
            raise InvalidInput("search space", told) from error
        table = pd.read_csv(io.StringIO(plain), index_col=0, keep_default_na=False)
        return {**one, "descriptors": table}


def _without_table(one: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "descriptors" or not isinstance(value, str)}
