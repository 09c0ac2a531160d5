"""What can be tried, declared rather than listed: a declaration whose constraints can be kept, and how its points are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from discover.candidates.space.constraints.batch_rules import Rule, Total
from discover.candidates.space.constraints.conditions import Condition, Linear
from discover.candidates.space.declared import ID, Declared
from discover.candidates.space.parameters.parameter import Parameter, Unreadable, missing
from discover.candidates.space.region import EFFORT, Region
from discover.errors import InvalidInput, Problem


class SearchSpace(Declared):
    """Parameters, and constraints as text; see `discover.candidates.space.constraints.text` and `batch_rules` for what they may say.

    Example::

        SearchSpace([Continuous("temperature", 20, 120, step=1, unit="degC"), Categorical("base", ["KOH", "K3PO4"])],
                    constraints=["temperature <= 78 if base == 'KOH'"], batch_constraints=["one temperature"])

    A candidate's id is a hash of its values. id: the name of that column. InvalidInput collects everything that is wrong, and
    says so where no setting keeps the constraints.
    """

    def _check_possible(self) -> None:
        """InvalidInput where no point keeps the constraints, with what is known of why."""
        if self.whole.listing is not None:
            if not len(self.whole.listing):
                self._refuse("no setting keeps all constraints: every one was tried")
            return
        found, proof = self._some_point()
        if not found and proof:
            self._refuse("no setting keeps all constraints: a search that leaves nothing out found none")
        if not found:
            self._refuse(f"no setting that keeps all constraints was found in {EFFORT:,} tries, which proves nothing")

    def _some_point(self) -> tuple[bool, bool]:
        """Whether a point that keeps the conditions is found; and whether nothing was left out, so that none is a proof."""
        generator = np.random.default_rng(0)
        if self.feasible(self.whole.raw(4096, generator)).any():
            return True, False
        codes, proof = self.whole.solve(generator)
        return codes is not None, proof

    def _refuse(self, message: str) -> None:
        hint = "loosen one; on a grid an equality needs steps that can meet it"
        raise InvalidInput("search space", [Problem(message, value="; ".join(self.texts) or None, way_out=hint)])

    def _check_batches(self) -> None:
        """InvalidInput where it is certain that no point may be in a batch, not even by itself: for a rule, or for all together."""
        rules = [(rule, kept) for rule in self.rules.rules if (kept := rule.alone) is not None]
        hint = "give a larger limit, or loosen the constraints"
        surely = [
            Problem(
                f"no candidate keeps it{self._least(rule, kept)}",
                column="batch_constraints",
                value=rule.text,
                way_out=hint,
            )
            for rule, kept in rules
            if kept.bounded(self._ranges) is False
        ]
        if surely:
            raise InvalidInput("search space", surely)
        if rules and (how := self._none_joins([kept for _, kept in rules])):
            told = "; ".join(rule.text for rule, _ in rules)
            message = f"no candidate keeps {'it' if len(rules) == 1 else 'them together'}, not even by itself: {how}"
            raise InvalidInput("search space", [Problem(message, column="batch_constraints", value=told, way_out=hint)])

    @property
    def _ranges(self) -> Sequence[tuple[Fraction, Fraction] | None]:
        """The least and greatest number of each slot; None where it may have no value."""
        levels = [
            None if place in self.activity else slot.levels for place, slot in zip(self.owner, self.slots, strict=True)
        ]
        return [None if one is None else (one.exact(0), one.exact(one.count - 1)) for one in levels]

    def _least(self, rule: Rule, kept: Condition) -> str:
        """What a candidate adds to a total at least, in words."""
        ends = kept.ends(self._ranges) if isinstance(kept, Linear) else None
        return (
            f": each adds {float(ends[0] + rule.sum.constant):g} at least" if ends and isinstance(rule, Total) else ""
        )

    def _none_joins(self, kept: Sequence[Condition]) -> str:
        """How it is known that no point keeps further conditions besides the constraints; '' where some does or nobody knows."""
        narrowed = copy(self)
        narrowed.__dict__.pop("whole", None)
        narrowed.conditions = (*self.conditions, *kept)
        if (listing := self.whole.listing) is not None:
            return "" if narrowed.feasible(listing).any() else "every one was tried"
        found, proof = narrowed._some_point()
        return "a search that leaves nothing out found none" if proof and not found else ""

    def region(self, fixed: Mapping[str, Any] | None = None) -> Region:
        """The space, or the part of it where some columns have given values."""
        return Region.of(self, fixed) if fixed else self.whole

    @cached_property
    def whole(self) -> Region:
        """All of the space."""
        return Region.of(self)

    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Cells of a row, by column, to values in their one form. Unreadable for the first that is none."""
        found: dict[str, Any] = {}
        for place in range(len(self.parameters)):
            found |= self._parameter(place, cells)
        return self._consistent(found)

    def unreadable(self, cells: Mapping[str, Any]) -> list[Unreadable]:
        """What is wrong with the cells of a row, parameter by parameter; empty where each can be read by itself."""
        found = []
        for place in range(len(self.parameters)):
            try:
                self._parameter(place, cells)
            except Unreadable as error:
                found.append(error)
        return found

    def _parameter(self, place: int, cells: Mapping[str, Any]) -> dict[str, Any]:
        one = self.parameters[place]
        given = {column: cells.get(column) for column in one.columns}
        if not all(missing(cell) for cell in given.values()):
            return one.read(given)
        if place not in self.activity:
            raise Unreadable("has no value", one.columns[0], None, f"give the {one.name}")
        return dict.fromkeys(one.columns)

    def _consistent(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, where those parameters have one that are to have one."""
        for place in self.order:
            if place not in self.activity:
                continue
            one = self.parameters[place]
            holds = bool(self.activity[place].decide(np.array([self.numbers_of(values)]))[0][0])
            idle = values[one.columns[0]] is None
            if holds and idle:
                raise Unreadable("has no value, though its condition holds", one.columns[0], None, one.when)
            if not holds and not idle:
                message = "has a value, though its condition does not hold"
                raise Unreadable(message, one.columns[0], values[one.columns[0]], "leave the cell empty")
        return values

    def remarks(self, values: Mapping[str, Any]) -> list[str]:
        """What is unusual about values that were read: beside the grid, or against a constraint."""
        numbers = np.array([self.numbers_of(values)])
        found = [
            f"against {text!r}"
            for text, one in zip(self.texts, self.conditions, strict=True)
            if one.decide(numbers)[1][0]
        ]
        for one in self.parameters:
            idle = values[one.columns[0]] is None
            if not idle and one.codes_of(one.numbers_of(values)) is None:
                found.append(f"{one.name} is beside the settable grid")
        return found

    def to_dict(self) -> dict[str, Any]:
        """The declaration, as plain JSON."""
        body: dict[str, Any] = {"parameters": [one.to_dict() for one in self.parameters]}
        if self.constraints:
            body["constraints"] = list(self.constraints)
        if self.batch_constraints:
            body["batch_constraints"] = list(self.batch_constraints)
        return body | ({"id": self.id} if self.id != ID else {})

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the declaration."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        size = "continuous" if self.endless else f"{self.count:,} combinations"
        lines = [f"SearchSpace({len(self.parameters)} parameters, {size})"]
        lines += [f"  {one.kind} {one.name}{_shown(one)}" for one in self.parameters]
        lines += [f"  where {text}" for text in self.constraints]
        lines += [f"  a batch: {text}" for text in self.batch_constraints]
        return "\n".join(lines)


def _shown(one: Parameter) -> str:
    told = {k: v for k, v in one.to_dict().items() if k not in ("kind", "name", "descriptors") and v not in ({}, "")}
    return (": " if told else "") + ", ".join(f"{key} {value}" for key, value in told.items())[:200]
