"""A belief on another scale tells means, deviations and draws in the target's unit, and expected improvement is right."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from discover.acquisition.improvement import log_expected_improvement
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.weighted import Weighted
from discover.surrogate.targets.transformed import Transformed, unit_moments
from discover.surrogate.targets.transforms import Affine, Logarithm, YeoJohnson, normal_scores


def data(n: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    return X, (4 * torch.sin(5 * X[:, 0]) + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)).exp()


def believed() -> tuple[Transformed, torch.Tensor]:
    X, y = data()
    scale = Logarithm(1.0, float(y.max()))
    latent = GaussianProcess().fit(X, scale.apply(y))
    new = torch.rand(30, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Transformed(latent, scale, y, Standard.of(y)), new


def test_moments_are_those_of_the_log_normal_where_the_map_is_a_logarithm() -> None:
    mean, deviation = torch.linspace(-3, 1, 9, dtype=torch.float64), torch.full((9,), 0.4, dtype=torch.float64)
    got, wide = unit_moments(Logarithm(1.0, 1e9), mean, deviation)
    exact = (mean + 0.08).exp()
    assert torch.allclose(got, exact, rtol=1e-8)
    assert torch.allclose(wide, exact * math.sqrt(math.exp(0.16) - 1), rtol=1e-8)
    plain, same = unit_moments(Affine(5.0, 2.0), mean, deviation)
    assert torch.allclose(plain, 5 + 2 * mean)
    assert torch.allclose(same, 2 * deviation)


def test_the_noise_is_told_in_the_unit_at_the_middle_of_the_observations() -> None:
    posterior, _ = believed()
    inner = posterior.latent.noise_variance
    assert posterior.noise_variance == pytest.approx(inner * float(posterior.y.median()) ** 2)
    straight = Transformed(posterior.latent, Affine(5.0, 3.0), posterior.y, posterior.standard)
    assert straight.noise_variance == pytest.approx(9.0 * inner)


def test_moments_agree_with_many_draws_for_every_map() -> None:
    y = np.exp(np.random.default_rng(0).normal(size=60))
    scores = normal_scores(y)
    assert scores is not None
    normal = torch.from_numpy(np.random.default_rng(1).normal(size=400_000))
    for transform in (YeoJohnson(-0.5, 1.0, 2.0, 0.0).reaching(y), YeoJohnson(2.5, 1.0, 2.0, 0.0).reaching(y), scores):
        mean, deviation = unit_moments(
            transform, torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
        )
        drawn = transform.invert(0.3 + 0.7 * normal)
        assert float(mean) == pytest.approx(float(drawn.mean()), rel=0.01)
        assert float(deviation) == pytest.approx(float(drawn.std()), rel=0.02)


def test_moments_of_a_mixture_are_those_of_its_components_and_not_of_one_normal_in_its_place() -> None:
    X, y = data()
    scale = Logarithm(1.0, float(y.max()))
    parts = tuple(
        GaussianProcess(kernel=kernel).fit(X[:k], scale.apply(y[:k])) for kernel, k in (("rbf", 20), ("matern", 6))
    )  # type: ignore[arg-type]
    mixture = Transformed(Weighted(parts, (0.5, 0.5), ("a", "b")), scale, y, Standard.of(y))
    new = torch.rand(30, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mean, deviation = mixture.mean_deviation(new)
    told = [unit_moments(scale, *part.mean_deviation(new)) for part in parts]
    expected = 0.5 * (told[0][0] + told[1][0])
    assert torch.allclose(mean, expected)
    second = 0.5 * sum((s.square() + m.square() for m, s in told), torch.zeros(()))
    assert torch.allclose(deviation, (second - expected.square()).sqrt())
    matched, _ = unit_moments(scale, *mixture.latent.mean_deviation(new))
    assert not torch.allclose(mean, matched, rtol=0.02)
    joint_mean, covariance = mixture.joint(new)
    assert torch.allclose(joint_mean, mean)
    assert torch.allclose(covariance.diagonal().sqrt(), deviation)


def test_draws_mean_and_covariance_tell_the_same_belief() -> None:
    posterior, new = believed()
    some = new[:5]
    draws = posterior.sample(some, 100_000, np.random.default_rng(0))
    mean, deviation = posterior.mean_deviation(some)
    joint_mean, covariance = posterior.joint(some)
    assert torch.allclose(draws.mean(dim=0), mean, rtol=0.02)
    assert torch.allclose(draws.std(dim=0), deviation, rtol=0.05)
    assert torch.allclose(joint_mean, mean, rtol=1e-6)
    assert torch.allclose(covariance.diagonal().sqrt(), deviation, rtol=1e-6)
    assert float(torch.linalg.eigvalsh(covariance).min()) > -1e-8 * float(covariance.max())
    assert torch.allclose(posterior.mean_variance(some)[1], deviation.square())


def test_improvement_over_the_best_value_seen_is_that_of_the_new_scale_times_its_slope() -> None:
    posterior, new = believed()
    best = posterior.y.max()
    mean, deviation = posterior.latent.mean_deviation(new)
    incumbent = float(posterior.transform.apply(best))
    slope = float(-posterior.transform.log_slope(best))
    closed = log_expected_improvement(mean, deviation, incumbent) + slope
    draws = posterior.transform.invert(
        mean + deviation * torch.from_numpy(np.random.default_rng(0).normal(size=(400_000, 1)))
    )
    sampled = (draws - best).clamp_min(0.0).mean(dim=0)
    seen = sampled > 1e-3 * sampled.max()
    assert int(seen.sum()) >= 5
    assert torch.allclose(closed.exp()[seen], sampled[seen], rtol=0.1)


def test_it_offers_what_a_posterior_does_and_its_record_is_json() -> None:
    posterior, new = believed()
    assert posterior.weights == (1.0,)
    assert len(posterior.components) == 1
    assert torch.equal(posterior.components[0].mean_deviation(new)[0], posterior.mean_deviation(new)[0])
    assert posterior.noise_variance > 0
    assert len(posterior.mean_deviation(new[:0])[0]) == 0
    assert json.loads(json.dumps(posterior.settings(), allow_nan=False))["transform"]["kind"] == "logarithm"
    assert posterior.memory() == posterior.latent.memory()
