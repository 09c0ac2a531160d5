from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discover.errors import ExperimentFailed, InvalidInput
from discover.experiment.callable import CallableExperiment
from discover.experiment.conformance import check_experiment
from discover.values import Result, Value
from tests.experiment.conftest import proposal


def run(answer: Any, targets: Mapping[str, str] | None = None, **options: Any) -> Result:
    def function(values: Mapping[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return CallableExperiment(function, targets or {"y": "GPa"}, **options).run(proposal("a", x=1.0))


@pytest.mark.parametrize("answer", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), {"y": 2}, Value(2.0)])
def test_numbers_are_measured(answer: Any) -> None:
    assert run(answer) == Result("measured", {"y": Value(2.0)})


@pytest.mark.parametrize(
    "answer",
    [float("nan"), float("inf"), "2", True, np.True_, None, [2.0], np.array([2.0]), {"z": 1.0}, {}, {"y": None}],
)
def test_what_is_no_number_never_becomes_one(answer: Any) -> None:
    result = run(answer)
    assert result.status == "failed"
    assert not result.values
    assert result.reason
    assert result.retryable
    assert not run(answer, deterministic=True).retryable


def test_several_targets_may_be_found_out_in_part() -> None:
    targets = {"y": "", "z": "eV"}
    assert run({"y": 1, "z": 2}, targets).values == {"y": Value(1.0), "z": Value(2.0)}
    assert run({"y": 1, "z": None}, targets).values == {"y": Value(1.0)}
    assert run({"y": 1, "z": float("nan")}, targets).status == "failed"
    assert run(1.0, targets).status == "failed"


def test_bounds_and_whole_results_pass() -> None:
    assert run(Value(3.0, bound="above")).status == "censored"
    whole = Result("infeasible", reason="gave nothing")
    assert run(whole) is whole
    assert run(Value(3.0, std=float("nan"))).status == "failed"


def test_exceptions_are_failures() -> None:
    assert run(ZeroDivisionError("oh")) == Result("failed", reason="ZeroDivisionError: oh", retryable=True)
    assert run(ExperimentFailed("no sample")) == Result("failed", reason="no sample", retryable=False)
    assert run(ExperimentFailed("busy", retryable=True)) == Result("failed", reason="busy", retryable=True)
    with pytest.raises(KeyboardInterrupt):
        CallableExperiment(lambda values: (_ for _ in ()).throw(KeyboardInterrupt()), {"y": ""}).run(proposal("a"))


def test_the_function_sees_the_candidate_and_cannot_change_it(tmp_path: Path) -> None:
    def spoils(values: dict[str, Any]) -> float:
        """Twice x.

        And then some."""
        twice = 2 * values["x"]
        values.clear()
        return twice

    experiment = CallableExperiment(spoils, {"y": "GPa"}, requires=("x",), deterministic=True)
    results = check_experiment(experiment, [proposal("a", x=1.5), proposal("b", x=2.0)], files=tmp_path)
    assert [result.values["y"].value for result in results] == [3.0, 4.0]
    assert str(experiment.describe()["method"]).endswith("spoils: Twice x.")


def test_nonsense_is_refused_whole() -> None:
    with pytest.raises(InvalidInput) as caught:
        CallableExperiment("not a function", {})  # type: ignore[arg-type]
    assert len(caught.value.problems) == 2
