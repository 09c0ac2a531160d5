"""Kinds by name: what `kind:` in a campaign file means.

Every kind, ours and a third party's, is declared as an entry point in one of the groups below, and loaded when used.
A kind is a frozen dataclass whose fields are its options; fields marked `metadata={"internal": True}` are not options.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from discover.errors import InvalidInput, Problem, UnknownKind, Unsupported, nearest
from discover.wording import message_of, way_out_of

SOURCES = "discover.sources"
FEATURES = "discover.features"
POLICIES = "discover.policies"
EXPERIMENTS = "discover.experiments"
RUNNERS = "discover.runners"
STOPPING = "discover.stopping"
_NOUNS = {
    SOURCES: "source",
    FEATURES: "feature",
    POLICIES: "policy",
    EXPERIMENTS: "experiment",
    RUNNERS: "runner",
    STOPPING: "stopping rule",
}


def kinds(group: str) -> tuple[str, ...]:
    """Names that installed packages offer in a group."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(group: str, kind: str) -> Any:
    """The class registered under `kind`. UnknownKind names the nearest one; Unsupported says why one cannot be loaded."""
    noun = _NOUNS.get(group, group)
    for entry in entry_points(group=group):
        if entry.name == kind:
            try:
                return entry.load()
            except (ImportError, AttributeError) as error:
                package = f" of the package {entry.dist.name}" if entry.dist else ""
                raise Unsupported(f"{noun} of kind {kind!r}{package} cannot be loaded: {error}") from error
    raise UnknownKind(f"no {noun} of kind {kind!r} is installed ({nearest(kind, kinds(group))})")


def options(cls: type) -> tuple[Field[Any], ...]:
    """The fields of a kind that a user may set."""
    return tuple(field for field in fields(cls) if not field.metadata.get("internal"))


def defaults(group: str, kind: str) -> dict[str, Any]:
    """The options of a kind that have defaults, with them."""
    found = {}
    for field in options(load(group, kind)):
        if field.default is not MISSING:
            found[field.name] = field.default
        elif field.default_factory is not MISSING:
            found[field.name] = field.default_factory()
    return found


def configure(group: str, settings: Mapping[str, Any]) -> Any:
    """An instance of `settings["kind"]` with the other settings as its options, all of them checked.

    InvalidInput reports every unknown, missing or mistyped option at once.
    """
    from pydantic import TypeAdapter, ValidationError

    given = dict(settings)
    kind = str(given.pop("kind", ""))
    cls = load(group, kind)
    known = {field.name: field for field in options(cls)}
    problems = _key_problems(given, known)
    try:
        built = None if problems else TypeAdapter(cls).validate_python(given)
    except InvalidInput as error:
        problems += error.problems
    except ValidationError as error:
        problems += [
            Problem(
                message_of(item),
                column=".".join(str(part) for part in item["loc"]),
                value=item["input"],
                way_out=way_out_of(item),
            )
            for item in error.errors()
        ]
    if problems:
        raise InvalidInput(f"kind {kind!r}", problems)
    return built


def _key_problems(given: Mapping[str, Any], known: Mapping[str, Field[Any]]) -> list[Problem]:
    """Keys that are no options, options that are not given and must be, and numbers without end."""
    problems = [
        Problem("unknown key", column=key, value=given[key], way_out=nearest(key, known))
        for key in given
        if key not in known
    ]
    problems += [
        Problem("is required", column=name)
        for name, field in known.items()
        if name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    return problems + [
        Problem("must be a finite number", column=key, value=value) for key, value in given.items() if _endless(value)
    ]


def _endless(value: Any) -> bool:
    """Whether an option holds an infinite number or none: a definition is JSON, which has neither."""
    if isinstance(value, Mapping):
        return any(_endless(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_endless(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)


def _names(entry: EntryPoint, cls: type) -> bool:
    """Whether an entry point names a class, where that is or where its package hands it on. Other packages are not imported."""
    if entry.attr != cls.__qualname__ or entry.module.split(".")[0] != cls.__module__.split(".")[0]:
        return False
    if entry.module == cls.__module__:
        return True
    try:
        return entry.load() is cls
    except (ImportError, AttributeError):  # a sibling that is broken is another class
        return False


def settings_of(group: str, instance: Any) -> dict[str, Any]:
    """The settings that make this instance again: its kind and its options, as plain values.

    An instance of a class that no entry point names gets its module and class as `kind`; it cannot be loaded by name.
    """
    cls = type(instance)
    kind = next((e.name for e in entry_points(group=group) if _names(e, cls)), f"{cls.__module__}:{cls.__qualname__}")
    try:
        values = asdict(instance)
    except TypeError:
        return {"kind": kind}
    return {"kind": kind} | {field.name: values[field.name] for field in options(cls)}
