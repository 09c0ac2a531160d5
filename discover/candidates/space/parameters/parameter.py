"""What every parameter of a search space has in common: slots with codes, cells with values, features with a spread.

A point of a space is known in three forms. Codes are integers, one a slot, -1 where a parameter is inactive: what is searched.
Numbers are floats, one a slot, NaN where inactive: what constraints and features are made from; of a label the number is its
place. Values are JSON, one a column of a frame: what people see, and what ids are made from.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from discover.candidates.space.parameters.levels import Even, Levels, between, exact
from discover.errors import InvalidInput, Problem
from discover.reserved import RESERVED, RESERVED_PREFIXES
from discover.values import BlockKind, BoolArray, FloatArray, IntArray

NAME = re.compile(r"[^\W\d]([\w -]*[\w-])?", re.UNICODE)
"""What a parameter may be called: letters, digits, underscores, spaces and hyphens. A dot divides it from its parts."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no name has: line breaks, control characters, halves of characters. Sheets and stores lose them."""
SETTABLE = 1e-9
"""How near, in widths of a parameter without a step, counts as equal."""
NICE = 3
"""Decimal places of the width, or digits on a log scale, to which proposals of a parameter without a step are rounded."""

SlotKind = Literal["number", "label", "flag"]


@dataclass(frozen=True)
class Slot:
    """One integer of a point. labels: what the codes mean, for a label. tolerance: how near counts as equal."""

    name: str
    kind: SlotKind
    levels: Levels
    labels: tuple[str, ...] = ()
    tolerance: Fraction = Fraction(0)

    @property
    def top(self) -> int:
        """The last code."""
        return self.levels.count - 1


@dataclass(frozen=True)
class Encoding:
    """One way in which a parameter becomes features: a block's name suffix and kind, the features' names, and the centre [f]
    and spread [f] that they have over the parameter's own choices."""

    kind: BlockKind
    names: tuple[str, ...]
    centre: FloatArray
    spread: FloatArray


class Unreadable(ValueError):
    """A cell that is not a value of its parameter: `column`, `value`, what is wrong and the way out."""

    def __init__(self, message: str, column: str, value: Any = None, way_out: str = ""):
        self.column, self.value, self.way_out = column, value, way_out
        super().__init__(message)


class Parameter(ABC):
    """One thing that can be varied; a frozen dataclass whose fields are its options in YAML. `kind` names it there.

    when: a condition on other parameters without which it has no value, such as "acid != 'none'".
    """

    kind: ClassVar[str]
    name: str
    when: str

    def __post_init__(self) -> None:
        self._plain()
        problems = [*self._name_problems(), *self._problems()]
        if problems:
            what = f"parameter {self.name!r}" if isinstance(self.name, str) else "parameter"
            raise InvalidInput(what, problems)

    def _plain(self) -> None:  # noqa: B027
        """Bring options into one form before they are checked; by default they are in it."""

    @abstractmethod
    def _problems(self) -> Sequence[Problem]:
        """What is wrong with the options."""

    def _name_problems(self) -> list[Problem]:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            hint = "letters, digits, underscores, spaces and hyphens, beginning with a letter, and no space at the end"
            return [Problem("not a parameter's name", column="name", value=self.name, way_out=hint)]
        if self.name in RESERVED or self.name.startswith(RESERVED_PREFIXES):
            return [Problem("the name is reserved", column="name", value=self.name, way_out="ask and tell use it")]
        if not isinstance(self.when, str):
            return [Problem("must be a condition as text", column="when", value=self.when)]
        if not isinstance(unit := getattr(self, "unit", ""), str):
            return [Problem("must be text", column="unit", value=unit, way_out="such as 'degC', or leave it out")]
        return []

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The integers of a point that belong to this parameter."""
        return tuple(self._slots())

    @abstractmethod
    def _slots(self) -> Sequence[Slot]: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in a frame."""
        return (self.name,)

    @property
    def endless(self) -> bool:
        """Whether it has no step, so that its choices cannot be counted."""
        return False

    @property
    def count(self) -> int:
        """How many settings there are."""
        return self.slots[0].levels.count

    def listing(self) -> IntArray:
        """Every setting as codes [count, k], of a parameter that has few."""
        return np.arange(self.count, dtype=np.int64)[:, None]

    def valid(self, codes: IntArray) -> BoolArray:
        """Which of some codes [m, k], each within its slot, can be set together."""
        return np.ones(len(codes), dtype=bool)

    def draw(self, low: IntArray, high: IntArray, n: int, generator: np.random.Generator) -> IntArray:
        """n settings drawn evenly from those with codes from low [k] to high [k], as codes [n, k]."""
        return generator.integers(low, high + 1, size=(n, len(low)), dtype=np.int64)

    @abstractmethod
    def moves(self, codes: IntArray, low: IntArray, high: IntArray, generator: np.random.Generator) -> IntArray:
        """Settings near one [k], and some far from it, as codes [q, k]."""

    @abstractmethod
    def cells(self, codes: IntArray) -> dict[str, Any]:
        """The values of codes [k], by column."""

    @abstractmethod
    def read(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The values that some cells mean, in their one form. Unreadable for what is not within the parameter's bounds."""

    @abstractmethod
    def numbers_of(self, values: Mapping[str, Any]) -> Sequence[float]:
        """Numbers [k] of values in their one form."""

    def codes_of(self, numbers: Sequence[float]) -> list[int] | None:
        """Codes [k] of numbers; None where they cannot be set so."""
        found = [slot.levels.code(exact(number)) for slot, number in zip(self.slots, numbers, strict=True)]
        return None if any(code is None for code in found) else [int(code) for code in found if code is not None]

    def numbers(self, codes: IntArray) -> FloatArray:
        """Codes [m, k] to numbers [m, k]."""
        columns = [slot.levels.numbers(codes[:, place]) for place, slot in enumerate(self.slots)]
        return np.stack(columns, axis=1)

    @cached_property
    @abstractmethod
    def encodings(self) -> tuple[Encoding, ...]:
        """The features that it is made into; several encodings are alternatives."""

    @abstractmethod
    def encode(self, numbers: FloatArray) -> FloatArray:
        """Numbers [m, k] to the features [m, f] of all encodings, side by side. Rows with NaN give NaN."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: its kind, and the options that are not their defaults."""
        body: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            default = field.default if field.default is not MISSING else None
            if field.default is MISSING or value != default:
                body[field.name] = _json(value)
        return body


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value


def missing(cell: Any) -> bool:
    """Whether a cell is empty."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def number_cell(cell: Any, column: str) -> Fraction:
    """A cell as an exact number. Unreadable for what is none."""
    try:
        return exact(cell)
    except (ValueError, TypeError):
        hint = "write a decimal point" if "," in str(cell) else "give a number"
        raise Unreadable("not a number", column, cell, hint) from None


def one_hot(column: str, labels: Sequence[str]) -> Encoding:
    """One feature of 0 and 1 a label."""
    share = 1.0 / len(labels)
    names = tuple(f"{column}={label}" for label in labels)
    flat = np.full(len(labels), share)
    return Encoding("categories", names, flat, np.sqrt(flat * (1.0 - flat)))


def scaled(kind: BlockKind, names: Sequence[str], table: FloatArray) -> Encoding:
    """An encoding whose centre and spread are those of the rows [k, f] of its choices."""
    return Encoding(kind, tuple(names), table.mean(axis=0), table.std(axis=0))


def number_problems(options: Mapping[str, Any]) -> list[Problem]:
    """Those options that are not finite numbers."""
    found = []
    for column, value in options.items():
        try:
            if isinstance(value, str):
                raise ValueError("must be a number, not text")
            exact(value)
        except (ValueError, TypeError) as error:
            found.append(Problem(str(error) or "not a number", column=column, value=value))
    return found


def even_between(low: Any, high: Any, step: Any) -> Even:
    """The levels from low to high by step."""
    return between(exact(low), exact(high), exact(step))
