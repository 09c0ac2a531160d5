"""Options of a wrong type are refused by whoever makes an instance, all at once, with the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from discover import registry
from discover.errors import InvalidInput, Problem, Unsupported
from discover.kinds import suits, typed
from discover.policy.bayesian import Bayesian

GROUPS = (registry.SOURCES, registry.FEATURES, registry.POLICIES, registry.EXPERIMENTS, registry.STOPPING)
OURS = [
    pytest.param(group, entry.name, id=entry.name)
    for group in GROUPS
    for entry in entry_points(group=group)
    if entry.value.startswith("discover.")
]


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [3, np.int64(3)], [True, 3.0, "3", None, np.bool_(True)]),
        (float, [3, 3.5, np.float32(3)], [True, "3.5", None]),
        (bool, [True, np.bool_(False)], [1, "true", None]),
        (str, ["x", ""], [1, None, Path("x"), b"x"]),
        (Path, ["x", Path("x")], [1, None]),
        (int | None, [3, None], [True, "3"]),
        (Literal["one", "each"], ["one"], ["on", 1, None]),
        (Literal[1, 2], [1], [True, 1.0]),
        (Mapping[str, float], [{"a": 1}, {}], [{"a": "1"}, {1: 1.0}, [("a", 1)], "a"]),
        (tuple[str, ...], [("a",), ["a"], ()], ["a", ("a", 1), {"a"}]),
        (tuple[float, float], [(0, 1), [0.5, 1]], [(0,), (0, "1"), "01"]),
        (Sequence[int], [[1, 2]], [["1"], 1]),
        (Any, [object()], []),
    ],
)
def test_what_suits_a_type(hint: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [suits(value, hint) for value in right] == [True] * len(right)
    assert [suits(value, hint) for value in wrong] == [False] * len(wrong)


def test_a_kind_is_called_by_its_name_though_a_package_hands_it_on() -> None:
    entry = next(e for e in entry_points(group=registry.POLICIES) if e.name == "bayesian")
    assert entry.module != Bayesian.__module__
    assert registry.settings_of(registry.POLICIES, Bayesian(start=7))["kind"] == "bayesian"


def test_a_class_that_only_shares_its_name_with_a_kind_is_not_called_so() -> None:
    other = type("Bayesian", (), {"__module__": "elsewhere"})
    assert registry.settings_of(registry.POLICIES, other())["kind"] == "elsewhere:Bayesian"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose kinds are named as ours are, and which cannot be imported."""
    folder = tmp_path / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    points = "[discover.policies]\nfirst = broken.module:Bayesian\nsecond = discover.gone:Bayesian\n"
    (folder / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("broken")
def test_a_package_that_cannot_be_imported_harms_no_kind_but_its_own() -> None:
    assert {"first", "second"} <= set(registry.kinds(registry.POLICIES))
    assert registry.settings_of(registry.POLICIES, Bayesian())["kind"] == "bayesian"
    with pytest.raises(Unsupported, match="policy of kind 'first' of the package broken cannot be loaded: No module"):
        registry.load(registry.POLICIES, "first")


@dataclass(frozen=True)
@typed
class Made:
    count: int = 1
    sort: Literal["near", "far"] = "near"
    share: float | None = None
    own: int = field(default=0, metadata={"internal": True})

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidInput("made", [Problem("must be at least 1", column="count", value=self.count)])


def test_all_that_is_wrong_is_told_beside_what_a_kinds_own_check_finds() -> None:
    with pytest.raises(InvalidInput) as caught:
        Made("0", "nears", "much")  # type: ignore[arg-type]
    assert [problem.column for problem in caught.value.problems] == ["count", "sort", "share"]
    assert "must be a whole number" in str(caught.value)
    assert "did you mean 'near'?" in str(caught.value)
    with pytest.raises(InvalidInput, match="at least 1") as caught:
        Made(0)
    assert len(caught.value.problems) == 1
    with pytest.raises(InvalidInput) as caught:
        Made(0, share="much")  # type: ignore[arg-type]
    assert [problem.column for problem in caught.value.problems] == ["share", "count"]
    assert Made(2, "far", 1, own="anything").count == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("start", ["5", True, 5.0, None])
def test_a_policy_made_in_python_is_checked(start: object) -> None:
    with pytest.raises(InvalidInput, match=r"'start'.*must be a whole number"):
        Bayesian(start=start)  # type: ignore[arg-type]


def test_a_campaign_file_is_still_converted() -> None:
    assert registry.configure(registry.POLICIES, {"kind": "bayesian", "start": 5.0, "beta": 2}).start == 5


@pytest.mark.parametrize(("group", "kind"), OURS)
def test_every_kind_of_ours_is_checked(group: str, kind: str) -> None:
    cls = registry.load(group, kind)
    told = {
        option.name: registry.defaults(group, kind).get(option.name, object())
        for option in registry.options(cls)
        if option.init
    }
    if not told:
        return
    for name in told:
        with pytest.raises(InvalidInput, match=f"column '{name}'"):
            cls(**{**told, name: object()})


def test_there_are_kinds_of_ours() -> None:
    assert len(OURS) >= 20


def test_numbers_of_numpy_are_told_as_numbers() -> None:
    assert str(Problem("not finite", column="x", value=np.float64("nan"))) == "column 'x', value nan: not finite"
    assert str(Problem("too many", value=np.int64(3))) == "value 3: too many"
