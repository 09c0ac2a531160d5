"""What was calculated is found again, exactly; what was damaged is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.experiment.crystals.cache import CalculationCache, digest

KEY = {"structure": "abc", "settings": {"volumes": 9}}
BODY = {"modulus": 0.1 + 0.2, "reason": "", "curve": {"energies": [1e-300, -3.3]}}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(body=st.dictionaries(st.text(), values, max_size=4))
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]) -> None:
    cache = CalculationCache(tmp_path_factory.mktemp("cache"))
    assert cache.put(KEY, body) == ""
    assert cache.get(KEY).body == body


def test_other_keys_are_other_entries(tmp_path: Path) -> None:
    cache = CalculationCache(tmp_path / "not" / "there" / "yet")
    assert cache.get(KEY).body is None
    assert cache.get(KEY).problem == ""
    cache.put(KEY, BODY)
    assert cache.get(KEY).body == BODY
    assert cache.get({**KEY, "settings": {"volumes": 11}}).body is None
    assert [path.suffix for path in cache.path(KEY).parent.iterdir()] == [".json"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace("-3.3", "-3.4"),
        lambda text: text.replace('"abc"', '"abd"'),
        lambda text: text.replace("discover-calculation/1", "discover-calculation/0"),
    ],
)
def test_a_damaged_entry_is_no_entry(tmp_path: Path, damage: Any) -> None:
    cache = CalculationCache(tmp_path)
    cache.put(KEY, BODY)
    path = cache.path(KEY)
    assert path is not None
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))
    entry = cache.get(KEY)
    assert entry.body is None
    assert "repeated" in entry.problem
    cache.put(KEY, BODY)
    assert cache.get(KEY).body == BODY


def test_without_a_folder_nothing_is_kept() -> None:
    cache = CalculationCache()
    assert cache.put(KEY, BODY) == ""
    assert cache.get(KEY).body is None


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "could not be cached" in CalculationCache(tmp_path / "file").put(KEY, BODY)


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest(json.loads('{"b": [2], "a": 1}'))
    with pytest.raises(ValueError):  # noqa: PT011
        digest({"a": float("nan")})
