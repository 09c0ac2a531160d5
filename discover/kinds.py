"""Options of a kind are of the types that they declare, whoever makes an instance: a campaign file, or Python.

A file's settings are read and converted by `registry.configure`. What Python passes is converted by nobody: without this,
`start="5"` would be a bare TypeError somewhere else, and `start=True` would mean 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from discover.errors import InvalidInput, Problem, nearest

Kind = TypeVar("Kind", bound=type)

_SIMPLE: Mapping[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool, np.bool_), "true or false"),
    int: ((Integral,), "a whole number"),
    float: ((Real,), "a number"),
    str: ((str,), "text"),
    Path: ((str, os.PathLike), "a path"),
    NoneType: ((NoneType,), "nothing"),
}
_LISTS = (tuple, list, Sequence)


def typed(cls: Kind) -> Kind:
    """Stands below `@dataclass`: an instance with an option of a wrong type is InvalidInput, beside what its own check finds."""
    own = getattr(cls, "__post_init__", None)

    def check(self: Any) -> None:
        problems = type_problems(self)
        try:
            if own is not None:
                own(self)
        except Exception as error:
            if not problems:
                raise
            told = {problem.column for problem in problems}  # what is of a wrong type breaks other checks, too
            problems += [p for p in getattr(error, "problems", ()) if p.column not in told]
        if problems:
            raise InvalidInput(f"options of {type(self).__name__}", problems)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    return cls


def type_problems(instance: Any) -> list[Problem]:
    """Every option of a dataclass whose value is not of its declared type; types that are not known here pass."""
    hints = get_type_hints(type(instance))
    told = [
        (f.name, hints[f.name], getattr(instance, f.name)) for f in fields(instance) if not f.metadata.get("internal")
    ]
    return [
        Problem(f"must be {words(hint)}", column=name, value=value, way_out=_way_out(hint, value))
        for name, hint, value in told
        if not suits(value, hint)
    ]


def suits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type; a whole number is a number, and true is neither."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _SIMPLE:
        return isinstance(value, _SIMPLE[hint][0]) and (hint is bool or not isinstance(value, bool))
    if origin in (Union, UnionType):
        return any(suits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(suits(k, parts[0]) and suits(v, parts[1]) for k, v in value.items())
    if origin in _LISTS:
        return _lists(value, origin, parts)
    return True


def words(hint: Any) -> str:
    """A declared type in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _SIMPLE:
        return _SIMPLE[hint][1]
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(words(part) for part in parts))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping"
    return "a list" if origin in _LISTS else str(hint)


def _lists(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if not isinstance(value, (tuple, list)):
        return False
    if origin is tuple and Ellipsis not in parts:
        return len(value) == len(parts) and all(map(suits, value, parts))
    return all(suits(one, parts[0]) for one in value)


def _way_out(hint: Any, value: Any) -> str:
    """The nearest choice, where there are choices."""
    choices = [choice for part in (hint, *get_args(hint)) if get_origin(part) is Literal for choice in get_args(part)]
    return nearest(str(value), [str(choice) for choice in choices]) if choices else ""
