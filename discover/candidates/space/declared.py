"""Parameters, and the constraints between them: what a space is, before anything is drawn from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from discover.candidates.space.constraints.batch_rules import BatchRules, Rule, read_rule
from discover.candidates.space.constraints.conditions import Condition, Count, Linear
from discover.candidates.space.constraints.text import Misread, Parsed, Reader, problem_of
from discover.candidates.space.encoding import SpaceEncoding
from discover.candidates.space.parameters.levels import exact, on_level
from discover.candidates.space.parameters.mixture import Mixture
from discover.candidates.space.parameters.parameter import Parameter, Slot, Unreadable
from discover.errors import InvalidInput, Problem
from discover.reserved import RESERVED_RESULTS
from discover.values import BoolArray, Candidate, FloatArray, IntArray

ID = "candidate"
"""The column of ids where no other name is given."""


class Declared:
    """Parameters with their slots, and constraints that were read. A point is its codes [slots]; its values are by column."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        *,
        constraints: Sequence[str] = (),
        batch_constraints: Sequence[str] = (),
        id: str = ID,
        stored: bool = False,
    ):
        self.id = id
        self.parameters = tuple(parameters) if isinstance(parameters, Iterable) else (parameters,)
        problems = self._parameter_problems()
        if problems:
            raise InvalidInput("search space", problems)
        self.slots: tuple[Slot, ...] = tuple(slot for one in self.parameters for slot in one.slots)
        ends = np.cumsum([0, *(len(one.slots) for one in self.parameters)])
        self.places = tuple(tuple(range(a, b)) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
        self.owner = tuple(place for place, slots in enumerate(self.places) for _ in slots)
        self._read(_texts(constraints, "constraints"), _texts(batch_constraints, "batch_constraints"))
        self._check_possible()
        if not stored:
            self._check_batches()

    def _check_possible(self) -> None:
        """Whether any point keeps the constraints is for whoever can search for one."""

    def _check_batches(self) -> None:
        """So is whether any may be in a batch."""

    def _parameter_problems(self) -> list[Problem]:
        odd = [one for one in self.parameters if not isinstance(one, Parameter)]
        hint = "such as Continuous(…), Categorical(…), Mixture(…)"
        if odd or not self.parameters:
            return [Problem("not parameters", column="parameters", value=odd or None, way_out=hint)]
        columns = [column for one in self.parameters for column in {one.name, *one.columns}]
        found = [
            Problem("two parameters have this name", column="parameters", value=name)
            for name in sorted({c for c in columns if columns.count(c) > 1})
        ]
        if not isinstance(self.id, str) or not self.id or self.id in RESERVED_RESULTS or self.id in columns:
            found.append(Problem("cannot be the column of ids", column="id", value=self.id))
        return found

    def _read(self, constraints: Sequence[str], batch: Sequence[str]) -> None:
        reader = Reader(self.slots, {one.name: self.places[p] for p, one in enumerate(self.parameters)})
        problems: list[Problem] = []
        read: list[Parsed] = []
        rules: list[Rule] = []
        given = [(text, f"constraints.{place}") for place, text in enumerate(constraints)]
        given += [
            (f"{_quoted(one.name)} only if {one.when}", f"{one.name}.when") for one in self.parameters if one.when
        ]
        for text, column in given:
            try:
                read.append(reader.read(text))
            except Misread as error:
                problems.append(problem_of(error, column, text))
        for place, text in enumerate(batch):
            try:
                rules.append(read_rule(text, reader))
            except Misread as error:
                problems.append(problem_of(error, f"batch_constraints.{place}", text))
        if problems:
            raise InvalidInput("search space", problems)
        self.constraints, self.batch_constraints = tuple(constraints), tuple(batch)
        self.rules = BatchRules(tuple(rules))
        self.conditions = tuple(one.condition for one in read if not one.active)
        self.texts = tuple(one.text for one in read if not one.active)
        self._activate([one for one in read if one.active])

    def _activate(self, read: Sequence[Parsed]) -> None:
        names = [one.name for one in self.parameters]
        self.activity: dict[int, Condition] = {}
        problems = []
        for one in read:
            for name in one.active:
                if names.index(name) in self.activity:
                    hint = "join the conditions with and, or"
                    problems.append(
                        Problem("has two conditions to be active", column="constraints", value=name, way_out=hint)
                    )
                self.activity[names.index(name)] = one.condition
        self.order: tuple[int, ...] = ()
        left = set(range(len(names)))
        while ready := sorted(p for p in left if not self._depends(p) & left):
            self.order += tuple(ready)
            left -= set(ready)
        if left:
            told = ", ".join(names[p] for p in sorted(left))
            problems.append(Problem("have values only if each other have one", column="constraints", value=told))
        if problems:
            raise InvalidInput("search space", problems)

    def _depends(self, place: int) -> set[int]:
        condition = self.activity.get(place)
        return set() if condition is None else {self.owner[slot] for slot in condition.slots}

    @cached_property
    def implied(self) -> tuple[Condition, ...]:
        """What the parameters by themselves demand, as conditions: fractions sum to one, so many components are used."""
        found: list[Condition] = []
        for place, one in enumerate(self.parameters):
            if isinstance(one, Mixture):
                slots = self.places[place]
                found.append(Linear(tuple((slot, Fraction(1)) for slot in slots), "==", Fraction(1)))
                most = len(slots) if one.at_most is None else one.at_most
                found.append(Count(slots, 0, most))
        return tuple(found)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a frame of candidates, without the id."""
        return tuple(column for one in self.parameters for column in one.columns)

    @property
    def endless(self) -> bool:
        """Whether some parameter has no step, so that the points cannot be counted."""
        return any(one.endless for one in self.parameters)

    @cached_property
    def count(self) -> int:
        """How many combinations of settings there are, constraints between parameters not counted."""
        found = 1
        for one in self.parameters:
            found *= one.count
        return found

    def settled(self, codes: IntArray, fresh: IntArray | None = None) -> IntArray:
        """Points [m, slots] in their one form: a parameter whose condition does not hold has no value (-1).

        fresh: codes [slots] for those that come to have a value; without it they must have codes already.
        """
        if not self.activity:
            return codes
        codes = codes.copy()
        for place in self.order:
            if place not in self.activity:
                continue
            holds = self.activity[place].decide(self.numbers(codes))[0]
            first, last = self.places[place][0], self.places[place][-1] + 1
            lacking = holds & (codes[:, first] < 0)
            codes[~holds, first:last] = -1
            if fresh is not None:
                codes[lacking, first:last] = fresh[first:last]
        return codes

    def feasible(self, codes: IntArray) -> BoolArray:
        """Which points [m, slots] can be set and keep every constraint, exactly; [m]."""
        fine = np.ones(len(codes), dtype=bool)
        tops = np.array([slot.top for slot in self.slots])
        fine &= (codes <= tops).all(axis=1) & (codes >= -1).all(axis=1)
        numbers = self.numbers(np.clip(codes, -1, tops))
        for place, parameter in enumerate(self.parameters):
            slots = list(self.places[place])
            idle = (codes[:, slots] == -1).all(axis=1)
            meant = np.zeros(len(codes), dtype=bool)
            if place in self.activity:
                meant = ~self.activity[place].decide(numbers)[0]
            part = codes[:, slots]
            valid = ~idle & (part >= 0).all(axis=1)
            valid[valid] = parameter.valid(part[valid])
            fine &= np.where(meant, idle, valid)
        for condition in self.conditions:
            places = np.flatnonzero(fine)
            fine[places] = ~condition.decide(numbers[places])[1]
        return fine

    def numbers(self, codes: IntArray) -> FloatArray:
        """Points [m, slots] as numbers [m, slots]; NaN where a parameter has no value."""
        parts = [one.numbers(codes[:, list(self.places[place])]) for place, one in enumerate(self.parameters)]
        return np.concatenate(parts, axis=1)

    def values(self, codes: IntArray) -> dict[str, Any]:
        """The values of one point [slots], by column; None where a parameter has none."""
        found: dict[str, Any] = {}
        for place, one in enumerate(self.parameters):
            part = codes[list(self.places[place])]
            found |= dict.fromkeys(one.columns) if part[0] < 0 else one.cells(part)
        return found

    def numbers_of(self, values: Mapping[str, Any]) -> list[float]:
        """Numbers [slots] of values in their one form."""
        found: list[float] = []
        for place, one in enumerate(self.parameters):
            idle = all(values[column] is None for column in one.columns)
            found += [np.nan] * len(self.places[place]) if idle else one.numbers_of(values)
        return found

    def codes_of(self, values: Mapping[str, Any]) -> IntArray | None:
        """Codes [slots] of values in their one form; None where they cannot be set."""
        found: list[int] = []
        for place, one in enumerate(self.parameters):
            idle = all(values[column] is None for column in one.columns)
            codes = [-1] * len(self.places[place]) if idle else one.codes_of(one.numbers_of(values))
            if codes is None:
                return None
            found += codes
        return np.array(found, dtype=np.int64)

    def candidate(self, values: Mapping[str, Any]) -> Candidate:
        """The candidate with these values, which are in their one form; its id is their content hash."""
        body = {column: values[column] for column in self.columns}
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
        name = "c" + hashlib.sha256(text.encode()).hexdigest()[:15]
        whole = {self.id: name, **body}
        text = json.dumps(whole, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return Candidate(name, hashlib.sha256(text.encode()).hexdigest()[:32], whole)

    def candidates(self, codes: IntArray) -> list[Candidate]:
        """The candidates at points [m, slots]."""
        return [self.candidate(self.values(row)) for row in codes]

    def fixing(self, owner: Parameter, column: str, value: Any) -> tuple[dict[int, int], Any]:
        """The codes, by slot, to which a column is held by a value, and the value in its one form. ValueError."""
        place = self.parameters.index(owner)
        slots = self.places[place]
        if len(owner.columns) == 1:
            values = owner.read({column: value})
            codes = owner.codes_of(owner.numbers_of(values))
            if codes is None:
                raise Unreadable("cannot be set so", column, value, "give a value on the settable grid")
            return dict(zip(slots, codes, strict=True)), values[column]
        slot = slots[owner.columns.index(column)]
        code = self.slots[slot].levels.code(on_level(exact(value), self.slots[slot].levels))
        if code is None:
            raise Unreadable("cannot be set so", column, value, "give a value on the settable grid")
        return {slot: code}, float(value)

    @cached_property
    def encoding(self) -> SpaceEncoding:
        """How points become features."""
        return SpaceEncoding.of(list(zip(self.parameters, self.places, strict=True)), self.activity)

    def encode(self, numbers: FloatArray) -> FloatArray:
        """Numbers [m, slots] to features [m, d]."""
        return self.encoding.transform(numbers)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _texts(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        hint = f"write {name}=[{given!r}]"
        raise InvalidInput("search space", [Problem("give a list of texts", column=name, value=given, way_out=hint)])
    return tuple(given)
