"""Predictions from neighbours: those of the exact belief where all are neighbours, near it elsewhere, at any size."""

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
from discover.surrogate.belief import belief
from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.forms import Linear, Radial
from discover.surrogate.diagnostics import leave_one_out
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.gaussian import local_fit
from discover.surrogate.gaussian.local import LocalPosterior
from discover.surrogate.gaussian.neighbours import chunks, conditional, nearest, nearest_before
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.state import covariance_of
from discover.surrogate.local_diagnostics import leave_some_out, local
from tests.policy.policy_views import features_of, view_of


def data(n: int, d: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, d, generator=generator, dtype=torch.float64)
    y = (
        50.0
        + 8.0 * torch.sin(6.0 * X[:, 0]) * X[:, -1]
        + 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    )
    return X, y


def both(n: int, neighbours: int, d: int = 3) -> tuple[GaussianPosterior, LocalPosterior]:
    """The exact belief, and the same hyperparameters by so many neighbours."""
    exact = GaussianProcess(evaluations=30, starts=1).fit(*data(n, d))
    return exact, replace(local(exact), neighbours=neighbours)


def test_neighbours_are_those_of_a_full_search() -> None:
    A, B = data(40)[0], data(300, seed=1)[0]
    found = nearest(A, B, 12).sort(dim=1).values
    wanted = torch.cdist(A, B).topk(12, largest=False).indices.sort(dim=1).values
    assert torch.equal(found, wanted)
    groups = torch.arange(300) % 30
    own = torch.arange(40) % 30
    apart = nearest(A, B, 12, own, groups)
    assert bool((groups[apart] != own[:, None]).all())
    before, there = nearest_before(A, 5)
    assert there.sum(dim=1).tolist() == [min(i, 5) for i in range(40)]
    assert bool((before[there] < torch.arange(40)[:, None].expand(-1, 5)[there]).all())


@pytest.mark.parametrize("kernel", ["matern", "rbf"])
def test_a_conditional_is_that_of_the_whole_matrix(kernel: str) -> None:
    rows, near = data(7, seed=2)[0], torch.stack([data(9, seed=10 + i)[0] for i in range(7)])
    noise = torch.rand(7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1e-3
    told = conditional(kernel, rows, near, noise)  # type: ignore[arg-type]
    covariance = covariance_of(fitting.Hyperparameters(kernel, (1.0,), 0.0), 3)
    for i in range(7):
        K = covariance.across(near[i], near[i]) + torch.diag(noise[i])
        across = covariance.across(rows[i : i + 1], near[i])[0]
        weights = torch.linalg.solve(K, across)
        assert torch.allclose(told.weights[i], weights, atol=1e-7)
        assert float(told.variance[i]) == pytest.approx(1.0 - float(weights @ across), abs=1e-9)


def test_parts_cover_all_rows_once() -> None:
    seen = [i for part in chunks(5000, 96, 200) for i in range(part.start, part.stop)]
    assert seen == list(range(5000))
    assert list(chunks(0, 64, 3)) == []


def test_with_all_neighbours_but_one_it_is_the_exact_belief() -> None:
    exact, near = both(60, 60)
    X = data(25, seed=3)[0]
    for ours, theirs in zip(near.mean_deviation(X), exact.mean_deviation(X)):
        assert torch.allclose(ours, theirs, rtol=1e-2)  # the farthest of 60 is missing
    mean, covariance = near.joint(X)
    wanted_mean, wanted = exact.joint(X)
    assert torch.allclose(mean, wanted_mean, rtol=1e-2)
    scale = wanted.diagonal().sqrt()
    assert float(((covariance - wanted) / scale / scale[:, None]).abs().max()) < 0.05


def test_few_neighbours_come_near_the_exact_belief_and_more_come_nearer() -> None:
    X = data(200, seed=4)[0]
    exact, near = both(800, 64)
    mean, deviation = exact.mean_deviation(X)

    def off(k: int) -> float:
        return float(((replace(near, neighbours=k).mean_deviation(X)[0] - mean) / deviation).abs().mean())

    assert off(128) < off(32) < off(8)
    assert off(64) < 0.4
    wider = near.mean_deviation(X)[1] / deviation
    assert float(wider.min()) > 1.0 - 1e-6  # knowing less never makes a belief narrower
    assert float(wider.mean()) < 1.2


def test_joint_draws_have_the_moments_of_the_belief_and_the_correlations_of_the_exact_one() -> None:
    exact, near = both(500, 48)
    X = data(30, seed=5)[0]
    X[7] = X[3]
    mean, deviation = near.mean_deviation(X)
    joint_mean, covariance = near.joint(X)
    assert torch.allclose(joint_mean, mean)
    assert torch.allclose(covariance.diagonal().sqrt(), deviation)
    assert float(torch.linalg.eigvalsh(covariance).min()) > -1e-9 * float(covariance.diagonal().max())
    assert float(covariance[3, 7] / deviation[3] / deviation[7]) > 0.999
    wanted = exact.joint(X)[1]
    scale, theirs = deviation, wanted.diagonal().sqrt()
    difference = covariance / scale / scale[:, None] - wanted / theirs / theirs[:, None]
    assert float(difference.abs().max()) < 0.25
    draws = near.sample(X, 4000, np.random.default_rng(0))
    assert torch.allclose(draws.mean(dim=0), mean, atol=float(5 * deviation.max() / math.sqrt(4000)))
    assert torch.allclose(draws.std(dim=0), deviation, rtol=0.08)


def test_what_is_believed_of_a_row_does_not_depend_on_the_others() -> None:
    _, near = both(300, 32)
    X = data(50, seed=6)[0]
    whole = near.mean_deviation(X)
    for i in (0, 17, 49):
        for ours, one in zip(whole, near.mean_deviation(X[i : i + 1])):
            assert float(ours[i]) == pytest.approx(float(one[0]), rel=1e-9)


def test_beyond_the_threshold_a_fit_is_by_neighbours_and_says_so() -> None:
    X, y = data(400)
    model = GaussianProcess(exact=399)
    found = model.fit(X, y)
    assert isinstance(found, LocalPosterior)
    assert found.state is None
    assert found.components == (found,)
    assert found.weights == (1.0,)
    told = json.loads(json.dumps(found.settings(), allow_nan=False))
    assert told["neighbours"] == 64
    assert "400 observations" in told["notes"][0]
    assert isinstance(GaussianProcess(exact=400).fit(X, y).state, object)
    again = model.fit(X, y, memory=json.loads(json.dumps(found.memory())))
    assert isinstance(again, LocalPosterior)
    with pytest.raises(InvalidInput, match="too many"):
        found.model()
    truth = 50.0 + 8.0 * torch.sin(6.0 * data(200, seed=8)[0][:, 0]) * data(200, seed=8)[0][:, -1]
    mean, deviation = found.mean_deviation(data(200, seed=8)[0])
    assert float((mean - truth).square().mean().sqrt()) < 0.5
    assert float(((mean - truth).abs() < 2 * deviation).double().mean()) > 0.85
    assert math.sqrt(found.noise_variance) == pytest.approx(0.5, rel=0.25)


def test_the_gradient_of_the_search_is_that_of_differences() -> None:
    X, y = data(200)
    form = Radial.whole("matern", 3, each=True)
    found = fitting.Hyperparameters("matern", (0.6, 1.1, 0.9), 0.05)
    known = torch.full_like(y, math.nan)
    known[::3] = 0.02
    told = torch.arange(0, 200, 2)
    among = local_fit.Among.of(form, X, (y - 50.0) / 4.0, known, told, found)
    theta = torch.log(torch.tensor([*found.lengths, found.noise], dtype=torch.float64))
    _, slope = among.log_posterior(theta)
    for k in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[k] = 1e-5
        difference = (among.log_posterior(theta + step)[0] - among.log_posterior(theta - step)[0]) / 2e-5
        assert float(slope[k]) == pytest.approx(difference, rel=1e-4, abs=1e-4)


def test_the_search_sums_the_densities_of_values_given_their_neighbours() -> None:
    X, y = data(30)
    y = (y - 50.0) / 4.0
    form = Radial.whole("rbf", 3, each=False)
    found = fitting.Hyperparameters("rbf", (0.7,), 0.1)
    known = torch.full_like(y, math.nan)
    told = torch.arange(30)
    among = local_fit.Among.of(form, X, y, known, told, found)
    K = covariance_of(found, 3).across(X, X) + 0.1 * torch.eye(30, dtype=torch.float64)
    total = 0.0
    for i in range(30):  # 29 neighbours are all others
        rest = [j for j in range(30) if j != i]
        weights = torch.linalg.solve(K[rest][:, rest], K[rest, i])
        spread = torch.distributions.Normal(weights @ y[rest], (K[i, i] - weights @ K[rest, i]).sqrt())
        total += float(spread.log_prob(y[i]))
    theta = torch.log(torch.tensor([0.7, 0.1], dtype=torch.float64))
    assert among.log_posterior(theta)[0] - float(fitting.log_prior(form, theta)[0]) == pytest.approx(total, rel=1e-8)


def test_some_candidates_left_out_tell_what_all_of_them_do() -> None:
    X, y = data(500)
    exact = GaussianProcess(evaluations=30, starts=1).fit(X, y)
    rows = np.arange(500)
    rows[250:260] = rows[240:250]  # replicates leave together
    all_of_them = leave_one_out(exact, rows)
    some = leave_some_out(exact, rows, fitting.evenly(500, 300))
    assert 0 < some.candidates <= 200
    assert not set(exact.y[fitting.evenly(500, 300)].tolist()) & set(some.values.tolist())
    assert some.density_gain == pytest.approx(all_of_them.density_gain, abs=0.25)
    assert some.rank_correlation == pytest.approx(all_of_them.rank_correlation, abs=0.1)
    assert some.coverage == pytest.approx(0.9, abs=0.08)
    assert some.verdict.startswith("clearly better")


def test_noise_alone_is_no_better_than_the_mean_by_neighbours_too() -> None:
    X = data(500)[0]
    y = torch.randn(500, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = GaussianProcess(exact=100).fit(X, y)
    verdict = leave_some_out(found, np.arange(500), fitting.evenly(500, 100)).verdict
    assert "no better" in verdict or "not clearly" in verdict


@pytest.mark.parametrize("model", [GaussianProcess(exact=150), Evidence(exact=150)])
def test_a_campaign_of_many_observations_is_believed_by_neighbours(model: GaussianProcess | Evidence) -> None:
    view = view_of(features_of(260), list(range(200)))
    held = belief(view, model)
    found = held.posteriors["strength"]
    assert isinstance(found, LocalPosterior)
    assert held.diagnostics["strength"].rank_correlation > 0.9
    json.dumps(dict(held.learned), allow_nan=False)
    assert not any(part.state for part in found.components)


@pytest.mark.parametrize("model", [GaussianProcess(exact=100, keep=0.5), Evidence(exact=100, keep=0.5)])
def test_what_it_is_worth_is_told_under_kept_hyperparameters_too(model: GaussianProcess | Evidence) -> None:
    first = belief(view_of(features_of(260), list(range(200))), model)
    memory = json.loads(json.dumps({"surrogate": {"strength": first.posteriors["strength"].memory()}}))
    held = belief(replace(view_of(features_of(260), list(range(220))), memory=memory), model)
    assert 0 < held.posteriors["strength"].components[0].fitted < 220
    assert held.diagnostics["strength"].rank_correlation > 0.9
    assert held.diagnostics["strength"].verdict == first.diagnostics["strength"].verdict


def test_hyperparameters_are_kept_while_observations_have_hardly_grown() -> None:
    X, y = data(320)
    model = GaussianProcess(exact=100, keep=0.1)
    first = model.fit(X[:300], y[:300])
    again = model.fit(X, y, memory=json.loads(json.dumps(first.memory())))
    assert isinstance(first, LocalPosterior)
    assert isinstance(again, LocalPosterior)
    assert first.found.memory() == again.found.memory()  # type: ignore[union-attr]
    assert (again.standard, again.constant) == (first.standard, first.constant)
    json.dumps(again.settings(), allow_nan=False)
    assert "kept from 300 of 320" in again.notes[1]
    assert model.fit(X, y, memory=replace(first, fitted=200).memory()).found != first.found


def test_one_kernel_over_some_columns_is_by_neighbours_in_these() -> None:
    X, y = data(300, 4)
    form = Radial.over("matern", (0, 3), each=True, width=4)
    found = GaussianProcess(exact=100, form=form, name="two columns").fit(X, y)
    moved = X[:20].clone()
    moved[:, 1:3] = 7.0
    for ours, other in zip(found.mean_deviation(X[:20]), found.mean_deviation(moved)):
        assert torch.allclose(ours, other)
    assert len(found.found.lengths) == 2  # type: ignore[union-attr]
    assert found.memory()["kernel"] == "two columns"
    plane = GaussianProcess(exact=100, form=Linear((0, 1)), name="plane").fit(X, y)
    assert "in place of linear" in plane.notes[1]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 40),
    copies=st.integers(1, 12),
    scale=st.integers(-12, 12),
    flat=st.booleans(),
    stated=st.sampled_from([math.nan, 0.0, 1e-200, 1e12]),
    seed=st.integers(0, 9),
)
def test_nothing_that_is_told_breaks_it(n: int, copies: int, scale: int, flat: bool, stated: float, seed: int) -> None:
    X, y = data(n, 2, seed)
    X, y = X.repeat(copies, 1), (y.repeat(copies) * 10.0**scale if not flat else torch.full((n * copies,), 0.1))
    y = y.double()
    noise = torch.full_like(y, stated * 10.0 ** (2 * scale) if math.isfinite(stated) else math.nan)
    found = GaussianProcess(exact=1, evaluations=5, starts=1).fit(X, y, noise)
    new = torch.cat([X[:3], data(5, 2, seed + 1)[0]])
    mean, deviation = found.mean_deviation(new)
    assert bool(torch.isfinite(mean).all())
    assert bool((deviation > 0).all())
    assert bool(torch.isfinite(found.joint(new)[1]).all())
    assert bool(torch.isfinite(found.sample(new, 4, np.random.default_rng(0))).all())
    json.dumps([found.settings(), found.memory()], allow_nan=False)
