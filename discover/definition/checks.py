"""What a campaign file says, held against the files that it names. Nothing is pulled, nothing is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from discover.campaign.terms import Terms
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.sources.query import check_query
from discover.definition.definition import Definition
from discover.definition.descriptors import read_descriptors
from discover.definition.yaml_lines import Path, line_of
from discover.errors import DiscoverError, IntegrityError, InvalidDefinition, InvalidInput, Problem, StoreError, nearest
from discover.experiment.table import TableLookup
from discover.reserved import RESERVED, RESERVED_PREFIXES, RESERVED_RESULTS
from discover.store.database.places import path_of

MADE = ("composition", "structure", "fingerprint", "molecule")
"""Kinds of features that are made from a named column."""


def check(definition: Definition) -> None:
    """Hold a file against what it names: the candidates' columns, descriptors, a table of answers, folders, the store.

    Nothing is pulled. InvalidDefinition reports every problem at once, each with its line and key.
    """
    parts = (_targets, _features, _descriptors, _candidates, _experiment, _answers, _store)
    problems = [problem for part in parts for problem in part(definition)]
    if problems:
        ordered = sorted(problems, key=lambda problem: problem.line or 0)
        raise InvalidDefinition(definition.path.name, ordered)


def used_columns(definition: Definition) -> list[tuple[int, str]]:
    """The column that each item of `features` is made from, with the item's place."""
    made = definition.made_from_by_kind
    found = []
    for place, item in enumerate(definition.features):
        if isinstance(item, str):
            found.append((place, made.get(item, item)))
        else:
            found += [(place, str(item[key])) for key in (*MADE, "categorical", "smiles") if key in item]
    return found


def _told_apart(definition: Definition, used: Sequence[tuple[int, str]]) -> list[str]:
    """The columns of features that no two features may share: one column's molecules are encoded in several ways."""
    shared = {place for place, item in enumerate(definition.features) if not isinstance(item, str)}
    again: set[str] = set()
    found = []
    for place, column in used:
        if place in shared and "categorical" not in definition.features[place]:
            if column in again:
                continue
            again.add(column)
        if place not in shared or column != definition.features[place].get("smiles"):
            found.append(column)
    return found


def _at(definition: Definition, path: Path, problem: Problem) -> Problem:
    key = ".".join(str(part) for part in path)
    return replace(problem, line=line_of(dict(definition.lines), path), key=key)


def _said(definition: Definition, paths: Sequence[Path], error: DiscoverError) -> Iterator[Problem]:
    """An error of ours at the first of some keys that stands in the file."""
    path = next((path for path in paths if path in definition.lines), paths[-1])
    problems = error.problems if isinstance(error, InvalidInput) else [Problem(str(error))]
    for problem in problems:
        yield _at(definition, path, problem)


def _targets(definition: Definition) -> Iterator[Problem]:
    several = ("objective", "targets") in definition.lines
    space = getattr(definition.source, "space", None)
    taken = () if space is None else (space.id, *space.columns)
    for place, name in enumerate(definition.objective.names):
        path: Path = ("objective", "targets", place, "name") if several else ("objective", "target")
        if name in taken:
            hint = "choose another name: a frame of results has columns for both"
            yield _at(definition, path, Problem("is a column of the candidates, too", value=name, way_out=hint))
        elif name in RESERVED | RESERVED_RESULTS or name.startswith(RESERVED_PREFIXES):
            hint = "tables of results have a column of this name; choose another"
            yield _at(definition, path, Problem("the name is reserved", value=name, way_out=hint))


def _features(definition: Definition) -> Iterator[Problem]:
    used = used_columns(definition)
    spec = PoolSpec(getattr(definition.source, "id", ""), tuple(_told_apart(definition, used)))
    problems = {problem.column: problem for problem in spec.problems()}
    for place, column in used:
        if column in definition.answer_columns:
            problem = Problem("a feature would tell the answer", value=column, way_out="leave it out")
            yield _at(definition, ("features", place), problem)
        elif column in problems:
            problem = problems.pop(column)
            yield _at(definition, ("features", place), replace(problem, column=None, value=column))


def _descriptors(definition: Definition) -> Iterator[Problem]:
    for place, item in enumerate(definition.features):
        if isinstance(item, dict) and "descriptors" in item:
            try:
                read_descriptors(definition.base / item["descriptors"])
            except InvalidInput as error:
                yield from _said(definition, [("features", place, "descriptors")], error)


def _candidates(definition: Definition) -> Iterator[Problem]:
    source = definition.source.located(definition.base, definition.base)
    named: list[Path] = [("candidates", "file"), ("candidates", "hash"), ("candidates", "path"), ("candidates",)]
    if hasattr(source, "header"):
        try:
            have = source.header()
        except (InvalidInput, IntegrityError) as error:
            yield from _said(definition, named, error)
        else:
            yield from _columns(definition, source, have)
    elif hasattr(source, "check"):
        try:
            fields = [*(column for _, column in used_columns(definition)), *definition.required]
            source.check(tuple(dict.fromkeys(fields)))
        except InvalidInput as error:
            places = {column: place for place, column in used_columns(definition)}
            for problem in error.problems:
                known = problem.column in places
                yield _at(definition, ("features", places[str(problem.column)]) if known else ("candidates",), problem)


def _columns(definition: Definition, source: Any, have: Sequence[str]) -> Iterator[Problem]:
    """Columns that file and experiment need of the candidates, and names that the candidates' own may not have."""
    hint = f"the columns are: {', '.join(have)}"
    needed: list[tuple[Path, str]] = [
        (("candidates", option), str(getattr(source, option)))
        for option in ("id", "structure")
        if isinstance(getattr(source, option, None), str)
    ]
    needed += [(("features", place), c) for place, c in used_columns(definition) if c not in definition.answer_columns]
    needed += [(("experiment",), column) for column in definition.required]
    needed += [(("policy", option), column) for option, column in Terms.of(definition.policy).columns]
    for path, column in needed:
        if column not in have:
            way_out = f"{found}; {hint}" if (found := nearest(column, have)).startswith("did") else hint
            yield _at(definition, path, Problem("no such column in the candidates", value=column, way_out=way_out))
    for column in have:
        reserved = column in RESERVED or column.startswith(RESERVED_PREFIXES)
        if reserved and column not in definition.answer_columns:
            hint = "rename the column; ask and tell use this name"
            yield _at(definition, ("candidates",), Problem("the name is reserved", column=column, way_out=hint))
    try:
        check_query(getattr(source, "query", {}), have)
    except InvalidInput as error:
        for problem in error.problems:
            yield _at(definition, ("candidates", "query", str(problem.column)), replace(problem, column=None))


def _experiment(definition: Definition) -> Iterator[Problem]:
    """Only a table is looked at: what others need may take long to load."""
    if not isinstance(definition.experiment, TableLookup):
        return
    try:
        definition.experiment.located(definition.base, definition.base).describe()
    except (InvalidInput, IntegrityError) as error:
        yield from _said(definition, [("experiment", "file"), ("experiment", "snapshot"), ("experiment",)], error)


def _answers(definition: Definition) -> Iterator[Problem]:
    if definition.answers is not None and not definition.answers.is_dir():
        problem = Problem("no such folder", value=str(definition.answers), way_out="paths are relative to this file")
        yield _at(definition, ("answers",), problem)


def _store(definition: Definition) -> Iterator[Problem]:
    try:
        path = path_of(definition.store)
    except StoreError as error:
        yield _at(definition, ("store",), Problem(str(error)))
        return
    if path is not None and path.is_dir():
        hint = f"name a file in it, such as {path / 'campaigns.db'}"
        yield _at(definition, ("store",), Problem("is a folder", value=definition.store, way_out=hint))
