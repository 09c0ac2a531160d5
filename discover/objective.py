"""What is wanted: a list of targets and constraints on outcomes."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, Literal

from discover.errors import InvalidInput, Problem, nearest

Direction = Literal["maximize", "minimize", "match"]
DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize", "match")

_COMPARISON = re.compile(r"^\s*(?P<target>[^\s<>=](?:[^<>=]*[^\s<>=])?)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\S+)\s*$")
_BAND = re.compile(r"^\s*(?P<target>\S.*?)\s+in\s+\[\s*(?P<low>[^,\]]+?)\s*,\s*(?P<high>[^,\]]+?)\s*\]\s*$")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


ALIKE = 0.8
"""From which likeness on (difflib's, 1 for equal) the name in a constraint is taken for a mistyped one."""


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_band(band: Any) -> bool:
    if not isinstance(band, (tuple, list)) or len(band) != 2:
        return False
    return all(_is_number(end) for end in band) and band[0] < band[1]


@dataclass(frozen=True)
class Target:
    """One measured quantity and what is wanted of it.

    direction: `maximize`, `minimize`, or `match` with either `value` (as near to it as possible) or `band` (inside
    `(low, high)`). `unit` is what results are told in.
    """

    name: str
    direction: Direction = "maximize"
    value: float | None = None
    band: tuple[float, float] | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidInput(f"target {self.name!r}", problems)
        if self.band is not None:
            object.__setattr__(self, "band", (float(self.band[0]), float(self.band[1])))

    def _problems(self) -> Sequence[Problem]:
        found = []
        if not isinstance(self.name, str) or not self.name.strip():
            found.append(Problem("a target needs a name", column="name", value=self.name))
        if self.direction not in DIRECTIONS:
            hint = nearest(str(self.direction), DIRECTIONS)
            found.append(Problem("unknown direction", column="direction", value=self.direction, way_out=hint))
        if self.direction == "match" and (self.value is None) == (self.band is None):
            found.append(Problem("direction 'match' needs exactly one of value and band", column="direction"))
        if self.direction != "match" and (self.value is not None or self.band is not None):
            found.append(Problem("value and band belong to direction 'match'", column="direction"))
        if self.band is not None and not _is_band(self.band):
            message = "a band is two finite numbers, its low end below its high end"
            found.append(Problem(message, column="band", value=self.band))
        if self.value is not None and not _is_number(self.value):
            found.append(Problem("must be a finite number", column="value", value=self.value))
        if not isinstance(self.unit, str):
            found.append(Problem("must be text", column="unit", value=self.unit))
        return found

    @property
    def ends(self) -> tuple[float, float]:
        """The band that is to be matched; a single value is both of its ends. Only for direction `match`."""
        if self.band is not None:
            return self.band
        assert self.value is not None
        return self.value, self.value

    def utility(self, values: Any) -> Any:
        """What is to be made large, in the target's unit: y, -y, or minus the distance to the value or band. Array in, array out."""
        if self.direction == "maximize":
            return values
        if self.direction == "minimize":
            return -values
        if self.value is not None:
            return -abs(values - self.value)
        assert self.band is not None
        low, high = self.band
        below, above = low - values, values - high
        return -((below > 0) * below + (above > 0) * above)

    def to_dict(self) -> dict[str, Any]:
        """The fields that were set, as plain JSON."""
        body: dict[str, Any] = {"name": self.name, "direction": self.direction}
        if self.value is not None:
            body["value"] = self.value
        if self.band is not None:
            body["band"] = list(self.band)
        if self.unit:
            body["unit"] = self.unit
        return body


@dataclass(frozen=True)
class Constraint:
    """A condition on an outcome, from text: `e_above_hull <= 0.05` or `band_gap in [1.1, 1.6]`.

    target: the measured quantity that it is about, whether or not that is one of the targets.
    """

    text: str
    target: str
    low: float
    high: float
    strict: bool = False

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read a constraint. InvalidInput names the text if it is none; limits must be finite, or they limit nothing."""
        try:
            if match := _BAND.match(text):
                low, high = float(match["low"]), float(match["high"])
                if not (low <= high and math.isfinite(low) and math.isfinite(high)):
                    raise ValueError
                return cls(text, match["target"], low, high)
            if match := _COMPARISON.match(text):
                limit, sign = float(match["limit"]), match["sign"]
                low, high = (-math.inf, limit) if sign.startswith("<") else (limit, math.inf)
                if not math.isfinite(limit):
                    raise ValueError
                return cls(text, match["target"], low, high, strict=len(sign) == 1)
        except ValueError:
            pass
        hint = "write 'target <= 0.05' or 'target in [1.1, 1.6]'"
        raise InvalidInput("constraint", [Problem("not a constraint", value=text, way_out=hint)])

    def holds(self, value: float) -> bool:
        """Whether a measured value satisfies the constraint; NaN never does."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high


def constraint_problems(
    constraints: Sequence[Constraint], targets: Sequence[str], outcomes: Mapping[str, str]
) -> list[Problem]:
    """What is wrong with the names in constraints: a target that was mistyped, an outcome that nothing is asked of."""
    problems = [
        Problem("must be text", column=f"outcomes.{name}", value=unit)
        for name, unit in outcomes.items()
        if not isinstance(unit, str)
    ]
    for c in constraints:
        known = [*targets, *outcomes]
        if c.target not in known and (close := difflib.get_close_matches(c.target, known, n=1, cutoff=ALIKE)):
            hint = f"did you mean {close[0]!r}? An outcome of its own is declared: outcomes: {{{c.target}: its unit}}"
            problems.append(Problem("constrains something that is not a target", value=c.text, way_out=hint))
    constrained = {c.target for c in constraints}
    for name in outcomes:
        if name in targets:
            hint = "its unit stands with the target"
            problems.append(Problem("is a target already", column="outcomes", value=name, way_out=hint))
        elif name not in constrained:
            hint = f"constrain it, such as '{name} <= 1', or make it a target"
            problems.append(Problem("no constraint is about this outcome", column="outcomes", value=name, way_out=hint))
    return problems


def _with_units(outcomes: Any) -> dict[str, str]:
    """Outcomes as given, with units. InvalidInput for anything else."""
    if isinstance(outcomes, Mapping):
        return dict(outcomes)
    if isinstance(outcomes, (list, tuple)) and all(isinstance(name, str) for name in outcomes):
        return dict.fromkeys(outcomes, "")
    hint = 'write outcomes={"e_above_hull": "eV/atom"}'
    raise InvalidInput("objective", [Problem("not outcomes with units", value=outcomes, way_out=hint)])


def units_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Units by name of all that an objective measures, from its `to_dict`."""
    return {t["name"]: t.get("unit", "") for t in body["targets"]} | dict(body.get("outcomes", {}))


class Objective:
    """What a campaign seeks.

    Objective("yield", "maximize", unit="%") is short for Objective([Target("yield", "maximize", unit="%")]).
    constraints are texts on measured quantities, such as "e_above_hull <= 0.05", of targets and of others. outcomes: names of
    the latter, with their units; one that a constraint names need not be among them where it has none.

    targets: what is optimised. names: all that is measured, the targets first.
    """

    __slots__ = ("constraints", "outcomes", "targets")

    targets: tuple[Target, ...]
    constraints: tuple[Constraint, ...]
    outcomes: Mapping[str, str]

    def __init__(
        self,
        targets: str | Target | Sequence[Target],
        direction: Direction = "maximize",
        *,
        value: float | None = None,
        band: tuple[float, float] | None = None,
        unit: str = "",
        constraints: Sequence[str] = (),
        outcomes: Mapping[str, str] | Sequence[str] = (),
    ):
        if isinstance(targets, str):
            targets = Target(targets, direction, value=value, band=band, unit=unit)
        given = [targets] if isinstance(targets, Target) else targets
        if not isinstance(given, Sequence) or not all(isinstance(target, Target) for target in given):
            hint = 'write Objective("yield", "maximize") or Objective([Target("yield"), Target("cost", "minimize")])'
            raise InvalidInput("objective", [Problem("not targets", value=targets, way_out=hint)])
        texts = [constraints] if isinstance(constraints, str) else constraints
        if not isinstance(texts, Sequence):
            hint = 'write constraints=["e_above_hull <= 0.05"]'
            raise InvalidInput("objective", [Problem("not constraints", value=texts, way_out=hint)])
        parsed = tuple(Constraint.parse(str(text)) for text in texts)
        names = [target.name for target in given]
        told = _with_units(outcomes)
        problems = [
            Problem("named twice", column="targets", value=name)
            for name in sorted({n for n in names if names.count(n) > 1})
        ]
        problems += constraint_problems(parsed, names, told)
        if not names:
            problems.append(Problem("an objective needs at least one target", column="targets"))
        if problems:
            raise InvalidInput("objective", problems)
        object.__setattr__(self, "targets", tuple(given))
        object.__setattr__(self, "constraints", parsed)
        others = dict.fromkeys(c.target for c in parsed if c.target not in names)
        object.__setattr__(self, "outcomes", MappingProxyType({name: told.get(name, "") for name in others}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Objective is immutable; make a new one instead of setting {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Objective.from_dict, (self.to_dict(),)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that is measured: the targets, then what is constrained besides."""
        return (*(target.name for target in self.targets), *self.outcomes)

    @property
    def units(self) -> dict[str, str]:
        """Units of all that is measured, by name; "" where none was given."""
        return {target.name: target.unit for target in self.targets} | dict(self.outcomes)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Between which values each constrained outcome must lie to keep all of its constraints, by name."""
        found: dict[str, tuple[float, float]] = {}
        for c in self.constraints:
            low, high = found.get(c.target, (-math.inf, math.inf))
            found[c.target] = (max(low, c.low), min(high, c.high))
        return found

    @property
    def contradictions(self) -> list[Problem]:
        """Outcomes of which no value keeps all of the constraints."""
        hint = "drop one, or widen it"
        problems = []
        for name, (low, high) in self.limits.items():
            texts = [c.text for c in self.constraints if c.target == name]
            ends = [c for c in self.constraints if c.target == name and c.strict]
            if low > high or (low == high and any(low in (c.low, c.high) for c in ends)):
                message = f"no value of {name!r} keeps all of its constraints"
                problems.append(Problem(message, column="constraints", value="; ".join(texts), way_out=hint))
        return problems

    def target(self, name: str) -> Target:
        """The target of that name."""
        return next(target for target in self.targets if target.name == name)

    def feasible(self, values: Mapping[str, float]) -> bool:
        """Whether measured values satisfy every constraint."""
        return all(c.holds(values.get(c.target, math.nan)) for c in self.constraints)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` reads it back."""
        body: dict[str, Any] = {"targets": [target.to_dict() for target in self.targets]}
        if self.constraints:
            body["constraints"] = [c.text for c in self.constraints]
        if self.outcomes:
            body["outcomes"] = dict(self.outcomes)
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Objective:
        """Inverse of `to_dict`."""
        targets = [
            Target(
                t["name"],
                t.get("direction", "maximize"),
                t.get("value"),
                tuple(t["band"]) if t.get("band") else None,
                t.get("unit", ""),
            )
            for t in body["targets"]
        ]
        return cls(targets, constraints=body.get("constraints", ()), outcomes=body.get("outcomes", ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.targets, self.constraints))

    def __repr__(self) -> str:
        parts = []
        for t in self.targets:
            goal = (
                t.direction
                if t.direction != "match"
                else f"match {t.value if t.value is not None else list(t.band or ())}"
            )
            parts.append(f"{goal} {t.name}" + (f" [{t.unit}]" if t.unit else ""))
        limits = f" where {', '.join(c.text for c in self.constraints)}" if self.constraints else ""
        return f"Objective({'; '.join(parts)}{limits})"
