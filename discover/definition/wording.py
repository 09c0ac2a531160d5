"""What pydantic found wrong in a campaign file, in plain words and with the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from discover import registry
from discover.definition.model import BudgetModel, CampaignModel, ColumnFeature, ObjectiveModel, TargetModel
from discover.definition.yaml_lines import Path
from discover.errors import nearest
from discover.objective import DIRECTIONS

_KEYS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): CampaignModel,
    ("objective",): ObjectiveModel,
    ("objective", "targets"): TargetModel,
    ("features",): ColumnFeature,
    ("budget",): BudgetModel,
}
_MESSAGES = {
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "literal_error": "unknown choice",
    "invalid_key": "keys must be text",
    "string_pattern_mismatch": "is not a campaign's name",
}
_GROUPS = {"candidates": registry.SOURCES, "policy": registry.POLICIES, "experiment": registry.EXPERIMENTS}
_SHORT = {"objective": "target", "budget": "experiments"}
"""The key that was meant where a value stands alone."""


def place_of(item: Mapping[str, Any]) -> Path:
    """The path of keys in the file, without pydantic's names of alternatives."""
    path: Path = tuple(item["loc"])
    return (*path[:2], *path[3:]) if path[:1] == ("features",) and path[2:3] in (("column",), ("made",)) else path


def worded(item: Mapping[str, Any], path: Path) -> tuple[str, Any, str]:
    """Message, value and way out of one of pydantic's errors."""
    sort, value, limits = str(item["type"]), item["input"], item.get("ctx", {})
    message = _MESSAGES.get(sort, str(item["msg"]).removeprefix("Value error, "))
    if sort == "greater_than_equal":
        message = f"must be at least {limits['ge']}"
    elif sort in ("too_short", "too_long"):
        least, most = limits.get("min_length"), limits.get("max_length")
        message = f"must have at least {least}" if least is not None else f"must have at most {most}"
    return message, None if sort == "missing" or isinstance(value, (dict, list)) else value, _way_out(sort, value, path)


def _way_out(sort: str, value: Any, path: Path) -> str:
    key = str(path[-1]) if path else ""
    if sort == "extra_forbidden":
        parent = tuple(str(part) for part in path[:-1] if not isinstance(part, int))
        return nearest(key, _KEYS[parent].model_fields) if parent in _KEYS else ""
    if sort == "literal_error":
        return nearest(str(value), DIRECTIONS)
    if sort == "string_pattern_mismatch":
        return "letters, digits, spaces and . _ -, beginning with a letter or digit, at most 100"
    if sort in ("dict_type", "model_type", "model_attributes_type") and value is not None:
        return _as_mapping(key, value)
    if sort == "list_type" and isinstance(value, (str, int, float)):
        return f"write [{value}]"
    if sort == "string_type" and isinstance(value, (bool, int, float)):
        return f'write "{value}" for a text'
    return ""


def _as_mapping(key: str, value: Any) -> str:
    if key in _GROUPS and isinstance(value, str):
        kinds = registry.kinds(_GROUPS[key])
        return f"write {{kind: {value}}}" if value in kinds else f"write {{kind: …}}; {nearest(value, kinds)}"
    return f"write {{{_SHORT[key]}: {value}}}" if key in _SHORT and not isinstance(value, list) else ""
