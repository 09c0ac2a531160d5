"""Fronts against all pairs, hypervolume against inclusion–exclusion and BoTorch."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from discover.pareto import beaten_by, hypervolume, inferred_reference, on_front

few = st.integers(1, 4).flatmap(
    lambda k: arrays(np.float64, st.tuples(st.integers(1, 7), st.just(k)), elements=st.integers(-3, 4))
)


def by_inclusion_and_exclusion(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume of a union of boxes: of each, less of each two's common part, and so on."""
    sides = np.maximum(points - reference, 0.0)
    total = 0.0
    for size in range(1, len(sides) + 1):
        for some in combinations(range(len(sides)), size):
            total -= (-1.0) ** size * float(sides[list(some)].min(axis=0).prod())
    return total


@given(few)
def test_no_member_of_the_front_is_beaten_and_everything_else_is_by_one_of_it(points: np.ndarray) -> None:
    front = on_front(points)
    assert front.any()
    for row, member in zip(points, front, strict=True):
        beats = [bool((other >= row).all() and (other > row).any()) for other in points]
        assert member == (not any(beats))
        if not member:
            assert any((other >= row).all() for other in points[front])
    assert beaten_by(points).tolist() == [
        sum(bool((other >= row).all() and (other > row).any()) for other in points) for row in points
    ]


@given(few, st.integers(-3, 1))
def test_hypervolume_is_that_of_the_union_of_boxes(points: np.ndarray, low: int) -> None:
    reference = np.full(points.shape[1], float(low))
    assert hypervolume(points, reference) == pytest.approx(by_inclusion_and_exclusion(points, reference), abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_hypervolume_is_botorchs(k: int) -> None:
    from botorch.utils.multi_objective.hypervolume import Hypervolume

    points = np.random.default_rng(k).normal(size=(40, k))
    front = torch.from_numpy(points[on_front(points)])
    theirs = Hypervolume(torch.full((k,), -1.0, dtype=torch.float64)).compute(front)
    assert hypervolume(points, np.full(k, -1.0)) == pytest.approx(theirs, rel=1e-10)


@given(few)
def test_more_points_never_make_less_and_the_inferred_reference_lies_below_the_front(points: np.ndarray) -> None:
    reference = inferred_reference(points)
    assert (points[on_front(points)] > reference).all()
    volumes = [hypervolume(points[:i], reference) for i in range(len(points) + 1)]
    assert volumes[0] == 0.0
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(volumes))


def test_the_inferred_reference_lies_a_tenth_of_the_fronts_range_below_it() -> None:
    points = np.array([[0.0, 10.0], [4.0, 5.0], [10.0, 0.0], [-50.0, -50.0]])
    assert inferred_reference(points).tolist() == [-1.0, -1.0]
    assert inferred_reference(np.array([[3.0, 2.0], [1.0, 1.0]])).tolist() == pytest.approx([2.8, 1.9])
    assert inferred_reference(np.array([[30.0, 0.0]])).tolist() == pytest.approx([27.0, -0.1])
