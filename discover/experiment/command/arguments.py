"""Arguments of an external program: a list with placeholders, each filled inside its own argument and never by a shell."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from discover.errors import ExperimentFailed, Problem

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def placeholders(arguments: Sequence[str]) -> tuple[str, ...]:
    """Names that stand in braces, in their order, each once."""
    found = [match[1] for text in arguments for match in _TOKEN.finditer(text) if match[1]]
    return tuple(dict.fromkeys(found))


def template_problems(option: str, arguments: Sequence[str]) -> Iterator[Problem]:
    """Braces that mean nothing, and an empty program."""
    hint = "write {{ and }} for braces that are meant as they stand"
    for text in arguments:
        if any(match[0] in "{}" or match[1] == "" for match in _TOKEN.finditer(text)):
            yield Problem("a brace without a name", column=option, value=text, way_out=hint)
        if "\0" in text:
            yield Problem("an argument cannot hold a zero byte", column=option, value=text)
    if arguments and not arguments[0].strip():
        yield Problem("the first item is the program's name", column=option, value=arguments[0])


def filled(arguments: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The arguments with every placeholder in place of its value.

    ExperimentFailed, for good, where a value is missing, would turn an argument into an option, or would lead a path
    astray: one value must not decide what a program does.
    """
    return [_fill(text, values) for text in arguments]


def _fill(template: str, values: Mapping[str, Any]) -> str:
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(template):
        parts.append(template[end : match.start()])
        end = match.end()
        if match[1] is None:
            parts.append(match[0][0])
            continue
        value = _text(match[1], values)
        beside_slash = template[: match.start()].endswith("/") or template[end:].startswith("/")
        if beside_slash and ("/" in value or value in (".", "..")):
            raise ExperimentFailed(f"{match[1]} {value!r} would lead the path {template!r} astray; {_WAY_OUT}")
        if not "".join(parts) and value.startswith("-"):
            raise ExperimentFailed(f"{match[1]} {value!r} would be read as an option; {_WAY_OUT}")
        parts.append(value)
    return "".join([*parts, template[end:]])


_WAY_OUT = "let the program read it from candidate.json in its folder"


def _text(name: str, values: Mapping[str, Any]) -> str:
    value = values.get(name)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise ExperimentFailed(f"the candidate has no {name!r}, which the program's arguments need")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if "\0" in text:
        raise ExperimentFailed(f"{name!r} holds a zero byte, which no argument can")
    return text
