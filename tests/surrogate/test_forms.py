"""Covariances are those of GPyTorch or of a plain loop, and their written-out gradients are right."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.composite import Product, Sum
from discover.surrogate.covariance.fitted import Covariance
from discover.surrogate.covariance.forms import Form, Linear, Radial, Tanimoto
from discover.surrogate.covariance.kernels import correlation, squared_distances
from discover.surrogate.covariance.warping import Warped
from discover.surrogate.evidence.short_list import hamming
from discover.surrogate.inputs.layout import Layout, Part
from discover.surrogate.inputs.scaling import Scaling

D = 6


def rows(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((n, D)) - 0.5)


def numbers(form: Form, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.uniform(0.2, 2.0, len(form.dimensions)))
    return lengths, fitting.shares_of(form, torch.from_numpy(rng.normal(size=form.shares)))


EACH = Radial.whole("matern", D, each=True)
ONE = Radial.whole("rbf", D, each=False)
GROUPED = Radial("matern", (0, 2, 3, 5), (0, 1, 1, 0), (1.0, 2.0, 0.5, 1.5), width=D)
MANY_GROUPS = Radial("rbf", tuple(range(D)), (0, 1, 2, 3, 4, 4), (1.0,) * 5 + (2.0,), width=D)
TERMS = Sum(tuple(Radial.over("matern", (k,), each=False, width=D) for k in range(D)))
PLANE = Sum((Linear((0, 1, 2)), ONE))
MIXED = Product((GROUPED, Sum((Linear((1, 4)), Radial.over("rbf", (1, 4), each=True, width=D)))))
BENT = Warped((-0.5,) * D)
FORMS = [EACH, ONE, GROUPED, MANY_GROUPS, TERMS, PLANE, MIXED, Sum((MIXED, TERMS)), BENT, Product((BENT, PLANE))]


def gpytorch_kernel(kernel: str, lengths: torch.Tensor, columns: tuple[int, ...]):
    from gpytorch.kernels import MaternKernel, RBFKernel

    made = (RBFKernel if kernel == "rbf" else MaternKernel)(ard_num_dims=len(columns), active_dims=columns).double()
    made.lengthscale = lengths[None]
    return made


@pytest.mark.parametrize("form", [EACH, ONE, GROUPED, MANY_GROUPS])
def test_radial_kernels_are_gpytorchs(form: Radial) -> None:
    lengths, shares = numbers(form)
    weights = torch.tensor(form.weights or (1.0,) * len(form.columns), dtype=torch.float64)
    theirs = gpytorch_kernel(form.kernel, lengths[list(form.groups)] / weights, form.columns)
    A, B = rows(9), rows(7, 1)
    assert torch.allclose(form.across(lengths, shares, A, B), theirs(A, B).to_dense(), atol=1e-10)
    found = Covariance(form, tuple(lengths.tolist()))
    assert found.stationary is not None
    kernel, whole = found.stationary
    scale = torch.tensor(whole, dtype=torch.float64)
    assert len(whole) == D
    assert torch.allclose(correlation(kernel, squared_distances(A / scale, B / scale)), found.across(A, B), atol=1e-12)


def test_sums_and_products_are_gpytorchs() -> None:
    A, B = rows(9), rows(7, 1)
    lengths, shares = numbers(TERMS)
    parts = [gpytorch_kernel("matern", lengths[[k]], (k,))(A, B).to_dense() for k in range(D)]
    assert torch.allclose(TERMS.across(lengths, shares, A, B), sum(s * K for s, K in zip(shares, parts)), atol=1e-10)
    lengths, shares = numbers(MIXED)
    left = GROUPED.across(lengths[:2], shares[:0], A, B)
    plane = 6.0 * A[:, [1, 4]] @ B[:, [1, 4]].T
    right = shares[0] * plane + shares[1] * gpytorch_kernel("rbf", lengths[2:], (1, 4))(A, B).to_dense()
    assert torch.allclose(MIXED.across(lengths, shares, A, B), left * right, atol=1e-10)
    assert Covariance(MIXED, tuple(lengths.tolist()), tuple(shares.tolist())).stationary is None


@pytest.mark.parametrize("form", FORMS)
def test_a_diagonal_is_that_of_the_whole_and_a_covariance_is_definite(form: Form) -> None:
    lengths, shares = numbers(form)
    A = rows(12)
    K = form.across(lengths, shares, A, A)
    assert torch.allclose(K.diagonal(), form.diagonal(lengths, shares, A), atol=1e-9)
    assert torch.allclose(K, K.T)
    assert float(torch.linalg.eigvalsh(K)[0]) > -1e-9
    assert torch.allclose(form.prepared(A).value(lengths, shares), K, atol=1e-9)
    assert float(shares.sum()) == pytest.approx(len(form.sums))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(FORMS), st.integers(0, 999), st.booleans())
def test_gradients_are_those_of_small_steps(form: Form, seed: int, some_known: bool) -> None:
    rng = np.random.default_rng(seed)
    X, y = rows(11, seed), torch.from_numpy(rng.normal(size=11))
    known = torch.full_like(y, math.nan)
    if some_known:
        known[::3] = 0.2
    lengths, _ = numbers(form, seed)
    theta = torch.cat([lengths.log(), torch.from_numpy(rng.normal(size=form.shares)), torch.tensor([-2.0])])
    prepared = form.prepared(X)
    _, slope = fitting.log_posterior(prepared, form, theta, known, y)
    for k, step in product(range(len(theta)), [1e-5]):
        off = torch.zeros_like(theta)
        off[k] = step
        ends = [fitting.log_posterior(prepared, form, theta + side * off, known, y)[0] for side in (1.0, -1.0)]
        assert float(slope[k]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-5)


def test_the_likelihood_of_a_composite_is_that_of_the_normal_distribution() -> None:
    X, y = rows(10), torch.from_numpy(np.random.default_rng(1).normal(size=10))
    known, theta = torch.full_like(y, 0.3), torch.zeros(len(MIXED.dimensions) + MIXED.shares + 1, dtype=torch.float64)
    value, _ = fitting.log_posterior(MIXED.prepared(X), MIXED, theta, known, y)
    ones, half = torch.ones(len(MIXED.dimensions), dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64)
    K = MIXED.across(ones, half, X, X) + 0.3 * torch.eye(10, dtype=torch.float64)
    mean = fitting.generalised_mean(torch.linalg.cholesky(K), y)
    theirs = torch.distributions.MultivariateNormal(mean.expand(10), K).log_prob(y)
    assert value == pytest.approx(float(theirs + fitting.log_prior(MIXED, theta)[0]), rel=1e-9)


def categories(n: int, counts: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, torch.Tensor, list[Part]]:
    """Cells [n, columns], scaled one-hot features, and the parts that tell how raw ones come back."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.integers(k, size=n) for k in counts], axis=1)
    raw = np.hstack([np.eye(k)[cells[:, c]] for c, k in enumerate(counts)])
    centre, spread = raw.mean(axis=0), np.sqrt(12.0) * raw.std(axis=0)
    ends = np.cumsum([0, *counts])
    parts = [
        Part(f"c{c}", "categories", tuple(range(a, b)), tuple(spread[a:b]), tuple(centre[a:b]))
        for c, (a, b) in enumerate(pairwise(ends))
    ]
    return cells, torch.from_numpy((raw - centre) / spread), parts


def test_the_hamming_kernel_counts_mismatches() -> None:
    cells, Z, parts = categories(40, (3, 5, 2))
    form = hamming(parts, 10)
    lengths = torch.tensor([0.4, 0.9, 1.7], dtype=torch.float64)
    found = form.across(lengths, torch.empty(0), Z, Z).numpy()
    for i, j in product(range(0, 40, 7), range(40)):
        told = np.exp(-np.sum((cells[i] != cells[j]) / (12.0 * lengths.numpy() ** 2)))
        assert found[i, j] == pytest.approx(told, rel=1e-9)
    assert form.dimensions == (3, 3, 3)


def test_tanimoto_is_what_is_shared_of_all() -> None:
    rng = np.random.default_rng(0)
    raw = (rng.random((12, 30)) < 0.3).astype(float)
    raw[:, 7], raw[:, 8], raw[0] = 1.0, 0.0, 0.0
    raw[0, 7] = 1.0
    kept = raw.std(axis=0) > 0
    centre, spread = raw.mean(axis=0)[kept], (np.sqrt(12.0) * raw.std(axis=0))[kept]
    Z = torch.from_numpy((raw[:, kept] - centre) / spread)
    form = Tanimoto(tuple(range(kept.sum())), tuple(spread), tuple(centre), constant=1.0)
    found = form.across(Z.new_empty(0), Z.new_empty(0), Z, Z).numpy()
    for i, j in product(range(12), range(12)):
        a, b = set(np.flatnonzero(raw[i])), set(np.flatnonzero(raw[j]))
        assert found[i, j] == pytest.approx(len(a & b) / len(a | b), abs=1e-9)
    empty = Tanimoto((0, 1), (1.0, 1.0), (0.0, 0.0))
    nothing = torch.zeros(2, 2, dtype=torch.float64)
    assert empty.across(nothing[:0], nothing[:0], nothing, nothing).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_single_precision_stays_single() -> None:
    for form in [*FORMS, Tanimoto((0, 1), (1.0, 1.0), (0.5, 0.5))]:
        lengths, shares = numbers(form)
        A = rows(5).float()
        found = Covariance(form, tuple(lengths.tolist()), tuple(shares.tolist()))
        assert found.across(A, A).dtype == found.diagonal(A).dtype == torch.float32


def test_a_plane_has_unit_variance_over_the_pool() -> None:
    rng = np.random.default_rng(0)
    raw = np.hstack([rng.exponential(size=(500, 3)), rng.integers(2, size=(500, 2)), np.ones((500, 1))])
    scaling = Scaling.over(raw)
    layout = Layout.of(scaling, (), raw)
    Z = torch.from_numpy(scaling.apply(raw))
    form = Linear(tuple(range(layout.width)), layout.variance)
    nothing = Z.new_empty(0)
    assert layout.width == 5
    assert float(form.diagonal(nothing, nothing, Z).mean()) == pytest.approx(1.0, rel=1e-9)
