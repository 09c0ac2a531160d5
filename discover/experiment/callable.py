"""A Python function as an experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from discover.errors import ExperimentFailed, InvalidInput, Problem
from discover.values import Proposal, Result, Value


@dataclass(frozen=True)
class CallableExperiment:
    """Wraps `function(values) -> number`, or `-> {target: number}`; `values` is the candidate's columns by name.

    targets: {name: unit}. A function for several targets gives a mapping; a target that is missing from it, or None, has
    not been found out. A number may come as a `Value`, with its standard deviation or as a bound; a whole `Result` passes
    as it is. requires: columns that the function reads. deterministic: a failure would come again, so it is final.

    An exception is a failed experiment that may be tried again, unless it is `ExperimentFailed` and says otherwise. What is
    not a finite number is a failure too; it never becomes one.
    """

    function: Callable[[Mapping[str, Any]], Any]
    targets: Mapping[str, str]
    requires: tuple[str, ...] = ()
    deterministic: bool = False
    name: str = field(default="")

    def __post_init__(self) -> None:
        problems = []
        if not callable(self.function):
            problems.append(Problem("not a function", column="function", value=self.function))
        if not isinstance(self.targets, Mapping) or not self.targets:
            hint = 'give {"yield": "%"}: at least one target with its unit'
            problems.append(Problem("not targets with units", column="targets", value=self.targets, way_out=hint))
        if problems:
            raise InvalidInput("experiment from a function", problems)

    def located(self, base: Path, files: Path) -> CallableExperiment:
        """The same: a function needs no place."""
        return self

    def describe(self) -> Mapping[str, Any]:
        """The function's name and the first line of its documentation."""
        module, name = getattr(self.function, "__module__", ""), getattr(self.function, "__qualname__", "")
        said = (getattr(self.function, "__doc__", None) or "").strip().splitlines()
        called = self.name or f"{module}.{name}".strip(".") or type(self.function).__name__
        return {
            "kind": "callable",
            "method": f"Python function {called}" + (f": {said[0]}" if said else ""),
            "targets": dict(self.targets),
            "deterministic": self.deterministic,
        }

    def run(self, proposal: Proposal) -> Result:
        """The function's answer for the proposal's candidate."""
        if proposal.candidate is None:
            raise ExperimentFailed(f"the proposal of {proposal.candidate_id!r} does not carry its candidate")
        try:
            answer = self.function(dict(proposal.candidate.values))
        except ExperimentFailed as error:
            return Result("failed", reason=str(error), retryable=error.retryable)
        except Exception as error:
            return self._failed(f"{type(error).__name__}: {error}")
        return answer if isinstance(answer, Result) else self._read(answer)

    def _read(self, answer: Any) -> Result:
        if not isinstance(answer, Mapping):
            if len(self.targets) != 1:
                told = ", ".join(self.targets)
                return self._failed(f"the function gave {_shown(answer)}, not a mapping of the targets {told}")
            answer = {next(iter(self.targets)): answer}
        if strange := [name for name in answer if name not in self.targets]:
            return self._failed(f"the function gave {_shown(strange[0])}, which is not among the targets")
        values = {}
        for name, given in answer.items():
            if given is None:
                continue
            value = _value(given)
            if value is None:
                return self._failed(f"the function gave {_shown(given)} for {name!r}, which is not a finite number")
            values[name] = value
        if not values:
            return self._failed("the function gave no value")
        return Result("censored" if any(value.bound for value in values.values()) else "measured", values)

    def _failed(self, reason: str) -> Result:
        return Result("failed", reason=reason, retryable=not self.deterministic)


def _value(given: Any) -> Value | None:
    """A finite Value, or None. A boolean is no number; a 0-dimensional array or tensor is."""
    if isinstance(given, Value):
        std_is_fine = given.std is None or (math.isfinite(given.std) and given.std >= 0)
        return given if math.isfinite(given.value) and std_is_fine else None
    if isinstance(given, (bool, str, bytes)) or type(given).__name__ in ("bool_", "bool"):
        return None
    if not isinstance(given, Real) and getattr(given, "shape", None) != ():
        return None
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return Value(number) if math.isfinite(number) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
