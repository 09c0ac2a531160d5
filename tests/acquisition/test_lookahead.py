"""What an observation would change elsewhere: against brute force, simulation, and BoTorch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from discover.acquisition.integrated import IntegratedVariance, falls
from discover.acquisition.knowledge import KnowledgeGradient, envelope, expected_rise
from discover.acquisition.lookahead import Known, greedily, observe
from discover.acquisition.search import Hits, HitsAhead
from tests.acquisition.test_sweep import posterior

NOTHING = torch.empty(0, 2, dtype=torch.float64)


def held(seed=0, n=12, noise=1e-2):
    rng = np.random.default_rng(seed)
    data = rng.random((n, 2))
    return posterior(data, np.sin(5 * data[:, 0]) + data[:, 1], length=0.5, noise=noise), rng


def known_of(seed=0, m=6, r=9, noise=None):
    belief, rng = held(seed)
    X, R = (torch.from_numpy(rng.random((k, 2))) for k in (m, r))
    return belief, X, R, Known.of(belief, X, R, NOTHING, belief.noise_variance if noise is None else noise)


def places(m):
    return torch.arange(m)


def test_an_observation_changes_the_covariance_as_conditioning_does():
    _, _, _, known = known_of()
    whole = known.covariance.clone()
    observe(known.covariance, 2, 0.1)
    observe(known.covariance, 5, 0.1)
    K = whole[[2, 5]][:, [2, 5]] + 0.1 * torch.eye(2, dtype=torch.float64)
    expected = whole - whole[:, [2, 5]] @ torch.linalg.solve(K, whole[[2, 5]])
    torch.testing.assert_close(known.covariance, expected)


def test_integrated_variance_is_that_of_botorch():
    from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance

    belief, X, R, known = known_of(seed=3)
    model = belief.model()
    before = float(known.covariance.diagonal()[known.m :].mean())
    theirs = qNegIntegratedPosteriorVariance(model, R)
    noise = float(model.likelihood.noise.mean()) * belief.standard.scale**2
    ours = IntegratedVariance()(Known(known.mean, known.covariance, noise, known.m), places(known.m))
    for place in range(known.m):
        with torch.no_grad():
            left = -float(theirs(X[place : place + 1]))
        assert float(ours[place]) == pytest.approx(before - left, rel=2e-3)


def test_the_fall_over_a_pool_in_chunks_is_that_of_the_whole_and_greed_adds_up():
    belief, X, R, known = known_of(seed=1, m=40)
    noise = belief.noise_variance
    first = IntegratedVariance()(known, places(40))
    torch.testing.assert_close(falls(belief, X, R, noise), first)
    before = float(known.covariance.diagonal()[40:].mean())
    chosen = greedily(known, IntegratedVariance(), 5)
    after = float(known.covariance.diagonal()[40:].mean())
    assert sum(value for _, value in chosen) == pytest.approx(before - after)
    assert chosen[0] == (int(first.argmax()), pytest.approx(float(first.max())))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0, 1, 6]))
def test_the_expected_rise_is_the_integral_of_the_highest_line(seed, r, digits):
    rng = np.random.default_rng(seed)
    means, slopes = np.round(rng.normal(size=r), digits), np.round(rng.normal(size=r), digits)
    z = np.linspace(-12, 12, 48_001)
    highest = (means[:, None] + slopes[:, None] * z).max(axis=0)
    expected = np.trapezoid(highest * norm.pdf(z), z) - means.max()
    assert expected_rise(means, slopes) == pytest.approx(expected, abs=1e-6)
    kept, crossings = envelope(means, slopes)
    assert (np.diff(slopes[kept]) > 0).all()
    assert (np.diff(crossings) > 0).all()


def test_a_tiny_rise_is_not_lost():
    rise = expected_rise(np.array([0.0, -30.0]), np.array([0.0, 1.0]))
    assert 0.0 < rise < 1e-190
    assert expected_rise(np.array([1.0, 0.0]), np.array([2.0, 2.0])) == 0.0


def test_the_knowledge_gradient_is_what_refits_find_on_average():
    belief, X, R, known = known_of(seed=5)
    ours = KnowledgeGradient()(known, places(known.m))
    everything = torch.cat([X, R])
    mean = belief.mean_variance(everything)[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    for place in range(known.m):
        _, covariance = belief.joint(everything)
        deviation = math.sqrt(float(covariance[place, place]) + belief.noise_variance)
        best = [float((mean + covariance[place] / deviation * z).max()) for z in nodes]
        expected = float(np.dot(weights / weights.sum(), best)) - float(mean.max())
        assert float(ours[place]) == pytest.approx(expected, abs=2e-3)


def test_the_knowledge_gradient_is_that_of_botorch_on_a_listed_pool():
    from botorch.acquisition.knowledge_gradient import qKnowledgeGradient
    from botorch.sampling.normal import SobolQMCNormalSampler

    belief, X, _, known = known_of(seed=7, m=8, r=0)
    known = Known.of(belief, X, NOTHING, NOTHING, belief.noise_variance)
    fantasies = 256
    theirs = qKnowledgeGradient(
        belief.model(), num_fantasies=fantasies, sampler=SobolQMCNormalSampler(torch.Size([fantasies]), seed=0)
    )
    ours = KnowledgeGradient()(known, places(8)) + known.mean.max()
    with torch.no_grad():
        for place in range(8):
            model = theirs.model.fantasize(X[place : place + 1], theirs.sampler)
            found = model.posterior(X).mean[..., 0].amax(dim=-1).mean()
            assert float(ours[place]) == pytest.approx(float(found), abs=0.02)


def expected_hits(known, place, hits, left):
    """By a fine grid of outcomes, and the best of the rest one by one."""
    mean, covariance = known.mean.numpy(), known.covariance.numpy()
    deviation = math.sqrt(covariance[place, place] + known.noise)
    moves = covariance[place] / deviation
    after = np.sqrt(np.maximum(covariance.diagonal() - moves**2, 1e-18))

    def chance(means, deviations):
        return norm.cdf(hits.high, means, deviations) - norm.cdf(hits.low, means, deviations)

    z = np.linspace(-8, 8, 2001)
    total = np.zeros_like(z)
    for k, node in enumerate(z):
        chances = np.delete(chance(mean + node * moves, after), place)
        total[k] = np.sort(chances)[::-1][: left - 1].sum()
    own = chance(mean[place], math.sqrt(covariance[place, place]))
    return own + np.trapezoid(total * norm.pdf(z), z)


@pytest.mark.parametrize("hits", [Hits(low=1.0), Hits(low=0.2, high=0.9)])
@pytest.mark.parametrize("left", [1, 2, 6, 100])
def test_hits_ahead_are_those_that_every_outcome_promises(hits, left):
    _, _, _, known = known_of(seed=11)
    ours = HitsAhead(hits, left)(known, places(known.m))
    expected = [expected_hits(known, place, hits, left) for place in range(known.m)]
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0.02)


def test_with_one_experiment_left_the_likeliest_hit_is_taken_and_with_many_what_tells_most():
    """Twenty likely hits that stand or fall together, and one lonely one that is a little likelier."""
    n = 21
    mean = torch.full((n,), 0.0, dtype=torch.float64)
    mean[0] = 0.2
    covariance = torch.eye(n, dtype=torch.float64)
    covariance[1:, 1:] = 0.98
    covariance.fill_diagonal_(1.0)
    for left, lonely in ((1, True), (10, False)):
        known = Known(mean, covariance, 1e-4, n)
        chosen, _ = greedily(known, HitsAhead(Hits(low=0.5), left), 1)[0]
        assert (chosen == 0) is lonely


def test_a_batch_keeps_its_rules_divides_by_costs_and_ends_where_nothing_may_join():
    _, _, _, known = known_of(seed=2, m=10)
    groups = torch.arange(10) % 3

    def allowed(picked):
        return ~torch.isin(groups, groups[list(picked)])

    chosen = [place for place, _ in greedily(known, IntegratedVariance(), 10, allowed=allowed)]
    assert sorted(groups[chosen].tolist()) == [0, 1, 2]
    _, _, _, known = known_of(seed=2, m=10)
    costs = torch.ones(10, dtype=torch.float64)
    costs[int(IntegratedVariance()(known, places(10)).argmax())] = 1e6
    plain = greedily(known_of(seed=2, m=10)[3], IntegratedVariance(), 1)
    cheap = greedily(known, IntegratedVariance(), 1, prices=lambda _: costs)
    assert plain[0][0] != cheap[0][0]
