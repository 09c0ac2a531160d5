"""The suite finds what it is there to find: each experiment here breaks one promise."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from discover.errors import ExperimentFailed
from discover.experiment.conformance import check_experiment, check_outside
from discover.values import Proposal, Result, Value
from tests.experiment.conftest import proposal


@dataclass(frozen=True)
class Good:
    """Twice x."""

    factor: float = 2.0
    calls: list[int] = field(default_factory=list)

    requires = ("x",)
    targets: Any = None
    deterministic: Any = True

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, "targets", {"y": "GPa"})

    def located(self, base: Path, files: Path) -> Any:
        return replace(self)

    def describe(self) -> Mapping[str, Any]:
        return {"method": "twice x"}

    def run(self, proposal: Proposal) -> Result:
        if proposal.candidate is None or "x" not in proposal.candidate.values:
            return Result("failed", reason="no x")
        return Result("measured", {"y": Value(self.factor * proposal.candidate.values["x"])})


@dataclass(frozen=True)
class Invents(Good):
    def run(self, proposal: Proposal) -> Result:
        return Result("measured", {"y": Value(0.0)})


@dataclass(frozen=True)
class Wavers(Good):
    def run(self, proposal: Proposal) -> Result:
        self.calls.append(1)
        return Result("measured", {"y": Value(float(len(self.calls)))})


@dataclass(frozen=True)
class Crashes(Good):
    def run(self, proposal: Proposal) -> Result:
        raise KeyError("x")


@dataclass(frozen=True)
class Wordless(Good):
    def run(self, proposal: Proposal) -> Result:
        return Result("failed")


@dataclass(frozen=True)
class NotFinite(Good):
    def run(self, proposal: Proposal) -> Result:
        return Result("measured", {"y": Value(float("nan"))})


@dataclass(frozen=True)
class OtherTarget(Good):
    def run(self, proposal: Proposal) -> Result:
        return Result("measured", {"z": Value(1.0)})


@dataclass(frozen=True)
class BoundAsValue(Good):
    def run(self, proposal: Proposal) -> Result:
        return Result("measured", {"y": Value(1.0, bound="above")})


@dataclass(frozen=True)
class Conditioned(Good):
    fidelity: Any = ""
    context: Any = field(default_factory=dict)

    def run(self, proposal: Proposal) -> Result:
        return replace(super().run(proposal), fidelity=self.fidelity, context=self.context)


@dataclass(frozen=True)
class DrawsGlobally(Good):
    def run(self, proposal: Proposal) -> Result:
        random.random()
        return super().run(proposal)


@dataclass(frozen=True)
class SetsEnvironment(Good):
    def run(self, proposal: Proposal) -> Result:
        os.environ["DISCOVER_PROBE"] = str(len(os.environ))
        return super().run(proposal)


@dataclass(frozen=True)
class SpoilsCandidate(Good):
    def run(self, proposal: Proposal) -> Result:
        result = super().run(proposal)
        if proposal.candidate is not None:
            proposal.candidate.values["x"] = 7.0  # type: ignore[index]
        return result


@dataclass(frozen=True)
class Undescribed(Good):
    def describe(self) -> Mapping[str, Any]:
        return {"method": object()}


@dataclass
class Mutable:
    requires: tuple[str, ...] = ()
    targets: Any = field(default_factory=lambda: {"y": ""})
    deterministic: bool = True

    located, describe, run = Good.located, Good.describe, Good.run


@pytest.fixture(autouse=True)
def _tidy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVER_PROBE", "")


def test_a_good_one_passes(tmp_path: Path) -> None:
    (result,) = check_experiment(Good(), [proposal("a", x=1.0)], files=tmp_path)
    assert result.values == {"y": Value(2.0)}


@pytest.mark.parametrize(
    ("experiment", "promise"),
    [
        (Invents(), "a value was invented"),
        (Wavers(), "says it is deterministic"),
        (Crashes(), "not ExperimentFailed"),
        (Wordless(), "without a reason"),
        (NotFinite(), "not a Value with a finite float"),
        (OtherTarget(), "not among its targets"),
        (BoundAsValue(), "not 'censored'"),
        (Conditioned(fidelity=2), "the fidelity 2 is no text"),
        (Conditioned(context={"at": float("nan")}), "the context is no JSON mapping"),
        (DrawsGlobally(), "changed Python's random"),
        (SetsEnvironment(), "changed the environment"),
        (SpoilsCandidate(), "changed the proposal"),
        (Undescribed(), "describe() is not JSON"),
        (Mutable(), "declare it frozen"),
        (Good(targets={"status": ""}), "a name that campaigns use themselves"),
        (object(), "lacks requires"),
    ],
)
def test_a_broken_promise_is_named(experiment: Any, promise: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        check_experiment(experiment, [proposal("a", x=1.0)], files=tmp_path)
    assert promise in str(caught.value)


def test_nothing_to_run_is_no_proof(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one proposal"):
        check_experiment(Good(), [], files=tmp_path)


@dataclass(frozen=True)
class Post:
    """Hands over to a dictionary, where half of x is found out at once."""

    has: dict[str, Proposal] = field(default_factory=dict)

    requires = ("x",)
    deterministic = True
    together: Any = False

    @property
    def targets(self) -> Mapping[str, str]:
        return {"y": "GPa"}

    def located(self, base: Path, files: Path) -> Any:
        return self

    def describe(self) -> Mapping[str, Any]:
        return {"method": "half of x, by post"}

    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Any]:
        if any(given.candidate is None for given in work.values()):
            raise ExperimentFailed("there is no candidate")
        self.has.update(work)
        return {key: {"letter": key} for key in work}

    def find(self, keys: Sequence[str]) -> Mapping[str, Any] | None:
        return {key: {"letter": key} for key in keys if key in self.has}

    def collect(self, handles: Mapping[str, Any]) -> Mapping[str, Result]:
        half = {key: given.candidate.values["x"] / 2 for key, given in self.has.items() if given.candidate}
        return {key: Result("measured", {"y": Value(half[key])}) for key in handles if key in half}


class KnowsNothing(Post):
    def find(self, keys: Sequence[str]) -> None:
        return None


class HasEverything(Post):
    def find(self, keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: {} for key in keys}


class Forgets(Post):
    def find(self, keys: Sequence[str]) -> Mapping[str, Any]:
        return {}


class DropsOne(Post):
    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Any]:
        return dict(list(super().submit(work).items())[1:])


class OddHandle(Post):
    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Any]:
        return {key: {"path": Path(key)} for key in super().submit(work)}


class TakesAnything(Post):
    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Any]:
        self.has.update(work)
        return {key: {} for key in work}


class NeverAnswers(Post):
    def collect(self, handles: Mapping[str, Any]) -> Mapping[str, Result]:
        return {}


class AnswersUnasked(Post):
    def collect(self, handles: Mapping[str, Any]) -> Mapping[str, Result]:
        return {**super().collect(handles), "other": Result("measured", {"y": Value(1.0)})}


class ChangesItsMind(Post):
    def collect(self, handles: Mapping[str, Any]) -> Mapping[str, Result]:
        for given in self.has.values():
            given.candidate.values["x"] += 1  # type: ignore[index, union-attr]
        return super().collect(handles)


class InfinitePost(Post):
    def collect(self, handles: Mapping[str, Any]) -> Mapping[str, Result]:
        return {key: Result("measured", {"y": Value(float("inf"))}) for key in handles}


@pytest.mark.parametrize("experiment", [Post(), KnowsNothing()])
def test_a_good_outside_experiment_passes(experiment: Any, tmp_path: Path) -> None:
    proposals = [proposal("a", x=1.0), proposal("b", x=3.0)]
    found = check_outside(experiment, proposals, files=tmp_path)
    assert [result.values["y"].value for result in found] == [0.5, 1.5]


@pytest.mark.parametrize(
    ("experiment", "promise"),
    [
        (HasEverything(), "before anything was handed over, find() says"),
        (Forgets(), "after it was handed over, find() says"),
        (DropsOne(), "submit() returned handles of"),
        (OddHandle(), "a handle is not JSON"),
        (TakesAnything(), "a proposal without its candidate: was handed over"),
        (NeverAnswers(), "no result of probe-0001.1, probe-0002.1 came in"),
        (AnswersUnasked(), "results of other, which nobody asked for"),
        (ChangesItsMind(), "other results the second time"),
        (ChangesItsMind(), "changed the proposals"),
        (InfinitePost(), "not a Value with a finite float"),
        (Post(together=None), "together must be True or False"),
        (Good(), "lacks together, submit, find, collect"),
    ],
)
def test_a_broken_promise_of_an_outside_experiment_is_named(experiment: Any, promise: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        check_outside(experiment, [proposal("a", x=1.0), proposal("b", x=3.0)], files=tmp_path, seconds=0.2)
    assert promise in str(caught.value)


def test_nothing_to_hand_over_is_no_proof(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one proposal"):
        check_outside(Post(), [], files=tmp_path)
