"""A campaign file's text to checked parts: every problem at once, each with its line, key, value and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from discover import registry
from discover.definition.model import BudgetModel, CampaignModel, ColumnFeature, ObjectiveModel, TargetModel
from discover.definition.yaml_lines import Path, line_of, read_yaml
from discover.errors import InvalidDefinition, InvalidInput, Problem, UnknownKind, nearest
from discover.objective import DIRECTIONS, Objective, Target

_KEYS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): CampaignModel,
    ("objective",): ObjectiveModel,
    ("objective", "targets"): TargetModel,
    ("features",): ColumnFeature,
    ("budget",): BudgetModel,
}


class Checker:
    """Collects the problems of one file."""

    def __init__(self, name: str, text: str):
        self.name = name
        self.data, self.lines = read_yaml(text, name)
        self.problems: list[Problem] = []

    def model(self) -> CampaignModel | None:
        """The file against the schema."""
        try:
            return CampaignModel.model_validate(self.data)
        except ValidationError as error:
            for item in error.errors():
                self._schema_problem(item)
        return None

    def kind(self, group: str, key: str) -> Any:
        """The source, policy or experiment that stands under `key`, with all of its options checked."""
        settings = self.data.get(key)
        if not isinstance(settings, Mapping):
            return None
        given = {str(k): v for k, v in settings.items() if (key, k) != ("policy", "batch")}
        if "kind" not in given:
            way_out = f"valid: {', '.join(registry.kinds(group))}"
            self.add("needs a kind", (key, "kind"), way_out=way_out)
            return None
        if key == "policy" and "batch" in settings:
            self._batch(settings["batch"])
        try:
            return registry.configure(group, given)
        except UnknownKind:
            self.add("unknown kind", (key, "kind"), given["kind"], nearest(str(given["kind"]), registry.kinds(group)))
        except InvalidInput as error:
            for problem in error.problems:
                self.add(problem.message, self._place(key, problem.column or ""), problem.value, problem.way_out)
        return None

    def _place(self, key: str, option: str) -> Path:
        """Where an option stands under a key, also if it stands deeper, as a word of a query does."""
        parts = tuple(option.split("."))
        deeper = [p for p in self.lines if p[0:1] == (key,) and p[-len(parts) :] == parts]
        return (key, *parts) if (key, *parts) in self.lines or not deeper else deeper[0]

    def objective(self, model: ObjectiveModel) -> Objective | None:
        """The objective, whose own checks are reported at its lines."""
        items = model.targets or [
            TargetModel(
                name=str(model.target),
                direction=model.direction or "maximize",
                value=model.value,
                band=model.band,
                unit=model.unit or "",
            )
        ]
        try:
            targets = [
                Target(t.name, t.direction, t.value, (t.band[0], t.band[1]) if t.band else None, t.unit) for t in items
            ]
            return Objective(targets, constraints=model.constraints)
        except InvalidInput as error:
            for problem in error.problems:
                self.add(problem.message, ("objective",), problem.value, problem.way_out)
        return None

    def add(self, message: str, path: Path, value: Any = None, way_out: str = "") -> None:
        """Note a problem at a key."""
        path = tuple(part for part in path if part != "")
        key = ".".join(str(part) for part in path) or None
        self.problems.append(Problem(message, value=value, way_out=way_out, line=line_of(self.lines, path), key=key))

    def finish(self) -> None:
        """InvalidDefinition if anything is wrong."""
        if self.problems:
            ordered = sorted(self.problems, key=lambda problem: problem.line or 0)
            raise InvalidDefinition(self.name, list(dict.fromkeys(replace(p, value=_short(p.value)) for p in ordered)))

    def _batch(self, batch: Any) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            self.add("must be a whole number of at least 1", ("policy", "batch"), batch)

    def _schema_problem(self, item: Any) -> None:
        path = tuple(part for part in item["loc"] if part not in ("str", "ColumnFeature"))
        message, way_out, value = str(item["msg"]).removeprefix("Value error, "), "", item["input"]
        if item["type"] == "extra_forbidden":
            parent = tuple(str(part) for part in path[:-1] if not isinstance(part, int))
            message, way_out = (
                "unknown key",
                nearest(str(path[-1]), _KEYS[parent].model_fields) if parent in _KEYS else "",
            )
        elif item["type"] == "missing":
            message, value = "is required", None
        elif item["type"] == "literal_error":
            message, way_out = "unknown choice", nearest(str(value), DIRECTIONS)
        elif item["type"] == "string_pattern_mismatch":
            way_out = "letters, digits, spaces and . _ -, beginning with a letter or digit"
        if not any(p.line == line_of(self.lines, path) and p.message == message for p in self.problems):
            self.add(message, path, None if isinstance(value, (dict, list)) else value, way_out)


def _short(value: Any) -> Any:
    text = repr(value)
    if isinstance(value, (dict, list)) or len(text) > 80:
        return text[:80]
    return value
