"""What a campaign is created with, as the plain JSON that the store keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from discover import registry
from discover.candidates.pool import CandidatePool
from discover.errors import InvalidInput, Problem
from discover.objective import Objective
from discover.protocols import RESERVED, RESERVED_PREFIXES, Policy
from discover.store.canonical import digest, plain

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
CHANGEABLE = ("budget", "policy", "title", "about")
"""Keys of a definition that may change in a running campaign, if the user accepts it."""


def resolve_policy(policy: str | Mapping[str, Any] | Policy) -> tuple[Policy, dict[str, Any]]:
    """The policy and the settings that make it again; `batch` belongs to the campaign and is kept beside them."""
    if isinstance(policy, str):
        policy = {"kind": policy}
    if not isinstance(policy, Mapping):
        return policy, plain(registry.settings_of(registry.POLICIES, policy))
    chosen = registry.configure(registry.POLICIES, {k: v for k, v in policy.items() if k != "batch"})
    settings = plain(registry.settings_of(registry.POLICIES, chosen))
    if "batch" in policy:
        settings["batch"] = check_count(policy["batch"], "batch")
    return chosen, settings


def check_count(value: Any, name: str) -> int:
    """A whole number of at least one, or InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(name, [Problem("must be a whole number of at least 1", column=name, value=value)])
    return value


def check_names(name: str, objective: Objective, pool: CandidatePool) -> None:
    """Refuse names that would collide with, or leave, the store's own. All problems at once."""
    problems = []
    if not isinstance(name, str) or not NAME.fullmatch(name):
        hint = "letters, digits, spaces and . _ -, beginning with a letter or digit, at most 100"
        problems.append(Problem("not a campaign's name", column="name", value=name, way_out=hint))
    columns = {pool.id, *pool.columns, *([pool.structure] if pool.structure else [])}
    for target in objective.names:
        own = {target, f"{target}_std", f"{target}_bound"}
        for column in sorted(own & columns):
            hint = "drop the column: results are told with tell(…), and a known table is an experiment of kind 'table'"
            problems.append(Problem("a column of the candidates has the name of a target", column=column, way_out=hint))
        if target in RESERVED or target.startswith(RESERVED_PREFIXES):
            problems.append(Problem("the name is reserved", column="target", value=target))
    if not len(pool):
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
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Every key whose value differs, as 'budget.experiments: 60 → 80'."""
    found: list[str] = []
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        place = f"{path}{key}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differences(one, other, f"{place}.")
        elif one != other:
            found.append(f"{place}: {_short(one)} → {_short(other)}")
    return found


def fixed(difference: Sequence[str]) -> list[str]:
    """Those differences that make another campaign."""
    return [line for line in difference if re.split(r"[.:]", line, maxsplit=1)[0] not in CHANGEABLE]


def definition_hash(definition: Mapping[str, Any]) -> str:
    """SHA-256 of the definition."""
    return digest(definition)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
