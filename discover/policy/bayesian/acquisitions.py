"""Which acquisition functions the Bayesian policy has, and which objectives and costs each can pursue."""

from __future__ import annotations

import math
from collections.abc import Iterator

from discover.errors import Problem, Unsupported, nearest
from discover.objective import Objective
from discover.policy.bayesian.options import Options

IMPROVING = ("expected-improvement", "hypervolume", "parego")
"""Those that take every direction, several targets and constraints."""
SEVERAL = ("hypervolume", "parego")
"""Those for several targets only; of the two, expected-improvement stands for the first where there are several."""
THRESHOLDED = ("straddle", "hits", "hits-ahead")
"""Those that need a threshold of the target, or an objective that is a band."""
WITHOUT_CONSTRAINTS = ("hits-ahead",)
"""Those that cannot weigh the probability that constraints are kept."""
WITHOUT_COSTS = ("upper-confidence", "straddle", "thompson", "hits-ahead")
"""Those whose scores cannot be divided by a cost: they have no zero, or count what is far ahead."""


def option_problems(policy: Options) -> Iterator[Problem]:
    """What is wrong with a policy's options for its acquisition function."""
    if policy.threshold is not None and policy.acquisition not in THRESHOLDED:
        hint = "it belongs to straddle, hits and hits-ahead"
        yield Problem(f"has no meaning for {policy.acquisition}", column="threshold", way_out=hint)
    if not policy.beta > 0 or not math.isfinite(policy.beta):
        yield Problem("must be a number above 0", column="beta", value=policy.beta)
    if policy.threshold is not None and not math.isfinite(policy.threshold):
        yield Problem("must be a finite number", column="threshold", value=policy.threshold)
    for name, value in (policy.reference_point or {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            yield Problem("must be a finite number", column=f"reference_point.{name}", value=value)
    reference = policy.reference
    if not (reference >= 1 if isinstance(reference, int) else 0 < reference <= 1):
        hint = "write 500 for so many candidates, or 0.1 for a tenth of them"
        message = "must be a count of at least 1, or a share above 0 and up to 1"
        yield Problem(message, column="reference", value=reference, way_out=hint)


def check_objective(policy: Options, objective: Objective) -> None:
    """Unsupported for an objective that the acquisition function cannot pursue."""
    kind = policy.acquisition
    _check_reference(policy, objective)
    if kind in SEVERAL and len(objective.targets) == 1:
        raise Unsupported(f"acquisition {kind!r} is for several targets; expected-improvement is for one")
    if kind in IMPROVING:
        return
    target = objective.targets[0]
    band = kind in THRESHOLDED and target.band is not None
    if len(objective.targets) > 1 or (target.direction == "match" and not band):
        more = ", or that is to match a band" if kind in THRESHOLDED else ""
        raise Unsupported(
            f"acquisition {kind!r} needs one target that is maximized or minimized{more}; "
            "expected-improvement takes every objective"
        )
    if kind in WITHOUT_CONSTRAINTS and objective.constraints:
        raise Unsupported(f"acquisition {kind!r} takes no constraints: it counts hits far ahead; hits takes them")
    if kind in THRESHOLDED and (policy.threshold is None) == (target.band is None):
        which = "its threshold or the objective's band, not both" if band else "a threshold"
        raise Unsupported(f"acquisition {kind!r} needs {which}")


def _check_reference(policy: Options, objective: Objective) -> None:
    if not policy.reference_point:
        return
    names = [target.name for target in objective.targets]
    if len(names) == 1 or policy.acquisition == "parego":
        raise Unsupported("a reference_point belongs to hypervolume, of several targets")
    for name in policy.reference_point:
        if name not in names:
            raise Unsupported(f"the reference_point names {name!r}, which is not a target: {nearest(name, names)}")


def check_costs(policy: Options) -> None:
    """Unsupported where candidates have costs and the scores cannot be divided by them."""
    if policy.per_cost and policy.acquisition in WITHOUT_COSTS:
        raise Unsupported(
            f"the scores of acquisition {policy.acquisition!r} cannot be divided by the candidates' costs; "
            "set per_cost: false, or choose one that can, such as expected-improvement"
        )
