"""Parameters whose values are labels without an order: names, and substances with their SMILES."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from discover.candidates.pool.spec import read_descriptors
from discover.candidates.sheets.decimals import kind_of
from discover.candidates.space.parameters.levels import Even, exact
from discover.candidates.space.parameters.molecules import encoded, kind_problems
from discover.candidates.space.parameters.parameter import (
    CONTROL,
    Encoding,
    Parameter,
    Slot,
    Unreadable,
    one_hot,
    scaled,
)
from discover.descriptors import decorrelated
from discover.errors import InvalidInput, Problem, nearest
from discover.values import FloatArray, IntArray

FAR = 40
"""Labels to which a move may go, at most; of more, so many are drawn."""


class _Labelled(Parameter):
    """A parameter whose values are labels without an order."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of their codes."""

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """Descriptors by label, or nothing."""
        return {}

    def _slots(self) -> Sequence[Slot]:
        return [Slot(self.name, "label", Even(Fraction(0), Fraction(1), len(self.labels)), self.labels)]

    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        others = np.arange(low[0], high[0] + 1)
        others = others[others != codes[0]]
        if len(others) > FAR:
            others = np.sort(generator.choice(others, FAR, replace=False))
        return others[:, None]

    def cells(self, codes: IntArray) -> dict[str, Any]:
        return {self.name: self.labels[int(codes[0])]}

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        cell = cells.get(self.name)
        text = str(cell).strip()
        if text in self.labels:
            return {self.name: text}
        same = [label for label in self.labels if _same(label, cell)]
        if len(same) != 1:
            raise Unreadable("is not one of the choices", self.name, cell, nearest(text, self.labels)[:300])
        return {self.name: same[0]}

    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        return [float(self.labels.index(values[self.name]))]

    @cached_property
    def _described(self) -> tuple[tuple[str, ...], FloatArray]:
        """Names [f] and values [labels, f] of the descriptors that say something of their own (`discover.descriptors`)."""
        told = self.table()
        names = sorted(told[self.labels[0]]) if told else []
        values = np.array([[float(told[label][name]) for name in names] for label in self.labels])
        kept = decorrelated(values)[0]
        return tuple(f"{self.name}:{names[place]}" for place in kept), values[:, kept]

    @property
    def further(self) -> Sequence[tuple[Encoding, FloatArray]]:
        """Encodings besides, with their values [labels, f]."""
        return ()

    @cached_property
    def encodings(self) -> tuple[Encoding, ...]:
        """One-hot, and beside it the descriptors where there are some, and further ones."""
        names, values = self._described
        described = (scaled("descriptors", names, values),) if names else ()
        return (one_hot(self.name, self.labels), *described, *(encoding for encoding, _ in self.further))

    @cached_property
    def _table(self) -> FloatArray:
        """The features of every label [labels, f]."""
        return np.hstack([np.eye(len(self.labels)), self._described[1], *(values for _, values in self.further)])

    def encode(self, numbers: FloatArray) -> FloatArray:
        known = ~np.isnan(numbers[:, 0])
        codes = np.where(known, numbers[:, 0], 0.0).astype(np.int64)
        return np.where(known[:, None], self._table[codes], np.nan)


@dataclass(frozen=True)
class Categorical(_Labelled):
    """One of some names. descriptors: numbers that tell them apart, {name: {descriptor: number}} or a frame by name; those that are
    the same for all, or correlated beyond 0.95 with one before them by name, are left out."""

    name: str
    values: tuple[str, ...]
    descriptors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    when: str = ""
    kind: ClassVar[str] = "categorical"

    def _plain(self) -> None:
        if isinstance(self.values, Sequence) and not isinstance(self.values, str):
            object.__setattr__(self, "values", tuple(str(v) if type(v) is int else v for v in self.values))
        object.__setattr__(self, "descriptors", _read(self.name, self.descriptors))

    def _problems(self) -> Sequence[Problem]:
        if not isinstance(self.values, tuple):
            return [Problem("needs a list of names", column="values", value=self.values)]
        return [*_label_problems(self.values, "values"), *_descriptor_problems(self.values, self.descriptors)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The values."""
        return self.values

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """The descriptors."""
        return self.descriptors

    def __hash__(self) -> int:
        return hash((self.name, self.values))


@dataclass(frozen=True)
class Substance(_Labelled):
    """One of some substances, {name: SMILES}. descriptors: as for a categorical parameter.

    from_smiles: features of the molecules, as alternatives to their names: [molecule, fingerprint], which are RDKit's
    descriptors and Morgan fingerprints, or other installed kinds. With the policy's `model: evidence` the observations decide
    between names, descriptors and fingerprints, anew with each batch; a single model takes the descriptors, which do not tell
    mirror images apart.

    Where RDKit is installed (the extra `chemistry`) every SMILES must be one, and no two may be of the same molecule.
    """

    name: str
    values: Mapping[str, str]
    descriptors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    when: str = ""
    from_smiles: Sequence[str] = ()
    kind: ClassVar[str] = "substance"

    def _plain(self) -> None:
        if isinstance(self.from_smiles, Sequence) and not isinstance(self.from_smiles, str):
            object.__setattr__(self, "from_smiles", tuple(self.from_smiles))
        if isinstance(self.values, Mapping):
            # JSON objects have no order: codes go by name, so that they are the same in every process
            object.__setattr__(
                self, "values", {str(k): v for k, v in sorted(self.values.items(), key=lambda i: str(i[0]))}
            )
        object.__setattr__(self, "descriptors", _read(self.name, self.descriptors))

    def _problems(self) -> Sequence[Problem]:
        if not isinstance(self.values, dict):
            return [Problem("needs a mapping of names to SMILES", column="values", value=self.values)]
        found = [*_label_problems(tuple(self.values), "values"), *_descriptor_problems(self.labels, self.descriptors)]
        for label, smiles in self.values.items():
            if not isinstance(smiles, str) or not smiles.strip():
                found.append(Problem("needs a SMILES", row=label, column="values", value=smiles))
        if not isinstance(self.from_smiles, tuple):
            hint = "write [molecule, fingerprint]"
            found.append(Problem("needs a list of kinds", column="from_smiles", value=self.from_smiles, way_out=hint))
        else:
            found += kind_problems(self.from_smiles, bool(self.descriptors))
        return found or self._molecule_problems()

    def _molecule_problems(self) -> list[Problem]:
        found: list[Problem] = []
        first: dict[str, str] = {}
        for label, smiles in self.values.items():
            known = canonical_smiles(smiles)
            if known is None:
                found.append(Problem("RDKit cannot read this SMILES", row=label, column="values", value=smiles))
            elif known in first:
                message = f"is the same substance as {first[known]!r}"
                found.append(Problem(message, row=label, column="values", value=smiles, way_out="name it once"))
            else:
                first[known] = label
        return found

    @property
    def labels(self) -> tuple[str, ...]:
        """The names."""
        return tuple(self.values)

    @property
    def smiles(self) -> dict[str, str]:
        """Canonical SMILES by name; as they were given where RDKit is absent."""
        return {label: canonical_smiles(text) or text for label, text in self.values.items()}

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """The descriptors."""
        return self.descriptors

    @property
    def further(self) -> Sequence[tuple[Encoding, FloatArray]]:
        """What is made from the SMILES. Unsupported where that needs RDKit, and it is not installed."""
        return [encoded(kind, self.name, self.values) for kind in self.from_smiles]

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A name, or the SMILES of one of the substances."""
        cell = cells.get(self.name)
        if isinstance(cell, str) and cell.strip() not in self.values:
            text = canonical_smiles(cell.strip()) or cell.strip()
            for label, smiles in self.smiles.items():
                if smiles == text:
                    return {self.name: label}
        return super().read(cells)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.values.items())))


def _same(label: str, cell: Any) -> bool:
    """Whether a cell is what a spreadsheet makes of a label: 8.5 of '8.50', a European one '8,5', TRUE of 'true'."""
    if isinstance(cell, bool | np.bool_):
        return label.casefold() == str(cell).casefold()
    if isinstance(cell, str) and kind_of(cell)[0] == "comma":
        cell = cell.replace(",", ".")
    try:
        return exact(label) == exact(cell)
    except ValueError:
        return False


def canonical_smiles(text: str) -> str | None:
    """RDKit's canonical SMILES; None for what it cannot read; the text as it is where RDKit is not installed."""
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        return text.strip()
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text.strip())
    return None if molecule is None else str(Chem.MolToSmiles(molecule))


def _label_problems(labels: Sequence[Any], column: str) -> list[Problem]:
    found = []
    if not labels:
        found.append(Problem("needs at least one choice", column=column))
    for label in labels:
        if not isinstance(label, str) or not label.strip() or label != label.strip():
            hint = "a choice is a text without blanks at its ends; in YAML put quotes around yes, no and numbers"
            found.append(Problem("not a name", column=column, value=label, way_out=hint))
        elif CONTROL.search(label):
            found.append(Problem("has a line break or a control character", column=column, value=label))
        elif labels.count(label) > 1:
            found.append(Problem("stands twice", column=column, value=label))
    return list(dict.fromkeys(found))


def _read(column: str, given: Any) -> dict[str, dict[str, float]]:
    """Descriptors as {label: {descriptor: number}}. InvalidInput for what cannot be read."""
    if given is None or (isinstance(given, Mapping) and not given):
        return {}
    if not hasattr(given, "columns") and not isinstance(given, Mapping):
        hint = "give {name: {descriptor: number}} or a frame by name"
        raise InvalidInput(f"parameter {column!r}", [Problem("not descriptors", column="descriptors", way_out=hint)])
    return {k: dict(v) for k, v in read_descriptors({column: given})[column].items()}


def _descriptor_problems(labels: Sequence[str], table: Mapping[str, Mapping[str, float]]) -> list[Problem]:
    if not table:
        return []
    names = set().union(*table.values())
    found = [
        Problem("has no descriptors", column="descriptors", value=label, way_out="describe every choice, or none")
        for label in labels
        if label not in table
    ]
    found += [
        Problem("is described, but is not a choice", column="descriptors", value=label, way_out=nearest(label, labels))
        for label in table
        if label not in labels
    ]
    found += [
        Problem(f"has no descriptor {name!r}", column="descriptors", value=label)
        for label, row in table.items()
        for name in sorted(names - set(row))
    ]
    return found
