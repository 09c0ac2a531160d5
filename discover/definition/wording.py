"""What pydantic found wrong in a campaign file, in plain words and with the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from discover import registry
from discover.definition.model import BudgetModel, CampaignModel, ColumnFeature, ObjectiveModel, TargetModel
from discover.definition.yaml_lines import Path
from discover.errors import nearest
from discover.wording import message_of, way_out_of

_KEYS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): CampaignModel,
    ("objective",): ObjectiveModel,
    ("objective", "targets"): TargetModel,
    ("features",): ColumnFeature,
    ("budget",): BudgetModel,
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
    sort, value = str(item["type"]), item["input"]
    message = "is not a campaign's name" if sort == "string_pattern_mismatch" else message_of(item)
    return message, None if sort == "missing" or isinstance(value, (dict, list)) else value, _way_out(item, path)


def _way_out(item: Mapping[str, Any], path: Path) -> str:
    sort, value, key = str(item["type"]), item["input"], str(path[-1]) if path else ""
    if sort == "extra_forbidden":
        parent = tuple(str(part) for part in path[:-1] if not isinstance(part, int))
        return nearest(key, _KEYS[parent].model_fields) if parent in _KEYS else ""
    if sort == "string_pattern_mismatch":
        return "letters, digits, spaces and . _ -, beginning with a letter or digit, at most 100"
    if sort in ("dict_type", "model_type", "model_attributes_type") and value is not None:
        return _as_mapping(key, value)
    return way_out_of(item)


def _as_mapping(key: str, value: Any) -> str:
    if key in _GROUPS and isinstance(value, str):
        kinds = registry.kinds(_GROUPS[key])
        return f"write {{kind: {value}}}" if value in kinds else f"write {{kind: …}}; {nearest(value, kinds)}"
    return f"write {{{_SHORT[key]}: {value}}}" if key in _SHORT and not isinstance(value, list) else ""
