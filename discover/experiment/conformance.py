"""What every experiment promises, as checks that any implementation can be put to.

from discover.experiment.conformance import check_experiment

def test_my_experiment(tmp_path):
    check_experiment(MyExperiment(), proposals, files=tmp_path)

`check_outside` does the same for an experiment that somebody else makes.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from discover.errors import ExperimentFailed
from discover.protocols import Experiment, OutsideExperiment
from discover.reserved import RESERVED
from discover.values import STATUSES, Candidate, Handle, Proposal, Result, Value


def check_experiment(experiment: Any, proposals: Sequence[Proposal], *, files: Path) -> list[Result]:
    """Put an experiment to the contract with proposals that it should be able to treat; returns what it found out.

    files: an empty folder that it may write to. AssertionError lists every promise that was broken.
    """
    if not proposals:
        raise ValueError("give at least one proposal to run")
    broken: list[str] = []
    declared = _declarations(experiment, Experiment, broken)
    if not declared:
        raise AssertionError(_report(experiment, broken))
    located = experiment.located(files, files)
    if not isinstance(located, Experiment):
        broken.append(f"located() returned a {type(located).__name__}, which is no experiment")
        raise AssertionError(_report(experiment, broken))
    _descriptions(located, broken)
    results = [_runs(located, proposal, broken) for proposal in proposals]
    _odd_proposals(located, proposals[0], broken)
    if broken:
        raise AssertionError(_report(experiment, broken))
    return results


def check_outside(
    experiment: Any,
    proposals: Sequence[Proposal],
    *,
    files: Path,
    base: Path | None = None,
    work: Callable[[], Any] = lambda: None,
    seconds: float = 20.0,
) -> list[Result]:
    """Put an experiment that somebody else makes to the contract; returns what came back by key, in order.

    files: an empty folder that it may write to. base: where relative paths start. work: lets the outside do its work.
    seconds: how long results are waited for. AssertionError lists every promise that was broken.
    """
    if not proposals:
        raise ValueError("give at least one proposal to hand over")
    broken: list[str] = []
    if not _declarations(experiment, OutsideExperiment, broken):
        raise AssertionError(_report(experiment, broken))
    located = experiment.located(base or files, files)
    _descriptions(located, broken)
    given = {f"probe-{number:04d}.1": proposal for number, proposal in enumerate(proposals, start=1)}
    before = deepcopy(given)
    with _untouched(broken):
        _found(located, list(given), {}, "before anything was handed over", broken)
        handles = dict(located.submit(given))
        _handles(handles, given, broken)
        _found(located, [*given, "probe-0000.1"], handles, "after it was handed over", broken)
        _without_candidate(located, proposals[0], broken)
        results = _collected(located, handles, work, seconds, broken)
    if given != before:
        broken.append("changed the proposals it was given")
    if broken:
        raise AssertionError(_report(experiment, broken))
    return [results[key] for key in given if key in results]


def _handles(handles: Mapping[str, Handle], given: Mapping[str, Proposal], broken: list[str]) -> None:
    if set(handles) != set(given):
        broken.append(f"submit() returned handles of {sorted(handles)}, not of {sorted(given)}")
    try:
        json.dumps(handles, allow_nan=False)
    except (TypeError, ValueError) as error:
        broken.append(f"a handle is not JSON: {error}")


def _found(
    experiment: OutsideExperiment, keys: Sequence[str], expected: Mapping[str, Handle], when: str, broken: list[str]
) -> None:
    found = experiment.find(keys)
    if found is not None and set(found) != set(expected):
        broken.append(f"{when}, find() says that the outside has {sorted(found)}, and it has {sorted(expected)}")


def _without_candidate(experiment: OutsideExperiment, proposal: Proposal, broken: list[str]) -> None:
    told = "a proposal without its candidate"
    try:
        experiment.submit({"probe-9999.1": replace(proposal, candidate=None)})
    except ExperimentFailed as error:
        if error.retryable or not str(error):
            broken.append(f"{told}: must be a failure for good, with a reason")
    except Exception as error:
        broken.append(f"{told}: raised {type(error).__name__} ({error}), not ExperimentFailed")
    else:
        broken.append(f"{told}: was handed over")


def _collected(
    experiment: OutsideExperiment,
    handles: Mapping[str, Handle],
    work: Callable[[], Any],
    seconds: float,
    broken: list[str],
) -> Mapping[str, Result]:
    """What comes back; where a batch is handed over together, results may come in by another way."""
    work()
    tries = 1 if experiment.together else max(1, int(seconds / 0.1))
    for _ in range(tries):
        results = dict(experiment.collect(handles))
        if set(results) >= set(handles):
            break
        time.sleep(0.1)
    if not experiment.together and (missing := sorted(set(handles) - set(results))):
        broken.append(f"no result of {', '.join(missing)} came in within {seconds:g} s")
    if strange := sorted(set(results) - set(handles)):
        broken.append(f"collect() returned results of {', '.join(strange)}, which nobody asked for")
    for key, result in results.items():
        broken += [f"{key}: {wrong}" for wrong in _result_problems(experiment, result)]
    again = experiment.collect(handles)
    if {k: _outcome(r) for k, r in again.items()} != {k: _outcome(r) for k, r in results.items()}:
        broken.append("collect() gives other results the second time")
    return results


def _report(experiment: Any, broken: Sequence[str]) -> str:
    lines = "\n".join(f"  - {promise}" for promise in dict.fromkeys(broken))
    return f"{type(experiment).__name__} breaks the contract of its protocol:\n{lines}"


NEEDED: Mapping[type, tuple[str, ...]] = {
    Experiment: ("requires", "targets", "deterministic", "located", "describe", "run"),
    OutsideExperiment: (
        *("requires", "targets", "deterministic", "together", "located", "describe", "submit", "find", "collect"),
    ),
}


def _declarations(experiment: Any, protocol: type, broken: list[str]) -> bool:
    """Its shape: attributes, methods, a frozen dataclass. False where nothing else can be checked."""
    needed = NEEDED[protocol]
    if not all(hasattr(experiment, name) for name in needed):
        broken.append(f"lacks {', '.join(name for name in needed if not hasattr(experiment, name))}")
        return False
    if not is_dataclass(experiment) or isinstance(experiment, type):
        broken.append("is not an instance of a dataclass, so a campaign file cannot name its options")
    else:
        name = next((field.name for field in fields(experiment)), "probe")
        try:
            setattr(experiment, name, getattr(experiment, name, None))
            broken.append("is a dataclass that can be changed: declare it frozen")
        except (FrozenInstanceError, AttributeError):
            pass
    requires, targets = experiment.requires, experiment.targets
    if not isinstance(requires, tuple) or not all(isinstance(name, str) and name for name in requires):
        broken.append(f"requires must be a tuple of column names, not {requires!r}")
        return False
    if not isinstance(targets, Mapping) or not targets:
        broken.append(f"targets must be a mapping of at least one name to a unit, not {targets!r}")
        return False
    broken += [
        f"target {name!r} must have a text as unit" for name, unit in targets.items() if not isinstance(unit, str)
    ]
    broken += [f"target {name!r} has a name that campaigns use themselves" for name in targets if name in RESERVED]
    broken += [
        f"{name} must be True or False, not {getattr(experiment, name)!r}"
        for name in ("deterministic", "together")
        if name in needed and not isinstance(getattr(experiment, name), bool)
    ]
    return True


def _descriptions(experiment: Experiment | OutsideExperiment, broken: list[str]) -> None:
    described = experiment.describe()
    try:
        json.dumps(described, allow_nan=False)
    except (TypeError, ValueError) as error:
        broken.append(f"describe() is not JSON: {error}")
        return
    if not isinstance(described, Mapping) or not described.get("method"):
        broken.append("describe() must say under 'method', in words, how the numbers come about")
    if described != experiment.describe():
        broken.append("describe() says something else the second time")


def _runs(experiment: Experiment, proposal: Proposal, broken: list[str]) -> Result:
    """One proposal, twice where that must give the same."""
    result = _run(experiment, proposal, broken)
    broken += [f"{proposal.candidate_id}: {wrong}" for wrong in _result_problems(experiment, result)]
    if experiment.deterministic:
        again = _run(experiment, proposal, broken)
        if _outcome(again) != _outcome(result):
            broken.append(f"{proposal.candidate_id}: says it is deterministic, and gave {result!r}, then {again!r}")
    return result


def _run(experiment: Experiment, proposal: Proposal, broken: list[str]) -> Result:
    before = deepcopy(proposal)
    with _untouched(broken):
        try:
            result = experiment.run(proposal)
        except ExperimentFailed as error:
            result = Result("failed", reason=str(error), retryable=error.retryable)
        except Exception as error:
            broken.append(f"{proposal.candidate_id}: raised {type(error).__name__} ({error}), not ExperimentFailed")
            result = Result("failed", reason=str(error) or type(error).__name__)
    if proposal != before:
        broken.append(f"{proposal.candidate_id}: changed the proposal it was given")
    return result


def _outcome(result: Result) -> tuple[Any, ...]:
    return (result.status, dict(result.values), result.reason, result.retryable)


def _result_problems(experiment: Experiment | OutsideExperiment, result: Any) -> Iterator[str]:
    if not isinstance(result, Result):
        yield f"returned a {type(result).__name__}, not a Result"
        return
    if result.status not in STATUSES:
        yield f"status {result.status!r} is none of {', '.join(STATUSES)}"
    if result.status in ("measured", "censored") and not result.values:
        yield f"is {result.status} without a value"
    if result.status in ("failed", "infeasible"):
        if result.values:
            yield f"is {result.status} and yet has values"
        if not result.reason:
            yield f"is {result.status} without a reason"
    if result.retryable and result.status != "failed":
        yield "only a failure can be retried"
    for target, value in result.values.items():
        yield from _value_problems(experiment, result, target, value)
    if result.cost is not None and not (math.isfinite(result.cost) and result.cost >= 0):
        yield f"cost {result.cost!r} is not a number of at least 0"
    try:
        json.dumps(result.details, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield f"details are not JSON: {error}"
    try:
        json.dumps(dict(result.context), allow_nan=False)
    except (TypeError, ValueError) as error:
        yield f"the context is no JSON mapping: {error}"
    if not isinstance(result.fidelity, str):
        yield f"the fidelity {result.fidelity!r} is no text"


def _value_problems(
    experiment: Experiment | OutsideExperiment, result: Result, target: str, value: Any
) -> Iterator[str]:
    if target not in experiment.targets:
        yield f"measured {target!r}, which is not among its targets"
    if not isinstance(value, Value) or not isinstance(value.value, float) or not math.isfinite(value.value):
        yield f"{target} is {value!r}, not a Value with a finite float"
        return
    if value.std is not None and not (math.isfinite(value.std) and value.std >= 0):
        yield f"{target} has the standard deviation {value.std!r}"
    if value.bound is not None and result.status != "censored":
        yield f"{target} is a bound, and the status is {result.status!r}, not 'censored'"


def _odd_proposals(experiment: Experiment, proposal: Proposal, broken: list[str]) -> None:
    """What it cannot treat is a failure with a reason, never a number or an error of another kind."""
    names = ", ".join(experiment.requires)
    if not experiment.requires:
        return
    odd: list[tuple[str, Callable[[], Proposal]]] = [
        ("a proposal without its candidate", lambda: replace(proposal, candidate=None)),
        (f"a candidate without {names}", lambda: replace(proposal, candidate=Candidate(proposal.candidate_id, "", {}))),
    ]
    for told, make in odd:
        found: list[str] = []
        result = _run(experiment, make(), found)
        broken += [f"{told}: {wrong}" for wrong in found]
        if isinstance(result, Result) and result.status in ("measured", "censored"):
            broken.append(f"{told}: was {result.status}; a value was invented")
        elif isinstance(result, Result) and not result.reason:
            broken.append(f"{told}: failed without a reason")


@contextmanager
def _untouched(broken: list[str]) -> Iterator[None]:
    """The process is the same after a run: generators, working folder, environment."""

    def state() -> tuple[Any, ...]:
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        return (random.getstate(), json.dumps(numpy_state, default=np.ndarray.tolist), Path.cwd(), dict(os.environ))

    before = state()
    yield
    for name, one, other in zip(
        ("Python's random", "NumPy's random", "the working folder", "the environment"), before, state()
    ):
        if one != other:
            broken.append(f"a run changed {name}")
