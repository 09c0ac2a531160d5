"""Bent features are BoTorch's, are found where there is a bend, and are left straight where nothing tells of one."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.acquisition.bounded import Improvement
from discover.acquisition.paths import Paths
from discover.acquisition.sweep import PoolRows, best_rows
from discover.acquisition.tiles import Tiler
from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.warping import Warp, Warped
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.evidence.short_list import ADDITIVE, WARPED, candidates
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.inputs.layout import Layout
from discover.surrogate.inputs.scaling import Scaling
from discover.values import Block, FeatureTable

FIT = GaussianProcess(form=Warped((-0.5, -0.5)), name="warped", evaluations=60, starts=1)


def bent(n: int, seed: int = 0, noise: float = 0.02) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled features [n, 2], and a target that changes fast near the low end of the first and hardly elsewhere."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 2))
    y = np.sin(9.0 * X[:, 0] ** 0.25) + 0.5 * X[:, 1] + noise * rng.normal(size=n)
    return torch.from_numpy(X - 0.5), torch.from_numpy(y)


def exponents(a: tuple[float, ...], b: tuple[float, ...]) -> Warp:
    return Warp(torch.full((len(a),), -0.5).double(), torch.tensor(a).double(), torch.tensor(b).double())


def botorchs(warp: Warp) -> torch.nn.Module:
    """BoTorch's transform of the same features, that lie between -0.5 and 0.5."""
    from botorch.models.transforms.input import Warp as Theirs

    d = len(warp.a)
    bounds = torch.stack([torch.full((d,), -0.5), torch.full((d,), 0.5)]).double()
    theirs = Theirs(d=d, indices=list(range(d)), bounds=bounds).double()
    theirs._set_concentration(1, warp.a)
    theirs._set_concentration(0, warp.b)
    return theirs


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 20.0), st.floats(0.05, 20.0))
def test_a_bend_is_botorchs_and_rises(seed: int, a: float, b: float) -> None:
    warp = exponents((a, 1.0), (b, 1.0))
    X = torch.from_numpy(np.sort(np.random.default_rng(seed).random((30, 2)), axis=0)) - 0.5
    found = warp(X)
    assert torch.allclose(found, botorchs(warp)(X), atol=1e-9)
    assert bool((found.diff(dim=0) >= 0).all())
    assert torch.allclose(found[:, 1], X[:, 1] + 0.5, atol=1e-6)  # straight where both are one
    beyond = warp(torch.tensor([[-7.0, -7.0], [7.0, 7.0]]).double())
    ends = warp(torch.tensor([[-0.5, -0.5], [0.5, 0.5]]).double())
    assert torch.allclose(beyond, ends, atol=1e-9)


def test_the_belief_is_botorchs_under_the_same_numbers() -> None:
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from gpytorch.kernels import MaternKernel

    X, y = bent(25)
    held = FIT.fit(X, y)
    assert held.found is not None
    assert held.state is not None
    assert held.form == FIT.form
    warp, lengths = FIT.form.parts(torch.tensor(held.found.lengths).double())
    noise = torch.full_like(y, held.found.noise * held.standard.scale**2)
    kernel = MaternKernel(nu=2.5, ard_num_dims=2).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SingleTaskGP(
            X,
            y[:, None],
            noise[:, None],
            covar_module=kernel,
            outcome_transform=Standardize(1),
            input_transform=botorchs(warp),
        ).double()
    theirs.covar_module.lengthscale = lengths[None]
    theirs.mean_module.constant.data.fill_(held.state.mean)
    theirs.eval()
    at, _ = bent(40, 1)
    with torch.no_grad():
        told = theirs.posterior(at)
    mean, variance = held.mean_variance(at)
    assert torch.allclose(mean, told.mean[:, 0], atol=1e-6)
    assert torch.allclose(variance, told.variance[:, 0], rtol=1e-4, atol=1e-9)


def test_exponents_have_botorchs_prior_of_their_logarithms() -> None:
    theta = torch.tensor([0.1, -0.2, 0.5, -0.7, 0.3, 0.9, -3.0]).double()
    value, _ = fitting.log_prior(FIT.form, theta)
    mean, deviation = fitting.length_prior(2)
    normal = torch.distributions.Normal
    lengths = torch.distributions.LogNormal(mean, deviation).log_prob(theta[:2].exp()).sum()
    noise = torch.distributions.LogNormal(*fitting.NOISE_PRIOR).log_prob(theta[-1].exp())
    assert float(value) == pytest.approx(
        float(lengths + normal(0.0, math.sqrt(0.75)).log_prob(theta[2:6]).sum() + noise)
    )
    for start in fitting.prior_starts("warped", FIT.form):
        assert start.lengths[2:] == (1.0,) * 4


def test_a_bend_is_found_and_predicts_better() -> None:
    gains = []
    for seed in range(4):
        (X, y), (at, truth) = bent(45, seed), bent(200, 100 + seed, noise=0.0)
        held, plain = FIT.fit(X, y), replace(FIT, form=None, name="").fit(X, y)
        told = held.settings()
        assert told["exponents"][0] < 0.7  # steep at the low end
        assert len(told["lengths"]) == 2
        density = []
        for one in (held, plain):
            mean, deviation = one.mean_deviation(at)
            density.append(float(torch.distributions.Normal(mean, deviation).log_prob(truth).mean()))
        gains.append(density[0] - density[1])
    assert np.mean(gains) > 0.0


def layout(d: int = 2, **options: object) -> Layout:
    raw = np.random.default_rng(0).random((50, d)) ** 3
    blocks = (Block("numbers", options.get("kind", "numbers"), 0, d),)
    scaling = Scaling.over(raw)
    found = Layout.of(scaling, blocks, raw)
    assert torch.from_numpy(scaling.apply(raw)).amin(dim=0).tolist() == pytest.approx(list(found.lows))
    return found


def test_it_is_offered_where_a_few_numbers_have_ends_and_many_observations() -> None:
    assert "warped" in candidates(layout(), WARPED)
    assert "warped" not in candidates(layout(), WARPED - 1)
    assert "warped" not in candidates(layout(ADDITIVE + 1), WARPED)
    assert "warped" not in candidates(layout(kind="composition"), WARPED)
    assert "warped" not in candidates(Layout.plain(2), WARPED)  # nothing says where its features end
    raw = np.random.default_rng(1).random((9, 2))
    space = FeatureTable(("s", "t"), raw, "made up", scale=(np.full(2, 0.5), np.full(2, 0.3)))
    assert Layout.of(Scaling.of(space), (), raw).lows == ()


def test_the_evidence_weighs_it_and_says_so() -> None:
    X, y = bent(WARPED + 5)
    told = replace(layout(), lows=(-0.5, -0.5))
    model = Evidence(evaluations=40, again=10, starts=1, layout=told)
    mixture = model.fit(X, y)
    weights = mixture.settings()["all_weights"]
    assert weights["warped"] > weights["each"]
    left = json.loads(json.dumps(mixture.memory(), allow_nan=False))
    again = model.fit(X, y, memory=left)
    assert again.names == mixture.names
    part = mixture.settings()["components"]["warped"]
    assert "bent" in part["form"]
    fewer = model.fit(X[: WARPED - 1], y[: WARPED - 1], memory=left)  # observations were taken back
    assert "warped" not in fewer.names


def held_on(scaling: Scaling, raw: np.ndarray, a: float, b: float) -> GaussianPosterior:
    """A belief under a bend as steep as it may be."""
    X = torch.from_numpy(scaling.apply(raw))
    y = torch.sin(5.0 * X[:, 0]) + X[:, 1]
    least = (scaling.least - scaling.centre) / (scaling.spread * math.sqrt(12.0))  # type: ignore[operator]
    model = replace(FIT, form=Warped(tuple(least.tolist())))
    fit = model.fit(X, y)
    assert fit.found is not None
    found = replace(fit.found, lengths=(0.5, 0.8, a, 1.0, b, 1.0), noise=1e-3)
    state = fit.state_with(found)
    assert state is not None
    return replace(fit, found=found, state=state)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.05, 0.05), (0.05, 20.0), (20.0, 0.05), (3.0, 0.4)])
def test_a_pool_is_searched_by_bounds_under_a_bend(a: float, b: float) -> None:
    rng = np.random.default_rng(3)
    raw = np.vstack([rng.random((3000, 2)), [[0.0, 0.0], [1.0, 1.0]], 1e-7 * rng.random((200, 2))])
    pool = PoolRows(raw, Scaling.over(raw), np.zeros(len(raw), dtype=bool))
    held = held_on(pool.scaling, raw[rng.integers(len(raw), size=150)], a, b)
    tiler = Tiler.of(held, pool.scaling, subset=len(held.y))
    exact = held.mean_variance(pool.scaled(np.arange(500)))
    mean, variance = tiler.bound(raw[:500])
    assert np.allclose(held.standard.shift + held.standard.scale * mean, exact[0].numpy(), atol=1e-6)
    assert np.allclose(held.standard.scale**2 * variance, exact[1].numpy(), atol=1e-6)
    score = Improvement(float(held.y.max()))
    found = best_rows(held, pool, 20, score)
    means, deviations = held.mean_deviation(pool.scaled(np.arange(len(raw))))
    every = score(means[None], deviations[None], torch.ones(1).double()).numpy()
    assert np.allclose(np.sort(every)[-20:][::-1], found.score, rtol=1e-6, atol=1e-6)


def test_drawn_functions_follow_the_belief_under_a_bend() -> None:
    X, y = bent(25)
    held, at = FIT.fit(X, y), bent(5, 1)[0]
    values = torch.cat([Paths.drawn(held, 200, np.random.default_rng(seed))(at) for seed in range(20)])
    mean, covariance = held.joint(at)
    largest = float(covariance.diagonal().max())
    assert torch.allclose(values.mean(dim=0), mean, atol=4.0 * math.sqrt(largest / 4000))
    assert float((torch.cov(values.T) - covariance).abs().max()) < 0.15 * largest
