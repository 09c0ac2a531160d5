"""Substances as numbers: a campaign says which kinds of features read their SMILES, and these are loaded by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import pandas as pd

from discover.candidates.space.parameters.parameter import Encoding, scaled
from discover.errors import Problem, UnknownKind
from discover.registry import FEATURES, load
from discover.values import BlockKind, FloatArray

KEPT = 64
"""Tables of substances that a process keeps, by what they are made from."""


class Numbers(Protocol):
    """What is used of features: their names, and rows to numbers."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def transform(self, rows: pd.DataFrame) -> FloatArray: ...


class OfSubstances(Protocol):
    """A kind of features of SMILES from which another one follows, that knows the substances of one column by their names."""

    kind: BlockKind

    def of(self, column: str, substances: Mapping[str, str]) -> Numbers:
        """Features of a column of names, from {name: SMILES}. InvalidInput for what is no molecule."""
        ...


def kind_problems(kinds: Sequence[Any], described: bool) -> list[Problem]:
    """What is wrong with the kinds of features that are asked for. described: whether there are descriptors besides."""
    found: list[Problem] = []
    blocks = ["descriptors"] if described else []
    for kind in kinds:
        told, message, hint = _known(kind)
        if told is None:
            found.append(Problem(message, column="from_smiles", value=kind, way_out=hint))
        elif told in blocks:
            message = (
                f"would be the second set of features of the kind {told!r}, and the evidence decides between kinds"
            )
            found.append(Problem(message, column="from_smiles", value=kind, way_out="leave one of them out"))
        else:
            blocks.append(told)
    return found


def _known(kind: Any) -> tuple[BlockKind | None, str, str]:
    """The kind of block that a kind of features makes; or None, what is wrong with it, and the way out."""
    hint = "molecule for descriptors, fingerprint, or both"
    try:
        cls = load(FEATURES, str(kind))
    except UnknownKind as error:
        return None, str(error), hint
    return (
        (cls.kind, "", "") if hasattr(cls, "of") else (None, "makes no features of substances from their SMILES", hint)
    )


def encoded(kind: str, column: str, substances: Mapping[str, str]) -> tuple[Encoding, FloatArray]:
    """How a column of substances becomes features by one kind, and their values [substances, f], in the order given.

    Worked out once in a process for the same substances. Unsupported where RDKit is not installed.
    """
    return _encoded(kind, column, tuple(substances.items()))


@lru_cache(maxsize=KEPT)
def _encoded(kind: str, column: str, substances: tuple[tuple[str, str], ...]) -> tuple[Encoding, FloatArray]:
    own: OfSubstances = load(FEATURES, kind)
    part = own.of(column, dict(substances))
    values = part.transform(pd.DataFrame({column: [name for name, _ in substances]}))
    values.flags.writeable = False
    return scaled(own.kind, part.names, values), values
