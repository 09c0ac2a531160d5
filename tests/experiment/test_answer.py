from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.experiment.command.answer import HalfWritten, read_result
from discover.values import Result, Value

TARGETS = {"energy": "eV", "gap": "eV"}


def read(tmp_path: Path, body: Any, retryable: bool = True) -> Result:
    path = tmp_path / "k" / "result.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    result = read_result(path, TARGETS, retryable=retryable)
    assert result is not None
    assert result.raw["file"].endswith("k/result.json")
    assert len(result.raw["sha256"]) == 64
    return result


def test_what_a_job_may_say(tmp_path: Path) -> None:
    body: dict[str, Any] = {"values": {"energy": -1, "gap": None}, "std": {"energy": 0.5}, "units": {"energy": "eV"}}
    found = read(tmp_path, {**body, "cost": 2, "details": {"steps": 3}})
    assert found.status == "measured"
    assert found.values == {"energy": Value(-1.0, 0.5)}
    assert found.cost == 2.0
    assert found.details["steps"] == 3
    assert (found.fidelity, found.context) == ("", {})
    how = {"fidelity": "low", "context": {"functional": "PBE", "cutoff": 400}}
    found = read(tmp_path, {**body, **how})
    assert (found.fidelity, found.context) == ("low", how["context"])
    assert read(tmp_path, {**body, "fidelity": 2.0}).fidelity == "2"
    assert read(tmp_path, {"status": "failed", **how}).context == how["context"]
    censored = read(tmp_path, {"values": {"gap": 5}, "bound": {"gap": "above"}})
    assert (censored.status, censored.values) == ("censored", {"gap": Value(5.0, None, "above")})
    failed = read(tmp_path, {"status": "failed", "reason": "not converged"})
    assert (failed.status, failed.reason, failed.retryable) == ("failed", "not converged", True)
    assert not read(tmp_path, {"status": "failed", "retryable": False}).retryable
    assert not read(tmp_path, {"status": "failed"}, retryable=False).retryable
    infeasible = read(tmp_path, {"status": "infeasible", "reason": "does not exist"})
    assert (infeasible.status, infeasible.retryable) == ("infeasible", False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([1], "must be a mapping"),
        ({"energy": 1}, "means nothing here"),
        ({"values": {"enrgy": 1}}, "not among the targets"),
        ({"values": {"energy": "1"}}, "not a number"),
        ({"values": {"energy": True}}, "not a number"),
        ({"values": [1]}, "must be a mapping by target"),
        ('{"values": {"energy": NaN}}', "NaN is not a number"),
        ('{"values": {"energy": 1e999}}', "not finite"),
        ('{"values": {"energy": 1}, "details": {"steps": [1e999]}}', "not finite"),
        ('{"status": "failed", "reason": "\\ud800"}', "half of a character"),
        ('{"values": {"energy": 1}, "details": {"\\udfff": 1}}', "half of a character"),
        ({"values": {"energy": 1}, "details": {"a": json.loads("[" * 60 + "]" * 60)}}, "nested"),
        ('{"values": {"energy": -Infinity}}', "not a number"),
        ({"values": {"energy": 1}, "std": {"energy": -1}}, "negative"),
        ({"values": {"energy": 1}, "units": {"energy": "meV"}}, "in 'meV', and 'eV' is expected"),
        ({"values": {}}, "neither a value nor a status"),
        ({"status": "done"}, "valid: measured"),
        ({"status": "measured"}, "no value"),
        ({"status": "failed", "values": {"energy": 1}}, "and yet there are values"),
        ({"status": "measured", "values": {"gap": 5}, "bound": {"gap": "above"}}, "belong together"),
        ({"status": "censored", "values": {"gap": 5}}, "belong together"),
        ({"values": {"gap": 5}, "bound": {"gap": "<"}}, "the bound of gap"),
        ({"values": {"gap": 5}, "cost": -1}, "the cost is negative"),
        ({"status": "failed", "retryable": "no"}, "retryable must be"),
        ({"values": {"gap": 5}, "details": [1]}, "details must be"),
        ({"values": {"gap": 5}, "context": "PBE"}, "context must be a mapping"),
        ({"values": {"gap": 5}, "fidelity": ["low"]}, "fidelity must be a text"),
        ({"values": {"gap": 5}, "fidelity": True}, "fidelity must be a text"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_whole_and_wrong_is_a_failure_in_words(tmp_path: Path, body: Any, said: str) -> None:
    result = read(tmp_path, body)
    assert result.status == "failed"
    assert not result.values
    assert said in result.reason


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "result.json")
    result = read_result(tmp_path / "result.json", TARGETS, retryable=True)
    assert result is not None
    assert (result.status, result.reason) == ("failed", "result.json is no ordinary file")


@pytest.mark.parametrize("text", ["", "{", '{"values": {"energy": -1.', "\xff\xfe"])
def test_what_is_not_whole_is_being_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(HalfWritten):
        read_result(path, TARGETS, retryable=True)
    assert read_result(tmp_path / "absent.json", TARGETS, retryable=True) is None
