"""A short list of models among which the evidence decides: which ones depends on what the features are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from discover.surrogate.covariance.composite import Product, Sum
from discover.surrogate.covariance.forms import Form, Linear, Radial, Tanimoto
from discover.surrogate.covariance.kernels import Kernel
from discover.surrogate.covariance.warping import Warped
from discover.surrogate.inputs.layout import Layout, Part
from discover.values import BlockKind

MOST = 6
"""Models that are compared."""
ADDITIVE = 8
"""Features up to which each has a term of its own; beyond, each block has one."""
WARPED = 40
"""Observations from which on features may be bent, where each may have a term of its own; with fewer that did not always pay."""
NUMERIC: tuple[BlockKind, ...] = ("numbers", "descriptors", "composition", "structure", "embedding")


def candidates(layout: Layout, observations: int = 0) -> dict[str, Form]:
    """At most MOST forms by name, the simplest first; the same for the same layout, so that a name is a memory.

    one: one length-scale for all. each: one for each feature. blocks: one for each block, where there are several.
    plane: linear + one. terms: a sum over features, or over blocks where features are many. warped: one for each feature,
    and all of them bent, where these are few numbers with ends and observations are not few. mixed: numbers times
    categories, these told apart by their mismatches or by what their fingerprints share. Where a column is encoded more
    than once, these are over all encodings, and `only-<kind>` over one of them each.
    """
    found: dict[str, Form] = {}
    whole = tuple(range(layout.width))
    found["one"] = Radial.over("matern", whole, each=False, width=layout.width)
    for kind in layout.doubled:
        part = layout.preferring(kind)
        found[f"only-{kind}"] = mixed(part) or _one(part)
    if len(layout.doubled) < 2 and (form := mixed(layout)) is not None:
        found["mixed"] = form
    if layout.width > 1:
        found["each"] = Radial.over("matern", whole, each=True, width=layout.width)
    if 1 < len(layout.parts) < layout.width:
        found["blocks"] = blocks(layout)
    found["plane"] = Sum((Linear(whole, layout.variance), found["one"]))
    if (form := terms(layout)) is not None:
        found["terms"] = form
    if observations >= WARPED and layout.lows and layout.width <= ADDITIVE and _numbers(layout):
        found["warped"] = Warped(layout.lows)
    return dict(list(found.items())[:MOST])


def encodings(layout: Layout) -> dict[str, Form]:
    """At most MOST forms by name: one kernel over each of the ways in which columns are told, and over all of them.

    each-<kind>: a length-scale for each feature, columns that are encoded more than once taken in that kind. each: for each
    feature of all encodings side by side.
    """
    width = layout.width
    found: dict[str, Form] = {"each": Radial.over("matern", range(width), each=True, width=width)}
    for kind in layout.doubled:
        found[f"each-{kind}"] = one_encoding(layout, kind)
    return dict(list(found.items())[:MOST])


def one_encoding(layout: Layout, kind: BlockKind, kernel: Kernel = "matern", *, each: bool = True) -> Radial:
    """A kernel over every column once, in this kind where there is a choice."""
    columns = sorted(c for part in layout.preferring(kind).parts for c in part.columns)
    return Radial.over(kernel, columns, each=each, width=layout.width)


def _numbers(layout: Layout) -> bool:
    """Whether all features are numbers that stand for themselves."""
    return all(part.kind == "numbers" for part in layout.parts)


def _one(layout: Layout) -> Form:
    columns = tuple(sorted(c for part in layout.parts for c in part.columns))
    return Radial.over("matern", columns, each=False, width=layout.width)


def blocks(layout: Layout) -> Form:
    """A Matérn kernel with a length-scale for each block."""
    group = {column: k for k, part in enumerate(layout.parts) for column in part.columns}
    columns = tuple(sorted(group))
    return Radial("matern", columns, tuple(group[c] for c in columns), width=layout.width, name="blocks")


def terms(layout: Layout) -> Form | None:
    """A sum of one-dimensional Matérn kernels, or of one a block; None where that is no sum."""
    if 1 < layout.width <= ADDITIVE:
        return Sum(tuple(Radial.over("matern", (k,), each=False, width=layout.width) for k in range(layout.width)))
    if 1 < len(layout.parts) <= ADDITIVE:
        return Sum(tuple(_of(part, layout.width) for part in layout.parts))
    return None


def mixed(layout: Layout) -> Form | None:
    """What is told by names or fingerprints in kernels of their own, times a Matérn kernel of the rest; None without such."""
    named = [part for part in layout.parts if part.kind == "categories"]
    printed = [part for part in layout.parts if part.kind == "fingerprint"]
    rest = layout.columns(*NUMERIC)
    if not named and not printed:
        return None
    factors: list[Form] = [hamming(named, layout.width)] if named else []
    if printed:
        factors.append(_printed(printed))
    if rest:
        factors.append(Radial.over("matern", rest, each=False, width=layout.width, name="the numbers"))
    return Product(tuple(factors)) if len(factors) > 1 else factors[0]


def hamming(parts: Sequence[Part], width: int) -> Radial:
    """exp(-Σ mismatch / (12 length²)) over columns of categories, a length-scale for each.

    Raw one-hot columns over √12 are a sixth apart where they differ, as two random numbers of a scaled feature are: so the
    priors on length-scales serve here, too.
    """
    columns = tuple(c for part in parts for c in part.columns)
    groups = tuple(k for k, part in enumerate(parts) for _ in part.columns)
    weights = tuple(s / math.sqrt(12.0) for part in parts for s in part.spread)
    return Radial("rbf", columns, groups, weights, dimension=len(parts), width=width, name="mismatches")


def _printed(parts: Sequence[Part]) -> Form:
    """The similarity of a fingerprint; of those of several columns the sum of their similarities."""
    shared = [_similarity(part) for part in parts]
    return shared[0] if len(shared) == 1 else Sum(tuple(shared))


def _similarity(part: Part) -> Tanimoto:
    return Tanimoto(part.columns, part.spread, part.centre, part.constant, part.name)


def _of(part: Part, width: int) -> Form:
    """What suits the features of one block."""
    if part.kind == "categories":
        return hamming([part], width)
    if part.kind == "fingerprint":
        return _similarity(part)
    return Radial.over("matern", part.columns, each=False, width=width, name=part.name)
