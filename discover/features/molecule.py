"""Numbers from molecules: Morgan fingerprints and RDKit's descriptors, of SMILES in a column or of the substances in one.

Needs the extra `chemistry` (RDKit). An empty SMILES is no molecule, such as 'no ligand': no bits, descriptors of zero.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from discover.descriptors import decorrelated
from discover.errors import InvalidInput, Problem, Unsupported
from discover.features.encoding import places
from discover.kinds import typed
from discover.values import BlockKind, FloatArray

if TYPE_CHECKING:
    import pandas as pd

RADIUS = 2
BITS = 1024
LARGEST = 1e6
"""Descriptors beyond this (such as information contents of large graphs) are left out: one molecule would be all they tell."""
_SHOWN = 50


def chemistry() -> Any:
    """RDKit's Chem. Unsupported where it is not installed."""
    try:
        from rdkit import Chem
        from rdkit.rdBase import DisableLog
    except ImportError as error:
        raise Unsupported("molecules need RDKit: pip install 'discover-loop[chemistry]'") from error
    DisableLog("rdApp.*")
    return Chem


def canonical_smiles(smiles: str) -> str:
    """The same molecule's one SMILES. ValueError for a text that is no molecule."""
    chem = chemistry()
    return str(chem.MolToSmiles(_molecule(smiles)))


def fingerprints(smiles: Sequence[str]) -> FloatArray:
    """Counts [n, BITS] of circular substructures of radius 2, folded (Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010)).

    ValueError for a text that is no molecule.
    """
    return np.array([_fingerprint(text) for text in smiles], dtype=np.float64).reshape(len(smiles), BITS)


def descriptors(smiles: Sequence[str]) -> FloatArray:
    """RDKit's descriptors [n, d] in the order of `descriptor_names`; 0 where one is not defined or beyond LARGEST.

    ValueError for a text that is no molecule.
    """
    return np.array([_descriptors(text) for text in smiles], dtype=np.float64).reshape(len(smiles), -1)


@lru_cache(maxsize=1)
def descriptor_names() -> tuple[str, ...]:
    """Names of RDKit's two-dimensional descriptors; without Ipc, whose values span hundreds of decades."""
    chemistry()
    from rdkit.Chem import Descriptors

    return tuple(name for name, _ in Descriptors.descList if name != "Ipc")


@dataclass(frozen=True)
@typed
class Fingerprint:
    """A column of SMILES as Morgan fingerprints (counts), `smiles:bit 17`."""

    kind: ClassVar[BlockKind] = "fingerprint"
    column: str

    @property
    def names(self) -> tuple[str, ...]:
        """`column:bit k`."""
        return tuple(f"{self.column}:bit {k}" for k in range(BITS))

    @property
    def requires(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"morgan 1 {_version()}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, BITS]. InvalidInput names rows whose SMILES cannot be read."""
        return fingerprints(_readable(rows[self.column], self.column))

    @classmethod
    def of(cls, column: str, substances: Mapping[str, str]) -> Encoded:
        """Of the substances of a column, {name: SMILES}: the bits that any of them has. InvalidInput names what is no molecule."""
        names, smiles = _listed(column, substances)
        bits = fingerprints(smiles)
        used = np.flatnonzero(bits.any(axis=0))
        return Encoded(column, names, tuple(f"bit {k}" for k in used), _rows(bits[:, used]), cls.kind)


@dataclass(frozen=True)
@typed
class MoleculeDescriptors:
    """A column of SMILES as RDKit's two-dimensional descriptors, `smiles:TPSA`."""

    kind: ClassVar[BlockKind] = "descriptors"
    column: str

    @property
    def names(self) -> tuple[str, ...]:
        """`column:descriptor`."""
        return tuple(f"{self.column}:{name}" for name in descriptor_names())

    @property
    def requires(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"rdkit descriptors 1 {_version()}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names rows whose SMILES cannot be read."""
        return descriptors(_readable(rows[self.column], self.column))

    @classmethod
    def of(cls, column: str, substances: Mapping[str, str]) -> Encoded:
        """Of the substances of a column, {name: SMILES}: the descriptors in which they differ, standardised over them, without
        those that say nearly the same as an earlier one (`discover.descriptors`). InvalidInput names what is no molecule.
        """
        names, smiles = _listed(column, substances)
        kept, values = decorrelated(descriptors(smiles), least=1.0)
        told = tuple(descriptor_names()[place] for place in kept)
        return Encoded(column, names, told, _rows(values), cls.kind)


@dataclass(frozen=True)
class Encoded:
    """A column of named substances as numbers that are worked out once for each: values [substances, features]."""

    column: str
    substances: tuple[str, ...]
    features: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    kind: BlockKind

    @property
    def names(self) -> tuple[str, ...]:
        """`column:feature`."""
        return tuple(f"{self.column}:{name}" for name in self.features)

    @property
    def requires(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"substances 1 {self.kind} {self.substances} {self.values}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, features]. InvalidInput names rows with a substance that is not among them."""
        table = np.array(self.values, dtype=np.float64).reshape(len(self.substances), len(self.features))
        return table[places(rows, self.column, self.substances)]


def encoded(column: str, substances: Mapping[str, str]) -> tuple[Encoded, Encoded]:
    """The substances of a column, {name: SMILES}, by fingerprints and by descriptors. InvalidInput names what is no molecule."""
    return Fingerprint.of(column, substances), MoleculeDescriptors.of(column, substances)


def _listed(column: str, substances: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """Names in alphabetical order, and their SMILES. InvalidInput for what is no molecule."""
    if problems := unreadable(column, substances):
        raise InvalidInput("substances", problems)
    names = tuple(sorted(substances))
    return names, [substances[name] for name in names]


def unreadable(column: str, substances: Mapping[str, str]) -> list[Problem]:
    """What is no molecule among {name: SMILES}."""
    return [
        Problem(f"{name!r} has no readable SMILES", column=column, value=text, way_out="an empty one is no molecule")
        for name, text in substances.items()
        if not _is_molecule(text)
    ]


def _rows(values: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(v) for v in row) for row in values)


def _readable(cells: pd.Series, column: str) -> list[str]:
    texts = ["" if cell is None or cell != cell else str(cell).strip() for cell in cells]
    wrong = [i for i, text in enumerate(texts) if not _is_molecule(text)]
    if wrong:
        hint = "write a SMILES that RDKit reads, or leave the cell empty where there is no molecule"
        raise InvalidInput(
            "molecules",
            [
                Problem("not a SMILES", row=cells.index[i], column=column, value=texts[i], way_out=hint)
                for i in wrong[:_SHOWN]
            ],
        )
    return texts


def _molecule(smiles: str) -> Any:
    molecule = chemistry().MolFromSmiles(smiles)
    if molecule is None:
        raise ValueError(f"not a SMILES: {smiles!r}")
    return molecule


@lru_cache(maxsize=65_536)
def _is_molecule(smiles: str) -> bool:
    return chemistry().MolFromSmiles(smiles) is not None


@lru_cache(maxsize=4096)
def _fingerprint(smiles: str) -> FloatArray:
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    counts: FloatArray = generator.GetCountFingerprintAsNumPy(_molecule(smiles)).astype(np.float64)
    return counts


@lru_cache(maxsize=4096)
def _descriptors(smiles: str) -> FloatArray:
    from rdkit.Chem import Descriptors

    functions = dict(Descriptors.descList)
    molecule = _molecule(smiles)
    if not molecule.GetNumAtoms():
        return np.zeros(len(descriptor_names()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.array([_number(functions[name], molecule) for name in descriptor_names()])
    return np.where(np.isfinite(values) & (np.abs(values) <= LARGEST), values, 0.0)


def _number(function: Any, molecule: Any) -> float:
    try:
        return float(function(molecule))
    except (ValueError, ZeroDivisionError, OverflowError, RuntimeError):
        return np.nan


@lru_cache(maxsize=1)
def _version() -> str:
    from importlib.metadata import version

    return version("rdkit")
