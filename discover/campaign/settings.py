"""What a campaign is created with, as the plain JSON that the store keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

from discover import registry
from discover.campaign.terms import Terms, contradictions, without_terms
from discover.candidates.pool.pool import CandidatePool
from discover.candidates.space.points import Points, Pool
from discover.errors import InvalidInput, Problem, UnknownKind, Unsupported, nearest
from discover.objective import Objective
from discover.protocols import Policy
from discover.reserved import RESERVED_PREFIXES, RESERVED_RESULTS
from discover.store.canonical import digest, plain

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
CHANGEABLE = ("budget", "stop", "policy", "title", "about")
"""Keys of a definition that may change in a running campaign, if the user accepts it."""


def resolve_policy(policy: str | Mapping[str, Any] | Policy) -> tuple[Policy, dict[str, Any]]:
    """The policy and the settings that make it again; the campaign's terms are kept beside them."""
    if isinstance(policy, str):
        policy = {"kind": policy}
    if not isinstance(policy, (Mapping, Policy)):
        hint = 'a kind ("bayesian"), a kind with options ({"kind": "bayesian", "start": 5}) or a Policy'
        raise InvalidInput("policy", [Problem("not a policy", value=policy, way_out=hint)])
    if not isinstance(policy, Mapping):
        return policy, plain(registry.settings_of(registry.POLICIES, policy))
    terms = Terms.of(policy)
    refuse(contradictions(terms), "policy")
    chosen = registry.configure(registry.POLICIES, without_terms(policy))
    settings = plain(registry.settings_of(registry.POLICIES, chosen))
    return chosen, settings | plain(terms.settings(policy))


def check_count(value: Any, name: str) -> int:
    """A whole number of at least one, or InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidInput(name, [Problem("must be a whole number of at least 1", column=name, value=value)])
    return int(value)


def check_budget(budget: Any) -> dict[str, float]:
    """{"experiments": n}, {"cost": c}, both or nothing, or InvalidInput."""
    if budget is None:
        return {}
    if not isinstance(budget, Mapping):
        raise InvalidInput("budget", [Problem("must be a mapping", value=budget, way_out='write {"experiments": 60}')])
    known = ["experiments", "cost"]
    problems = [Problem("unknown key", column=str(k), way_out=nearest(str(k), known)) for k in budget if k not in known]
    cost = budget.get("cost")
    if cost is not None and (isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 < cost < math.inf):
        problems.append(Problem("must be a number above 0", column="cost", value=cost))
    refuse(problems, "budget")
    found: dict[str, float] = {}
    if "experiments" in budget:
        found["experiments"] = check_count(budget["experiments"], "experiments")
    return found if cost is None else found | {"cost": float(cost)}


def check_stop(stop: Any, objective: Objective) -> list[dict[str, Any]]:
    """Stopping rules as they are stored. InvalidInput names every one that is wrong, or that cannot tell about the objective."""
    if isinstance(stop, (str, Mapping)) or not isinstance(stop, Sequence):
        hint = 'write [{"kind": "no-improvement", "experiments": 30}]'
        raise InvalidInput("stop", [Problem("must be a list of rules", value=stop, way_out=hint)])
    problems: list[Problem] = []
    for place, rule in enumerate(stop):
        where = f"stop[{place}]"
        if not isinstance(rule, Mapping) or "kind" not in rule:
            hint = f"valid: {', '.join(registry.kinds(registry.STOPPING))}"
            problems.append(Problem("needs a kind", column=where, value=rule, way_out=hint))
            continue
        try:
            registry.configure(registry.STOPPING, rule).check(objective)
        except InvalidInput as error:
            problems += [replace(one, column=f"{where}.{one.column}") for one in error.problems]
        except (UnknownKind, Unsupported) as error:
            problems.append(Problem(str(error), column=f"{where}.kind", value=rule["kind"]))
    refuse(problems, "campaign")
    return [dict(rule) for rule in stop]


def check_reason(reason: Any, what: str) -> str:
    """A text with something in it, or InvalidInput: whoever reads the log later wants to know why."""
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidInput(what, [Problem("needs a reason", column="reason", value=reason)])
    return reason


def refuse(problems: Sequence[Problem], what: str) -> None:
    """InvalidInput if there is any problem."""
    if problems:
        raise InvalidInput(what, problems)


DROP = "drop the column: results are told with tell(…), and a known table is an experiment of kind 'table'"
FILTER = (
    "what is known of every candidate is a filter, not a constraint on outcomes: keep the rows of the frame that satisfy it "
    "before making the pool, and leave the constraint out; if it is to be measured anew, drop or rename the column"
)


CANDIDATES = "a CandidatePool, such as CandidatePool.from_frame(df, id=…), or a SearchSpace([…])"


def check_names(name: str, objective: Objective, pool: Pool) -> None:
    """Refuse names that would collide with, or leave, the store's own. All problems at once."""
    wrong = [
        Problem(f"must be {what}, this is {type(value).__name__}", column=column)
        for column, value, kind, what in (
            ("objective", objective, Objective, 'an Objective, such as Objective("yield", "maximize")'),
            ("candidates", pool, CandidatePool | Points, CANDIDATES),
        )
        if not isinstance(value, kind)
    ]
    if wrong:
        raise InvalidInput("campaign", wrong)
    problems = objective.contradictions
    if not isinstance(name, str) or not NAME.fullmatch(name):
        hint = "letters, digits, spaces and . _ -, beginning with a letter or digit, at most 100"
        problems.append(Problem("not a campaign's name", column="name", value=name, way_out=hint))
    columns = {pool.id, *pool.columns, *([pool.structure] if pool.structure else [])}
    for target in objective.names:
        own = {target, f"{target}_std", f"{target}_bound"}
        for column in sorted(own & columns):
            what, hint = "a target", DROP
            if target in objective.outcomes:
                what, hint = "a constrained outcome", FILTER
            problems.append(Problem(f"a column of the candidates has the name of {what}", column=column, way_out=hint))
        if target in RESERVED_RESULTS or target.startswith(RESERVED_PREFIXES):
            hint = "tables of results have a column of this name; choose another"
            problems.append(Problem("the name is reserved", column="target", value=target, way_out=hint))
    if pool.id in RESERVED_RESULTS:
        problems.append(Problem("the name is reserved", column=pool.id, way_out="rename the column of ids"))
    if not len(pool) and not isinstance(pool, Points):
        problems.append(Problem("there are no candidates"))
    if problems:
        raise InvalidInput("campaign", problems)


def definition_of(
    name: str,
    objective: Objective,
    policy: Mapping[str, Any],
    *,
    candidates: Mapping[str, Any],
    features: Any,
    experiment: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
    seed: int = 0,
    title: str = "",
    about: str = "",
    stop: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The definition as plain JSON."""
    return plain(
        {
            "campaign": name,
            "objective": objective.to_dict(),
            "candidates": candidates,
            "features": features,
            "policy": policy,
            "experiment": experiment,
            "budget": budget or {},
            "seed": seed,
            "title": title,
            "about": about,
        }
        | ({"stop": list(stop)} if stop else {})
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every key whose value differs, as 'budget.experiments: 60 → 80'.

    An option that the program did not have when the campaign began counts as having its default.
    """
    return _differing(_completed(before), _completed(now), "")


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        place = f"{path}{key}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += _differing(one, other, f"{place}.")
        elif one != other:
            found.append(f"{place}: {_short(one)} → {_short(other)}")
    return found


def _completed(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with the defaults of options that it does not name; kinds that are not installed stay as they are."""
    groups = {"policy": registry.POLICIES, "candidates": registry.SOURCES, "experiment": registry.EXPERIMENTS}
    found = dict(definition)
    for key, group in groups.items():
        settings = definition.get(key)
        if isinstance(settings, Mapping) and settings.get("kind") in registry.kinds(group):
            defaults = plain(registry.defaults(group, str(settings["kind"])))
            found[key] = {**defaults, **settings}
    if rules := definition.get("stop"):
        found["stop"] = [_completed_rule(rule) for rule in rules]
    return found


def _completed_rule(rule: Any) -> Any:
    if not isinstance(rule, Mapping) or rule.get("kind") not in registry.kinds(registry.STOPPING):
        return rule
    return {**plain(registry.defaults(registry.STOPPING, str(rule["kind"]))), **rule}


def fixed(difference: Sequence[str]) -> list[str]:
    """Those differences that make another campaign."""
    return [line for line in difference if re.split(r"[.:]", line, maxsplit=1)[0] not in CHANGEABLE]


def definition_hash(definition: Mapping[str, Any]) -> str:
    """SHA-256 of the definition."""
    return digest(definition)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
