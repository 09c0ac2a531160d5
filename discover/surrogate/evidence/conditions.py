"""Fidelity and context of observations as inputs of a surrogate, and the ones that it is asked about.

A cheap calculation tells of an expensive one, a result from another reactor of this one, as far as the data say that they
agree. Each condition in which observations differ becomes a category or a number beside the features; predictions are made
for one of them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from discover.surrogate.covariance.asked import Asked
from discover.surrogate.covariance.forms import Form, Radial
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.inputs.layout import Layout
from discover.values import FloatArray, Training

LEVELS = 12
"""Different texts up to which a condition is a category; one with more of them is taken for a remark."""
UNIT = math.sqrt(12.0)
"""One-hot conditions are divided by this: two of them are then as far apart as two random values of a scaled feature."""


@dataclass(frozen=True)
class Condition:
    """One of them: `levels` of a category, or `low` and `high` of a number; `asked` is what predictions are for.

    strange: whether no observation was made at the level that is asked about.
    """

    name: str
    asked: Any
    levels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    strange: bool = False

    @property
    def width(self) -> int:
        """Columns that it fills."""
        return len(self.levels) or 1

    @property
    def seen(self) -> list[Any]:
        """Levels that were observed, or the range of a number and of what is asked."""
        return [level for level in self.levels if not (self.strange and level == self.asked)] or [self.low, self.high]

    def scaled(self, value: Any) -> list[float]:
        """The columns of one observation."""
        if self.levels:
            return [float(_text(value) == level) / UNIT for level in self.levels]
        return [(float(value) - 0.5 * (self.low + self.high)) / (self.high - self.low)]


@dataclass(frozen=True)
class Conditions:
    """Those in which the observations of a target differ. left_out: keys that are none, with the reason."""

    columns: tuple[Condition, ...] = ()
    left_out: Mapping[str, str] | None = None

    @classmethod
    def of(cls, training: Training, at: Mapping[str, Any]) -> Conditions:
        """What observations were made under. at: what is asked about, by name; else what most of them were made under."""
        keys = sorted({key for told in training.conditions for key in told})
        found: list[Condition] = []
        left_out: dict[str, str] = {}
        for key in keys:
            values = [told[key] for told in training.conditions if told.get(key) is not None]
            if not values:
                continue
            asked = _meant(at[key], values) if key in at else _usual(values)
            if all(_number(value) for value in [*values, asked]):
                low, high = min(*values, asked), max(*values, asked)
                if high > low:
                    found.append(Condition(key, float(asked), (), float(low), float(high)))
                continue
            levels = tuple(sorted({_text(value) for value in [*values, asked]}))
            if len(levels) > LEVELS:
                left_out[key] = f"{len(levels)} different texts"
            elif len(levels) > 1:
                found.append(Condition(key, _text(asked), levels, strange=_text(asked) not in map(_text, values)))
        left_out |= {key: "asked for, and no observation tells it" for key in at if key not in keys}
        return cls(tuple(found), left_out)

    def __bool__(self) -> bool:
        return bool(self.columns)

    @property
    def width(self) -> int:
        """Columns that they fill."""
        return sum(column.width for column in self.columns)

    @property
    def asked(self) -> tuple[float, ...]:
        """The columns of what is asked about, [e]."""
        return tuple(v for column in self.columns for v in column.scaled(column.asked))

    def scaled(self, told: Sequence[Mapping[str, Any]]) -> FloatArray:
        """The columns of observations, [n, e]; what one does not say is taken to be what is asked about."""
        rows = [
            [v for c in self.columns for v in c.scaled(c.asked if one.get(c.name) is None else one[c.name])]
            for one in told
        ]
        return np.array(rows, dtype=np.float64).reshape(len(told), self.width)

    @property
    def words(self) -> str:
        """What is asked about, in words."""
        return ", ".join(f"{c.name} {c.asked}{' (never observed)' if c.strange else ''}" for c in self.columns)

    @property
    def record(self) -> dict[str, Any]:
        """For what was learned; plain JSON."""
        body: dict[str, Any] = {}
        if self.columns:
            asked = {c.name: c.asked for c in self.columns}
            seen: dict[str, list[Any]] = {c.name: c.seen for c in self.columns}
            body["conditions"] = {"asked": asked, "seen": seen}
        return body | ({"conditions_left_out": dict(self.left_out)} if self.left_out else {})

    def told(self, model: GaussianProcess | Evidence, layout: Layout) -> GaussianProcess | Evidence:
        """The model for rows that carry these conditions; layout: of the features alone."""
        if not self:
            return model
        if isinstance(model, Evidence):
            return replace(model, asked=self.asking(Radial.whole("matern", layout.width, each=False), layout.width))
        form = model.form or Radial.whole(model.kernel, layout.width, each=model.lengths == "each")
        asking = self.asking(form, layout.width)
        return replace(model, form=asking, name=f"{model.name or model.kernel} at {self.words}")

    def asking(self, features: Form, width: int) -> Asked:
        """A form over `width` features, joined with a length-scale for each condition."""
        groups = tuple(k for k, column in enumerate(self.columns) for _ in range(column.width))
        columns = tuple(range(width, width + self.width))
        own = Radial(
            "matern", columns, groups, dimension=len(self.columns), width=width + self.width, name="conditions"
        )
        return Asked(features, own, width, self.asked, self.words)


def _usual(values: Sequence[Any]) -> Any:
    """What stands most often; of several the last in order."""
    counts = Counter(_text(value) for value in values)
    most = max(counts.values())
    chosen = max(text for text, count in counts.items() if count == most)
    return next(value for value in values if _text(value) == chosen)


def _meant(asked: Any, values: Sequence[Any]) -> Any:
    """What is asked about as observations tell it: their fidelities are texts, and 1 and 1.0 are the same number."""
    if not _number(asked):
        return asked
    return next((value for value in values if isinstance(value, str) and _as_number(value) == asked), asked)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
