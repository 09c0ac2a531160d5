"""Settings under `policy:` that belong to the campaign and not to the policy: batch, exploration, approval, deadline, dispatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal

from discover.errors import InvalidInput, Problem

MOST_DAYS = 36_500


@dataclass(frozen=True)
class Terms:
    """On which terms batches are made.

    batch: how many candidates an unattended iteration proposes. explore: share of each batch that is drawn at random, with
    known probability: the unbiased check of calibration and of 'better than random'. require_approval: a person must
    approve a proposal before anybody works on it. deadline_days: after so many days without a result a proposal expires.
    dispatch: 'here' runs the experiments where the campaign is run, and workers may join; 'workers' only proposes, so that
    `batch` proposals always wait for them, and each knows what has come in until then.
    """

    batch: int = 1
    explore: float = 0.0
    require_approval: bool = False
    deadline_days: float | None = None
    dispatch: Literal["here", "workers"] = "here"

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> Terms:
        """The terms among a policy's settings. InvalidInput names every one that is wrong."""
        given = {key: policy[key] for key in KEYS if key in policy}
        if problems := problems_of(given):
            raise InvalidInput("policy", problems)
        return cls(**given)

    def settings(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the terms that the user has set, as plain values."""
        return {key: value for key, value in asdict(self).items() if key in policy}


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
    }
    return [
        Problem(message, column=key, value=given[key])
        for key, (right, message) in checks.items()
        if key in given and not right(given[key])
    ]


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _days(value: Any) -> bool:
    return value is None or (_number(value) and 0 < value <= MOST_DAYS)


SCHEMA = {
    "batch": {"type": "integer", "minimum": 1, "title": "Batch"},
    "explore": {"type": "number", "minimum": 0, "maximum": 1, "title": "Explore"},
    "require_approval": {"type": "boolean", "title": "Require approval"},
    "deadline_days": {"type": ["number", "null"], "exclusiveMinimum": 0, "title": "Deadline days"},
    "dispatch": {"enum": ["here", "workers"], "title": "Dispatch"},
}
"""JSON Schema of the terms, for editors."""
