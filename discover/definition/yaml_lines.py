"""YAML to plain values, and the line on which each key stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from discover.errors import InvalidDefinition, Problem

Path = tuple["str | int", ...]
Lines = dict[Path, int]


DEEPEST = 40
"""Levels of keys and lists in a campaign file."""
MOST = 100_000
"""Keys and list items in a campaign file, counting those behind an alias each time that it stands there."""
_FLAT = "a campaign file is a few levels deep; look at its brackets and anchors"


class _TooMany(Exception):
    """Aliases of aliases: a short text that would fill the memory."""


class _Loader(yaml.SafeLoader):
    """Safe, and with YAML 1.2's booleans and numbers: `No` is nobelium here, 1e-3 a number, 12:30 and 010 are none."""


_OWN = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
"""By tag, what is one, and what it may begin with; what is an int is not asked whether it is a float."""
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _OWN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_pattern, _first) in _OWN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


class _Dumper(yaml.SafeDumper):
    """Puts quotes around a text that our reading, or YAML 1.1, would take for something else: 1E2, no, 12:30."""


_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *_Loader.yaml_implicit_resolvers.get(first, ())]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def in_a_line(value: Any) -> str:
    """A plain value as YAML in one line, which `read_yaml` reads as the same value."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000
    )
    return text.removesuffix("\n").removesuffix("\n...")


def read_yaml(text: str, name: str) -> tuple[dict[str, Any], Lines]:
    """The mapping in a YAML text, and the line (from 1) of every key and list item by its path.

    InvalidDefinition: not YAML, not a mapping, or a key that stands twice.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: Lines = {}
            problems: list[Problem] = []
            if node is not None:
                _walk(node, (), lines, problems, ())
            if problems:
                raise InvalidDefinition(name, problems)
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = str(getattr(error, "problem", None) or error)
        raise InvalidDefinition(
            name, [Problem(f"not YAML: {message}", line=mark.line + 1 if mark else None)]
        ) from error
    except (ValueError, OverflowError) as error:
        raise InvalidDefinition(name, [Problem(f"not YAML: {error}")]) from error
    except _TooMany as error:
        message = f"has more than {MOST:,} keys and list items"
        raise InvalidDefinition(
            name, [Problem(message, way_out="an alias (*name) repeats all that it names")]
        ) from error
    except RecursionError as error:
        raise InvalidDefinition(name, [Problem("is nested too deeply to be read", way_out=_FLAT)]) from error
    if not isinstance(value, Mapping):
        raise InvalidDefinition(name, [Problem("a campaign file is a mapping of keys to values", line=1)])
    return dict(value), lines


def _walk(node: yaml.Node, path: Path, lines: Lines, problems: list[Problem], above: tuple[int, ...]) -> None:
    """Note the lines under a node. above: the nodes that it stands in, by which a node that contains itself is known."""
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > MOST:
        raise _TooMany
    if id(node) in above or len(above) > DEEPEST:
        message = "contains itself" if id(node) in above else f"is nested more than {DEEPEST} levels deep"
        problems.append(Problem(message, line=lines[path], key=_dotted(path), way_out=_FLAT))
        return
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                problems.append(Problem("the key stands twice", line=line, key=_dotted((*path, name))))
            seen.add(name)
            lines[(*path, name)] = line
            _walk(value, (*path, name), lines, problems, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, problems, above)


def line_of(lines: Lines, path: Path) -> int | None:
    """The line of a key, or of the nearest key above it that stands in the file."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)
