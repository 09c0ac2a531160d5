"""The largest batch that rules allow together, where choosing one after the other stops short of it: an integer programme.

Under one rule the first choices of a batch never stand in the way of a full one. Under several they may: of the candidates
(L1, B1), (L1, B2) and (L2, B1), with each ligand and each base at most once, who begins with the first ends with it; and who
begins with the dearest has nothing left for the others. The largest batch is found by branch and bound (HiGHS, by way of
`scipy.optimize.milp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from discover.values import FloatArray, IntArray

MANY = 600
"""Candidates up to which all of them compete; of more, those that are preferred or need least, of each combination of codes."""
CODES = 6
"""Of codes of which a batch may have few, so many times as many compete."""
NODES = 200
"""Branches after which the best batch so far is taken: a count, and no time, so that the same is found everywhere."""
CLOSE = 0.1
"""By how many candidates' preferences the batch may fall short of the most preferred one of its size."""


@dataclass(frozen=True)
class Sum:
    """What candidates [m] add up to, each at least 0, is at most a limit."""

    adds: FloatArray
    limit: float


@dataclass(frozen=True)
class Each:
    """Of candidates [m] with the same code, from 0 on, at most so many: [codes]."""

    codes: IntArray
    most: FloatArray


@dataclass(frozen=True)
class Kinds:
    """At most so many different codes among the candidates [m]; -1 is a code that does not count."""

    codes: IntArray
    most: int


Rule = Sum | Each | Kinds


def largest(n: int, rules: Sequence[Rule], preference: FloatArray) -> IntArray:
    """Places, ascending, of at most n of m candidates that keep all rules: as many as can be, and of these the most preferred.

    preference: [m], between 0 and 1. Empty where the search was given up before it found any.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    kept = _competing(n, rules, preference)
    if not len(kept):
        return kept
    programme = _Programme(len(kept))
    programme.limit(np.zeros(len(kept), dtype=np.int64), np.arange(len(kept)), np.ones(len(kept)), [n])
    for rule in rules:
        programme.add(rule, kept)
    worth = np.zeros(programme.width)
    # All preferences together are worth less than one candidate.
    worth[: len(kept)] = 1.0 + preference[kept] / (2.0 * n)
    rows, columns, values = (np.concatenate(parts) for parts in zip(*programme.entries, strict=True))
    shape = (len(programme.limits), programme.width)
    found = milp(
        -worth, integrality=np.ones(len(worth)), bounds=Bounds(0, 1),
        constraints=LinearConstraint(coo_array((values, (rows, columns)), shape).tocsr(), ub=programme.limits),
        options={"node_limit": NODES, "mip_rel_gap": CLOSE / (3.0 * n * n)},
    )  # fmt: skip
    taken = np.zeros(len(kept)) if found.x is None else found.x[: len(kept)]
    return np.asarray(kept[taken > 0.5])


@dataclass
class _Programme:
    """Inequalities over variables of 0 and 1: m for the candidates, and one for each code of which there may be few."""

    width: int
    entries: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def limit(
        self, rows: IntArray, columns: IntArray, values: FloatArray, limits: Sequence[float] | FloatArray
    ) -> None:
        """Further inequalities, whose rows are numbered from 0."""
        self.entries.append((rows + len(self.limits), columns, values))
        self.limits += [float(one) for one in limits]

    def add(self, rule: Rule, kept: IntArray) -> None:
        """The inequalities of a rule over those candidates that are kept."""
        every, one = np.arange(len(kept)), np.ones(len(kept))
        if isinstance(rule, Sum):
            self.limit(np.zeros(len(kept), dtype=np.int64), every, rule.adds[kept], [rule.limit])
        elif isinstance(rule, Each):
            self.limit(rule.codes[kept], every, one, rule.most)
        else:
            counts = np.flatnonzero(rule.codes[kept] >= 0)
            codes, code = np.unique(rule.codes[kept][counts], return_inverse=True)
            rows, had = np.arange(len(counts)), self.width + np.arange(len(codes))
            self.limit(
                np.concatenate([rows, rows]), np.concatenate([counts, had[code]]), np.repeat([1.0, -1.0], len(rows)),
                np.zeros(len(rows)),
            )  # fmt: skip
            self.limit(np.zeros(len(codes), dtype=np.int64), had, np.ones(len(codes)), [rule.most])
            self.width += len(codes)


def _competing(n: int, rules: Sequence[Rule], preference: FloatArray) -> IntArray:
    """The candidates that compete, ascending: all, or of each combination of codes as many in any order as may be chosen.

    Of codes of which there may be few, those with the most candidates compete, so that a search stays small.
    """
    kept = np.arange(len(preference), dtype=np.int64)
    for few in sorted((rule for rule in rules if isinstance(rule, Kinds)), key=lambda rule: rule.most):
        codes, counts = np.unique(few.codes[kept], return_counts=True)
        counts[codes < 0] = len(preference) + 1
        leading = codes[np.argsort(-counts, kind="stable")[: 1 + CODES * max(1, few.most)]]
        kept = kept[np.isin(few.codes[kept], leading)]
    if len(kept) <= MANY:
        return kept
    every = [np.zeros(len(kept), dtype=np.int64), *(rule.codes[kept] for rule in rules if not isinstance(rule, Sum))]
    group = np.unique(np.stack(every), axis=1, return_inverse=True)[1]
    most = np.full(len(kept), float(n))
    for rule in rules:
        if isinstance(rule, Each):
            most = np.minimum(most, rule.most[rule.codes[kept]])
    orders = [-preference[kept], *(rule.adds[kept] for rule in rules if isinstance(rule, Sum))]
    return kept[np.unique(np.concatenate([_first(group.reshape(-1), order, most) for order in orders]))]


def _first(group: IntArray, order: FloatArray, most: FloatArray) -> IntArray:
    """Of each group the first, so many as its members may be."""
    ordered = np.lexsort((order, group))
    starts = np.flatnonzero(np.r_[True, np.diff(group[ordered]) > 0])
    place = np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)]))
    return ordered[place < most[ordered]]
