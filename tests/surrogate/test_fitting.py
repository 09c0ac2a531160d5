"""The fit's objective is GPyTorch's, and its search is bounded, repeatable and no worse for a warm start."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.covariance.forms import Radial


def data(n: int = 20, d: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, d, generator=generator, dtype=torch.float64)
    y = torch.sin(6 * X[:, 0]) + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
    return X, (y - y.mean()) / y.std()


def ours(kernel: str, X: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor, noise: float) -> float:
    form = Radial.whole(kernel, X.shape[1], each=len(lengths) > 1)  # type: ignore[arg-type]
    theta = torch.cat([lengths.log(), torch.tensor([math.log(noise)], dtype=torch.float64)])
    return fitting.log_posterior(form.prepared(X), form, theta, torch.full_like(y, math.nan), y)[0]


@pytest.mark.parametrize("kernel", ["matern", "rbf"])
def test_the_objective_is_that_of_botorchs_default_model(kernel: str) -> None:
    from botorch.models import SingleTaskGP
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
    from gpytorch.mlls import ExactMarginalLogLikelihood

    X, y = data()
    lengths, noise = torch.tensor([0.3, 0.9, 2.0, 0.5], dtype=torch.float64), 0.03
    covariance = get_covar_module_with_dim_scaled_prior(ard_num_dims=4, use_rbf_kernel=kernel == "rbf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(X, y[:, None], covar_module=covariance, outcome_transform=None).double()
    covariance.lengthscale = lengths[None]
    model.likelihood.noise = noise
    K = covariance(X).to_dense().detach() + noise * torch.eye(len(y), dtype=torch.float64)
    model.mean_module.constant.data.fill_(float(fitting.generalised_mean(torch.linalg.cholesky(K), y)))
    model.train()
    theirs = ExactMarginalLogLikelihood(model.likelihood, model)(model(X), y) * len(y)
    assert ours(kernel, X, y, lengths, noise) == pytest.approx(
        float(theirs.detach()), rel=1e-6
    )  # its priors keep their constants in single precision


@pytest.mark.parametrize("each", [False, True])
def test_a_fit_ends_where_no_step_inside_the_bounds_is_better(each: bool) -> None:
    X, y = data(30)
    known = torch.full_like(y, math.nan)
    form = Radial.whole("matern", 4, each=each)
    start = fitting.prior_starts("matern", form)[1]
    found = fitting.optimise(form, X, y, known, start=start, evaluations=200)
    lengths = torch.tensor(found.lengths, dtype=torch.float64)
    assert len(lengths) == (4 if each else 1)
    best = ours("matern", X, y, lengths, found.noise)
    assert found.objective == pytest.approx(best, rel=1e-8)
    for factor in (0.9, 1.1):
        assert ours("matern", X, y, lengths * factor, found.noise) < best
        if fitting.NOISE_BOUNDS[0] < found.noise * factor:
            assert ours("matern", X, y, lengths, found.noise * factor) < best


def test_hyperparameters_stay_inside_their_bounds_and_evaluations_are_counted() -> None:
    X, y = data(8)
    start = Hyperparameters("rbf", (1e9,), 1e9)
    form = Radial.whole("rbf", 4, each=False)
    found = fitting.optimise(form, X, y, torch.full_like(y, math.nan), start=start, evaluations=3)
    assert fitting.LENGTH_BOUNDS[0] * 0.999 <= found.lengths[0] <= fitting.LENGTH_BOUNDS[1] * 1.001
    assert fitting.NOISE_BOUNDS[0] * 0.999 <= found.noise <= fitting.NOISE_BOUNDS[1] * 1.001


def test_memory_is_exact_and_only_taken_where_it_fits() -> None:
    import json

    kept = Hyperparameters("matern", (0.1 + 0.2, 1 / 3), 2 / 7)
    memory = json.loads(json.dumps(kept.memory()))
    again = fitting.remembered(memory, "matern", 2)
    assert again is not None
    assert (again.lengths, again.noise) == (kept.lengths, kept.noise)
    assert fitting.remembered(memory, "rbf", 2) is None
    assert fitting.remembered(memory, "matern", 3) is None
    assert fitting.remembered({**memory, "noise": -1.0}, "matern", 2) is None
    assert fitting.remembered({}, "matern", 2) is None


def test_a_singular_covariance_takes_jitter_and_a_hopeless_one_says_so() -> None:
    factor, jitter = fitting.cholesky(torch.ones(3, 3, dtype=torch.float64))
    assert jitter > 0
    assert torch.allclose(factor @ factor.T, torch.ones(3, 3, dtype=torch.float64), atol=2 * jitter)
    with pytest.raises(fitting.NotDefinite):
        fitting.cholesky(-torch.eye(3, dtype=torch.float64))


def test_the_ladder_takes_the_first_step_that_holds_and_records_those_that_broke() -> None:
    def breaks() -> str:
        raise fitting.NotDefinite("not positive definite")

    answer, notes = fitting.climb([("A", breaks), ("B", lambda: "good"), ("C", lambda: "never reached")])
    assert answer == "good"
    assert notes == ["A failed: not positive definite"]
    answer, notes = fitting.climb([("A", breaks), ("the mean", lambda: "mean")])
    assert answer == "mean"
    assert notes == ["A failed: not positive definite", "fell back to the mean"]
