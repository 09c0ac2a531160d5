"""Settings under `policy:` that belong to the campaign and not to the policy: batch and its limits, costs, exploration,
approval, deadline, dispatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal

from discover.errors import InvalidInput, Problem

MOST_DAYS = 36_500
LEARNED = "learned"
"""What stands under cost where a model of what was told takes the place of a column."""


@dataclass(frozen=True)
class Terms:
    """On which terms batches are made.

    batch: how many candidates an unattended iteration proposes. explore: share of each batch that is drawn at random, with
    known probability: the unbiased check of calibration and of 'better than random'. require_approval: a person must
    approve a proposal before anybody works on it. deadline_days: after so many days without a result a proposal expires.
    dispatch: 'here' runs the experiments where the campaign is run, and workers may join; 'workers' only proposes, so that
    `batch` proposals always wait for them, and each knows what has come in until then.

    at_most: by column of the candidates, how often one of its values may occur in a batch: {solvent: 2}. different: columns
    in which no two of a batch agree. same: columns in which all of a batch agree, such as the temperature of a plate. cost:
    what each candidate costs: a column, or prices by column, {amount: 12.5} for a price of its unit and {base: {KOH: 1, DBU:
    3}} for one of each value, which are added up; or `learned`, from what was told with results, see `discover.policy.costs`.
    What candidates cost divides what they promise, and a batch stays within a budget in cost. change_over: what it costs
    besides to go from one experiment to another with another value, by column: {catalyst: 20} for any change, {temperature:
    {fixed: 5, per_unit: 0.1}} for a change and for each unit of it, {solvent: 10} for a mixture that is another in any of its
    parts; without `cost` an experiment by itself costs 1. A batch comes in an order in which little is changed. Limits hold
    within one batch that is asked for at once; where they leave fewer, the batch says so.
    """

    batch: int = 1
    explore: float = 0.0
    require_approval: bool = False
    deadline_days: float | None = None
    dispatch: Literal["here", "workers"] = "here"
    at_most: Mapping[str, int] | None = None
    different: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    cost: str | Mapping[str, Any] | None = None
    change_over: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> Terms:
        """The terms among a policy's settings. InvalidInput names every one that is wrong."""
        given = {key: policy[key] for key in KEYS if key in policy}
        if problems := problems_of(given):
            raise InvalidInput("policy", problems)
        given |= {key: _listed(given[key]) for key in ("different", "same") if key in given}
        return cls(**given)

    def settings(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the terms that the user has set, as plain values."""
        return {key: value for key, value in asdict(self).items() if key in policy}

    @property
    def learns_costs(self) -> bool:
        """Whether costs are learned from results rather than known of the candidates."""
        return self.cost == LEARNED

    @property
    def most(self) -> dict[str, int]:
        """How often a value of a column may occur in a batch, by column."""
        return {column: int(most) for column, most in (self.at_most or {}).items()} | dict.fromkeys(self.different, 1)

    @property
    def changes(self) -> dict[str, tuple[float, float]]:
        """What a change of a column's value costs, and what each unit of it costs."""
        given = {str(column): one for column, one in (self.change_over or {}).items()}
        priced = {k: one if isinstance(one, Mapping) else {"fixed": one} for k, one in given.items()}
        return {k: (float(one.get("fixed", 0.0)), float(one.get("per_unit", 0.0))) for k, one in priced.items()}

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Columns of the candidates that the terms speak of, each with its option."""
        priced = [self.cost] if isinstance(self.cost, str) else list(self.cost or ())
        priced = [] if self.learns_costs else priced
        given = {"at_most": list(self.at_most or ()), "different": self.different, "same": self.same, "cost": priced}
        given |= {"change_over": list(self.changes)}
        return [(option, str(column)) for option, columns in given.items() for column in columns]


KEYS = tuple(field.name for field in fields(Terms))


def without_terms(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy's own settings."""
    return {str(key): value for key, value in policy.items() if key not in KEYS}


def problems_of(given: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the terms among some settings."""
    checks = {
        "batch": (_whole, "must be a whole number of at least 1"),
        "explore": (_share, "must be a share, from 0 to 1"),
        "require_approval": (lambda v: isinstance(v, bool), "must be true or false"),
        "deadline_days": (_days, f"must be a number of days above 0, at most {MOST_DAYS:,}"),
        "dispatch": (lambda v: v in ("here", "workers"), "must be 'here' or 'workers'"),
        "at_most": (_counts, "must give columns whole numbers of at least 1, such as {solvent: 2}"),
        "different": (_columns, "must be a list of columns"),
        "same": (_columns, "must be a list of columns"),
        "cost": (
            _prices,
            "must be a column, learned, or prices by column, such as {amount: 12.5, base: {KOH: 1, DBU: 3}}",
        ),
        "change_over": (
            _changes,
            "must give columns the price of a change, such as {catalyst: 20, temperature: {fixed: 5, per_unit: 0.1}}",
        ),
    }
    return [
        Problem(message, column=key, value=given[key])
        for key, (right, message) in checks.items()
        if key in given and not right(given[key])
    ]


def contradictions(terms: Terms) -> list[Problem]:
    """Terms, each right by itself, that do not go together: they leave smaller batches than are asked for, or count twice."""
    twice = Problem(
        "costs that are learned from results hold what changing over cost",
        column="change_over",
        way_out="leave it out, or say in cost what candidates cost by themselves",
    )
    return ([twice] if terms.learns_costs and terms.changes else []) + [
        Problem(
            f"all of a batch have the same {column}, and at most {terms.most[column]} of a batch may have it",
            column="same",
            value=column,
            way_out="leave it out of same, or out of at_most and different",
        )
        for column in terms.same
        if terms.most.get(column, math.inf) < max(2, terms.batch)
    ]


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _days(value: Any) -> bool:
    return value is None or (_number(value) and 0 < value <= MOST_DAYS)


def _counts(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and all(_whole(one) for one in value.values()))


def _columns(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value))


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _prices(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return True
    return isinstance(value, Mapping) and bool(value) and all(_price(one) for one in value.values())


def _price(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(_number(one) for one in value.values())
    return _number(value)


def _changes(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and all(_change(one) for one in value.values()))


def _change(value: Any) -> bool:
    if isinstance(value, Mapping):
        known = bool(value) and value.keys() <= {"fixed", "per_unit"}
        return known and all(_number(one) and one >= 0 for one in value.values())
    return _number(value) and value >= 0


_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_PRICE = {"anyOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "number"}}]}
_LEAST = {"type": "number", "minimum": 0}
_PARTS = {"type": "object", "properties": {"fixed": _LEAST, "per_unit": _LEAST}, "additionalProperties": False}
_CHANGE = {"anyOf": [_LEAST, {**_PARTS, "minProperties": 1}]}
SCHEMA = {
    "batch": {"type": "integer", "minimum": 1, "title": "Batch"},
    "explore": {"type": "number", "minimum": 0, "maximum": 1, "title": "Explore"},
    "require_approval": {"type": "boolean", "title": "Require approval"},
    "deadline_days": {"type": ["number", "null"], "exclusiveMinimum": 0, "title": "Deadline days"},
    "dispatch": {"enum": ["here", "workers"], "title": "Dispatch"},
    "at_most": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}, "title": "At most"},
    "different": {**_LIST, "title": "Different"},
    "same": {**_LIST, "title": "Same"},
    "cost": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": _PRICE}], "title": "Cost"},
    "change_over": {"type": "object", "additionalProperties": _CHANGE, "title": "Change over"},
}
"""JSON Schema of the terms, for editors."""
