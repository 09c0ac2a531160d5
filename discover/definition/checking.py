"""A campaign file's text to checked parts: every problem at once, each with its line, key, value and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from discover import registry
from discover.campaign.terms import Terms, contradictions, problems_of, without_terms
from discover.definition.model import CampaignModel, ObjectiveModel, TargetModel
from discover.definition.wording import place_of, worded
from discover.definition.yaml_lines import Path, line_of, read_yaml
from discover.errors import InvalidDefinition, InvalidInput, Problem, UnknownKind, Unsupported, nearest
from discover.objective import Constraint, Objective, Target, constraint_problems


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
        given = without_terms(settings) if key == "policy" else {str(k): v for k, v in settings.items()}
        if "kind" not in given:
            way_out = f"valid: {', '.join(registry.kinds(group))}"
            self.add("needs a kind", (key, "kind"), way_out=way_out)
            return None
        if key == "policy":
            for problem in problems_of(settings) or contradictions(Terms.of(settings)):
                self.add(problem.message, ("policy", str(problem.column)), problem.value, problem.way_out)
        try:
            return registry.configure(group, given)
        except UnknownKind:
            self.add("unknown kind", (key, "kind"), given["kind"], nearest(str(given["kind"]), registry.kinds(group)))
        except InvalidInput as error:
            for problem in error.problems:
                self.add(problem.message, self._place(key, problem.column or ""), problem.value, problem.way_out)
        return None

    def rules(self, objective: Objective | None) -> list[Any]:
        """The stopping rules that stand under `stop`, each with its options checked and held against the objective."""
        given = self.data.get("stop")
        if not isinstance(given, list):
            return []
        found = []
        for place, settings in enumerate(given):
            path: Path = ("stop", place)
            if not isinstance(settings, Mapping) or "kind" not in settings:
                if isinstance(settings, Mapping):
                    self.add(
                        "needs a kind",
                        (*path, "kind"),
                        way_out=f"valid: {', '.join(registry.kinds(registry.STOPPING))}",
                    )
                continue
            with self._reporting(path):
                try:
                    rule = registry.configure(registry.STOPPING, settings)
                    if objective is not None:
                        rule.check(objective)
                    found.append(rule)
                except UnknownKind:
                    way_out = nearest(str(settings["kind"]), registry.kinds(registry.STOPPING))
                    self.add("unknown kind", (*path, "kind"), settings["kind"], way_out)
                except Unsupported as error:
                    self.add(str(error), (*path, "kind"), settings["kind"])
        return found

    def _place(self, key: str, option: str) -> Path:
        """Where an option stands under a key, also if it stands deeper, as a word of a query does."""
        parts = tuple(int(part) if part.isdigit() else part for part in option.split("."))
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
        targets, before = [], len(self.problems)
        for place, t in enumerate(items):
            path: Path = ("objective", "targets", place) if model.targets else ("objective",)
            with self._reporting(path):
                band = (t.band[0], t.band[1]) if t.band else None
                targets.append(Target(t.name, t.direction, t.value, band, t.unit))
        self._constraints(model, [item.name for item in items])
        if len(self.problems) == before:
            with self._reporting(("objective",)):
                objective = Objective(targets, constraints=model.constraints, outcomes=model.outcomes)
                for problem in objective.contradictions:
                    self.add(problem.message, ("objective", "constraints"), problem.value, problem.way_out)
                return objective
        return None

    def _constraints(self, model: ObjectiveModel, names: list[str]) -> None:
        """Note what is wrong in constraints and outcomes, at their lines."""
        parsed = []
        for place, text in enumerate(model.constraints):
            with self._reporting(("objective", "constraints", place)):
                parsed.append(Constraint.parse(text))
                for problem in constraint_problems(parsed[-1:], names, dict.fromkeys(model.outcomes, "")):
                    if problem.column is None:
                        self.add(problem.message, ("objective", "constraints", place), problem.value, problem.way_out)
        if len(parsed) == len(model.constraints):
            for problem in constraint_problems(parsed, names, model.outcomes):
                if problem.column is not None:
                    path = ("objective", "outcomes", str(problem.value))
                    self.add(problem.message, path, problem.value, problem.way_out)

    @contextmanager
    def _reporting(self, path: Path) -> Iterator[None]:
        """Note the problems of input that is refused inside the block, at a key or at one below it."""
        try:
            yield
        except InvalidInput as error:
            for problem in error.problems:
                deeper = (*path, problem.column or "")
                self.add(problem.message, deeper if deeper in self.lines else path, problem.value, problem.way_out)

    def add(self, message: str, path: Path, value: Any = None, way_out: str = "") -> None:
        """Note a problem at a key."""
        path = tuple(part for part in path if part != "")
        line = line_of(self.lines, path)
        self.problems.append(Problem(message, value=value, way_out=way_out, line=line, key=_dotted(path)))

    def finish(self) -> None:
        """InvalidDefinition if anything is wrong."""
        if self.problems:
            ordered = sorted(self.problems, key=lambda problem: problem.line or 0)
            raise InvalidDefinition(self.name, list(dict.fromkeys(replace(p, value=_short(p.value)) for p in ordered)))

    def _schema_problem(self, item: Any) -> None:
        path = place_of(item)
        message, value, way_out = worded(item, path)
        if not any(p.key == _dotted(path) and p.message == message for p in self.problems):
            self.add(message, path, value, way_out)


def _dotted(path: Path) -> str | None:
    return ".".join(str(part) for part in path if part != "") or None


def _short(value: Any) -> Any:
    text = repr(value)
    if isinstance(value, (dict, list)) or len(text) > 80:
        return text[:80]
    return value
