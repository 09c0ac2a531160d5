"""A search space from its declaration: what stands in a campaign file and in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from discover.candidates.space.parameters.labels import Categorical, Substance
from discover.candidates.space.parameters.mixture import Mixture
from discover.candidates.space.parameters.numbers import Binary, Continuous, Discrete, Integer
from discover.candidates.space.parameters.ordering import Ordering
from discover.candidates.space.parameters.parameter import Parameter
from discover.candidates.space.space import ID, SearchSpace
from discover.errors import InvalidInput, Problem, nearest

KINDS: Mapping[str, type[Parameter]] = {
    one.kind: one for one in (Continuous, Integer, Discrete, Binary, Categorical, Substance, Mixture, Ordering)
}


def space_of(body: Mapping[str, Any], *, stored: bool = False) -> SearchSpace:
    """The space of a declaration: parameters, constraints, batch_constraints, id. InvalidInput collects every problem.

    stored: it is from a store, where it may have been declared before rules of a batch were looked into.
    """
    parameters = parameters_of(body.get("parameters", ()))
    return SearchSpace(
        parameters, constraints=body.get("constraints", ()), batch_constraints=body.get("batch_constraints", ()),
        id=body.get("id", ID), stored=stored,
    )  # fmt: skip


def parameters_of(given: Sequence[Mapping[str, Any]]) -> list[Parameter]:
    """Parameters from mappings, each with its kind. InvalidInput collects what is wrong with all of them."""
    problems: list[Problem] = []
    found = []
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence) or not given:
        raise InvalidInput("search space", [Problem("needs a list of parameters", column="parameters", value=given)])
    for place, body in enumerate(given):
        where = f"parameters.{place}"
        try:
            found.append(_parameter(body))
        except InvalidInput as error:
            for one in error.problems:
                column = f"{where}.{one.column}" if one.column else where
                problems.append(Problem(one.message, one.row, column, one.value, one.way_out))
    if problems:
        raise InvalidInput("search space", problems)
    return found


def _parameter(body: Any) -> Parameter:
    if not isinstance(body, Mapping):
        hint = "such as {kind: continuous, name: temperature, low: 20, high: 120}"
        raise InvalidInput("parameter", [Problem("must be a mapping", value=body, way_out=hint)])
    given = dict(body)
    kind = str(given.pop("kind", ""))
    cls = KINDS.get(kind.lower())
    if cls is None:
        raise InvalidInput(
            "parameter", [Problem("unknown kind", column="kind", value=kind, way_out=nearest(kind, KINDS))]
        )
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    problems = [
        Problem("unknown key", column=str(key), value=value, way_out=nearest(str(key), known))
        for key, value in given.items()
        if key not in known
    ]
    problems += [
        Problem("is required", column=name)
        for name, field in known.items()
        if name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    if problems:
        raise InvalidInput("parameter", problems)
    return cls(**given)
