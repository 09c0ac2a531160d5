"""An exact Gaussian process: BoTorch's numbers, an answer to every input, and nobody else's state touched."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import InvalidInput
from discover.surrogate.covariance.forms import Radial
from discover.surrogate.gaussian.posterior import GaussianPosterior, root
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.threads import one_thread


def data(n: int = 25, d: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, d, generator=generator, dtype=torch.float64)
    y = 300 + 40 * torch.sin(5 * X[:, 0]) + torch.randn(n, generator=generator, dtype=torch.float64)
    return X, y


@pytest.mark.parametrize("lengths", ["one", "each"])
@pytest.mark.parametrize("kernel", ["matern", "rbf"])
@pytest.mark.parametrize("stated", [False, True])
def test_the_belief_is_that_of_the_same_botorch_model(kernel: str, lengths: str, stated: bool) -> None:
    X, y = data()
    noise = torch.full_like(y, math.nan)
    if stated:
        noise[::2] = 9.0
    posterior = GaussianProcess(kernel=kernel, lengths=lengths).fit(X, y, noise)  # type: ignore[arg-type]
    new = torch.rand(40, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    with torch.no_grad():
        theirs = posterior.model().posterior(new)
    mean, variance = posterior.mean_variance(new)
    joint_mean, covariance = posterior.joint(new)
    assert torch.allclose(mean, theirs.mean[:, 0], rtol=1e-8)
    assert torch.allclose(variance, theirs.variance[:, 0], rtol=1e-5)
    assert torch.allclose(joint_mean, mean, rtol=1e-10)
    assert torch.allclose(covariance, theirs.distribution.covariance_matrix, atol=1e-5 * float(variance.max()))
    assert torch.allclose(posterior.mean_deviation(new)[1].square(), variance)


@pytest.mark.parametrize("constant", [False, True])
def test_botorchs_model_keeps_the_scale_of_the_belief(constant: bool) -> None:
    """That of an earlier fit, and the size of values that do not tell their spread."""
    X, y = data()
    y = torch.full_like(y, 3.0) if constant else y
    model = GaussianProcess(keep=0.5)
    posterior = model.fit(X, y, memory=model.fit(X[:20], y[:20]).memory())
    assert any("kept" in note for note in posterior.notes)
    with torch.no_grad():
        theirs = posterior.model().posterior(X + 0.1)
    mean, variance = posterior.mean_variance(X + 0.1)
    assert torch.allclose(mean, theirs.mean[:, 0], rtol=1e-8)
    assert torch.allclose(variance, theirs.variance[:, 0], rtol=1e-5)


def test_a_form_without_a_name_is_refused() -> None:
    """A fit would be remembered, and told, as one of the kernel over all features."""
    X, y = data()
    with pytest.raises(InvalidInput, match="a form needs a name"):
        GaussianProcess(form=Radial.whole("matern", 5, each=True)).fit(X, y)


def test_chunks_change_nothing_but_memory() -> None:
    X, y = data()
    posterior = GaussianProcess().fit(X, y)
    small = replace(posterior, chunk=3)
    new = torch.rand(20, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for a, b in zip(posterior.mean_variance(new), small.mean_variance(new)):
        assert torch.allclose(a, b, rtol=1e-9)
    assert len(posterior.mean_variance(new[:0])[0]) == 0


def test_joint_draws_have_the_moments_of_the_belief() -> None:
    X, y = data(8)
    posterior = GaussianProcess().fit(X, y)
    new = torch.rand(3, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    draws = posterior.sample(new, 40_000, np.random.default_rng(0))
    mean, covariance = posterior.joint(new)
    spread = covariance.diagonal().sqrt()
    assert draws.shape == (40_000, 3)
    assert bool(((draws.mean(dim=0) - mean).abs() < 0.03 * spread).all())
    assert torch.allclose(torch.cov(draws.T), covariance, atol=0.05 * float(spread.max()) ** 2)


def assert_honest(posterior: GaussianPosterior, X: torch.Tensor) -> None:
    mean, deviation = posterior.mean_deviation(X)
    assert bool(torch.isfinite(mean).all())
    assert bool(torch.isfinite(deviation).all())
    assert bool((deviation > 0).all())
    assert not bool(torch.isnan(posterior.draw(X, torch.randn(4, len(X), dtype=torch.float64))).any())
    json.dumps(posterior.settings(), allow_nan=False)


@pytest.mark.parametrize("lengths", ["one", "each"])
@pytest.mark.parametrize("d", [1, 200])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_any_number_of_rows_and_features_is_answered(n: int, d: int, lengths: str) -> None:
    X, _ = data(n, d)
    assert_honest(GaussianProcess(lengths=lengths, evaluations=30).fit(X, X[:, 0] * 5 + 1), data(10, d, 7)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_any_scale_of_the_values_is_answered(scale: float) -> None:
    X, y = data()
    plain, scaled = GaussianProcess().fit(X, y), GaussianProcess().fit(X, y * scale)
    assert_honest(scaled, X)
    assert torch.allclose(scaled.mean_deviation(X)[0] / scale, plain.mean_deviation(X)[0], rtol=1e-6)


def test_duplicate_rows_with_exact_values_are_answered() -> None:
    X, y = data(6)
    X, y = X[[0] * 20 + [1, 2]], y[[0] * 20 + [1, 2]]
    assert_honest(GaussianProcess().fit(X, y, torch.zeros_like(y)), X)
    assert_honest(GaussianProcess().fit(torch.zeros_like(X), y), X)


@pytest.mark.parametrize("value", [0.0, 5.0, -1e8])
def test_identical_values_leave_a_band_and_say_so(value: float) -> None:
    X, _ = data(6)
    posterior = GaussianProcess().fit(X, torch.full((6,), value, dtype=torch.float64))
    assert_honest(posterior, data(10, 5, 3)[0])
    assert any("do not tell their spread" in note for note in posterior.notes)
    far = posterior.mean_deviation(X + 50.0)
    assert torch.allclose(far[0], torch.tensor(value, dtype=torch.float64))
    assert float(far[1].min()) > 0.1 * max(abs(value), 1.0)


def test_replicates_narrow_the_belief_as_the_stated_noise_says() -> None:
    X, y = data(12)
    noisy = GaussianProcess().fit(X, y, torch.full_like(y, 100.0))
    exact = GaussianProcess().fit(X, y, torch.full_like(y, 1e-6))
    assert float(exact.mean_deviation(X)[1].max()) < 0.1 * float(noisy.mean_deviation(X)[1].min())
    twice = replace_noise(noisy, X.repeat(8, 1), y.repeat(8))
    assert float(twice.mean_deviation(X)[1].max()) < float(noisy.mean_deviation(X)[1].max())


def replace_noise(_: GaussianPosterior, X: torch.Tensor, y: torch.Tensor) -> GaussianPosterior:
    return GaussianProcess().fit(X, y, torch.full_like(y, 100.0))


def test_the_last_step_of_the_ladder_is_the_mean_with_a_wide_band() -> None:
    X, y = data(10)
    mean_only = GaussianPosterior(X, y, Standard.of(y), torch.full_like(y, math.nan), None, None, 100)
    mean, deviation = mean_only.mean_deviation(X)
    assert torch.allclose(mean, y.mean())
    assert torch.allclose(deviation, y.std() * math.sqrt(1.1))
    assert_honest(mean_only, X)
    assert mean_only.memory() == {}
    with pytest.raises(InvalidInput):
        mean_only.model()


def test_a_warm_start_never_ends_lower_and_leaves_exact_json() -> None:
    X, y = data(30)
    cold = GaussianProcess().fit(X, y)
    memory = json.loads(json.dumps(cold.memory()))
    warm = GaussianProcess().fit(X, y, memory=memory)
    assert warm.found is not None
    assert cold.found is not None
    assert memory["lengths"] == list(cold.found.lengths)
    assert warm.found.objective >= cold.found.objective
    X2, y2 = data(31, seed=4)
    from_wrong = GaussianProcess().fit(X2, y2, memory={"kernel": "matern", "lengths": [1e4] * 5, "noise": 9.0})
    fresh = GaussianProcess().fit(X2, y2)
    assert from_wrong.found is not None
    assert fresh.found is not None
    assert from_wrong.found.objective >= fresh.found.objective


def test_many_observations_are_all_believed_though_few_set_the_hyperparameters() -> None:
    X, y = data(60)
    few, all_ = GaussianProcess(rows=20).fit(X, y), GaussianProcess().fit(X, y)
    assert few.notes == ("hyperparameters from 20 of 60 observations",)
    assert all_.notes == ()
    assert float((few.mean_deviation(X)[0] - y).abs().mean()) < 3.0
    assert len(few.y) == 60


def test_nothing_global_is_used_or_changed() -> None:
    X, y = data()
    torch.manual_seed(5)
    before, dtype, threads = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    posterior = GaussianProcess().fit(X, y)
    first = posterior.sample(X, 3, np.random.default_rng(1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert (torch.get_default_dtype(), torch.get_num_threads()) == (dtype, threads)
    torch.manual_seed(6)
    again = GaussianProcess().fit(X, y)
    assert again.found == posterior.found
    assert torch.equal(first, again.sample(X, 3, np.random.default_rng(1)))
    assert first.dtype == torch.float64


def test_a_fit_is_the_same_on_any_number_of_threads_and_gives_them_back() -> None:
    X, y = data(40)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(GaussianProcess().fit(X, y).found)
            assert torch.get_num_threads() == threads
        with one_thread():
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_what_cannot_be_fitted_is_refused_in_words() -> None:
    X, y = data(4)
    with pytest.raises(InvalidInput, match="values must be finite"):
        GaussianProcess().fit(X, y * math.nan)
    with pytest.raises(InvalidInput, match="features must be finite"):
        GaussianProcess().fit(X * math.inf, y)
    with pytest.raises(InvalidInput, match="do not belong together"):
        GaussianProcess().fit(X, y[:2])
    with pytest.raises(InvalidInput, match="nothing to fit"):
        GaussianProcess().fit(X[:0], y[:0])


def test_a_root_exists_for_singular_and_slightly_indefinite_covariances() -> None:
    ones = torch.ones(4, 4, dtype=torch.float64)
    assert torch.allclose(root(ones) @ root(ones).T, ones, atol=1e-6)
    wrong = ones - 0.1 * torch.eye(4, dtype=torch.float64)
    assert bool(torch.isfinite(root(wrong)).all())


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-2, 2), st.floats(-1e9, 1e9), st.sampled_from([0.0, 1e-9, 1.0, 1e9, math.nan])),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_is_told_is_answered(rows: list[tuple[int, float, float]]) -> None:
    X = torch.tensor([[float(r[0]), 1.0] for r in rows], dtype=torch.float64)
    y, noise = (torch.tensor([r[k] for r in rows], dtype=torch.float64) for k in (1, 2))
    assert_honest(
        GaussianProcess(evaluations=25).fit(X, y, noise), torch.tensor([[0.5, 1.0], [9.0, 2.0]], dtype=torch.float64)
    )
