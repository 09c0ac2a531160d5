"""Expected hypervolume: boxes against brute force, scores against BoTorch's closed form, batches against qLogNEHVI."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.acquisition.boxes import Boxes
from discover.acquisition.goal import Goal, Parts
from discover.acquisition.hypervolume import greedy_front, log_expected_hypervolume
from discover.acquisition.improvement import log_expected_gain
from discover.objective import Objective, Target
from discover.pareto import hypervolume
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess

TWO = Objective([Target("a"), Target("b", "minimize")])


def goal_of(objective: Objective, spans: Sequence[float], reference: Sequence[float]) -> Goal:
    scales = dict.fromkeys(objective.names, 1.0)
    return Goal(objective, scales, (), tuple(0.0 for _ in spans), tuple(spans), tuple(reference))


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_boxes_are_what_no_point_dominates(seed: int, k: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    points = np.round(generator.normal(0.5, 1.0, size=(2, n, k)), 1)
    counts = generator.random((2, n)) < 0.8
    boxes = Boxes.whole(2, k)
    for i in range(n):
        boxes = boxes.without(torch.from_numpy(points[:, i]), torch.from_numpy(counts[:, i]))
    assert bool((boxes.low < boxes.high).all())
    new = np.round(generator.normal(1.0, 1.0, size=(2, 5, k)), 1)
    gains = boxes.log_gains(torch.from_numpy(new), torch.zeros(2, 5, dtype=torch.float64)).exp().numpy()
    for m in range(5):
        told = []
        for draw in range(2):
            known = points[draw][counts[draw]]
            both = np.vstack([known, new[draw, m]])
            told.append(hypervolume(both, np.zeros(k)) - hypervolume(known, np.zeros(k)))
        assert gains[m] == pytest.approx(np.mean(told), abs=1e-4)


def front_and_marginals(k: int = 2, m: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(k)
    front = torch.rand(6, k, generator=generator, dtype=torch.float64)
    mean = torch.rand(m, k, generator=generator, dtype=torch.float64)
    return front, mean, 0.05 + 0.3 * torch.rand(m, k, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("k", [2, 3])
def test_the_score_is_botorchs_analytic_expected_hypervolume_improvement(k: int) -> None:
    from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.posteriors import GPyTorchPosterior
    from botorch.utils.multi_objective.box_decompositions import NondominatedPartitioning
    from gpytorch.distributions import MultitaskMultivariateNormal

    front, mean, deviation = front_and_marginals(k)
    reference = torch.zeros(k, dtype=torch.float64)

    class Model(GenericDeterministicModel):
        def posterior(self, X: torch.Tensor, *_: object, **__: object) -> GPyTorchPosterior:
            places = X[:, 0, 0].long()
            variance = torch.diag_embed(deviation[places].square())
            return GPyTorchPosterior(MultitaskMultivariateNormal(mean[places][:, None], variance))

    function = ExpectedHypervolumeImprovement(
        Model(lambda X: X, num_outputs=k), reference.tolist(), NondominatedPartitioning(reference, front)
    )
    theirs = function(torch.arange(len(mean), dtype=torch.float64)[:, None, None])
    objective = Objective([Target(f"t{i}") for i in range(k)])
    goal = goal_of(objective, [1.0] * k, [0.0] * k)
    marginals: dict[str, Parts] = {f"t{i}": [(1.0, mean[:, i], deviation[:, i])] for i in range(k)}
    ours = log_expected_hypervolume(goal, marginals, front).exp()
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-12)


def test_mixtures_matches_minima_spans_and_references_are_averaged_as_draws_are() -> None:
    objective = Objective(
        [Target("a", "minimize"), Target("b", "match", band=(0.2, 0.4)), Target("c", "match", value=0.5)]
    )
    goal = goal_of(objective, [0.5, 2.0, 1.0], [-1.0, -0.8, -0.9])
    _, mean, deviation = front_and_marginals(3, 6)
    front = torch.tensor([[0.6, 0.2, 0.5], [1.2, 0.3, 0.1]], dtype=torch.float64)
    marginals = {
        name: [(0.3, mean[:, i], deviation[:, i]), (0.7, mean[:, i] + 0.2, 0.5 * deviation[:, i])]
        for i, name in enumerate("abc")
    }
    ours = log_expected_hypervolume(goal, marginals, front).exp()
    generator = torch.Generator().manual_seed(0)
    draws = 40_000
    values = {}
    for name, parts in marginals.items():
        pick = torch.rand(draws, 6, generator=generator) < 0.3
        normal = torch.randn(draws, 6, generator=generator, dtype=torch.float64)
        values[name] = torch.where(pick, parts[0][1] + parts[0][2] * normal, parts[1][1] + parts[1][2] * normal)
    boxes = Boxes.whole(1, 3)
    for point in front:
        boxes = boxes.without(point[None], torch.ones(1, dtype=torch.bool))
    points = goal.above_reference(values)
    for m in range(6):
        gains = boxes.log_gains(points[:, m][None], torch.zeros(1, draws, dtype=torch.float64)).exp()
        assert float(ours[m]) == pytest.approx(float(gains.mean()), abs=5 * float(gains.std()) / math.sqrt(draws))


@pytest.mark.parametrize(
    "target",
    [Target("y"), Target("y", "minimize"), Target("y", "match", value=1.0), Target("y", "match", band=(0.5, 2))],
)
@pytest.mark.parametrize("level", [-4.0, -0.5, -1e-3, 0.0, 1.0])
def test_the_expected_excess_is_the_integral(target: Target, level: float) -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    means = [-3.0, 0.0, 0.9, 2.5]
    reach = [0.5 + level, 1.0 + level, 1.0 - level, 2.0 - level]
    for mean in means:

        def density(y: float, mean: float = mean) -> float:
            gain = max(0.0, float(target.utility(np.float64(y))) - level)
            return gain * float(norm.pdf(y, mean, 0.7))

        whole = quad(density, mean - 8, mean + 8, points=sorted({0.5, 1.0, 2.0, mean, *reach}), limit=400)[0]
        one, wide = torch.tensor([mean], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
        assert float(log_expected_gain(target, one, wide, level).exp()) == pytest.approx(whole, rel=1e-5, abs=1e-9)


def test_a_hopeless_candidate_still_has_an_order() -> None:
    goal = goal_of(Objective([Target("a", "match", value=0.0), Target("b")]), [1.0, 1.0], [-1.0, 0.0])
    mean = torch.tensor([30.0, 60.0, 1e6], dtype=torch.float64)
    ones = torch.ones(3, dtype=torch.float64)
    scores = log_expected_hypervolume(goal, {"a": [(1.0, mean, ones)], "b": [(1.0, -mean, ones)]}, torch.zeros(0, 2))
    assert bool(torch.isfinite(scores).all())
    assert scores.argsort(descending=True).tolist() == [0, 1, 2]


Case = tuple[Goal, dict[str, GaussianPosterior], torch.Tensor, torch.Tensor]


def case(objective: Objective = TWO, noise: float = 0.1) -> Case:
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(14, 2, generator=generator, dtype=torch.float64)
    shake = noise * torch.randn(14, 2, generator=generator, dtype=torch.float64)
    a = torch.sin(5 * X[:, 0]) + X[:, 1] + shake[:, 0]
    b = torch.cos(3 * X[:, 0]) + (X[:, 1] - 0.4).square() + shake[:, 1]
    posteriors = {"a": GaussianProcess().fit(X, a), "b": GaussianProcess().fit(X, b)}
    goal = goal_of(objective, [1.0, 1.0], [0.0, -1.2])
    return goal, posteriors, torch.rand(40, 2, generator=generator, dtype=torch.float64), X


def test_each_step_is_botorchs_noisy_expected_hypervolume_improvement() -> None:
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
    from botorch.models import ModelListGP
    from botorch.sampling.normal import SobolQMCNormalSampler

    goal, posteriors, pool, X = case()
    pending = pool[-2:]
    pool = pool[:-2]
    picks = greedy_front(goal, posteriors, pool, torch.cat([X, pending]), 2, draws=1024, seed=1)
    model = ModelListGP(*(posteriors[name].model() for name in "ab"))
    turned = GenericMCMultiOutputObjective(lambda Y, X=None: Y * torch.tensor([1.0, -1.0], dtype=torch.float64))
    for step, pick in enumerate(picks):
        chosen = torch.cat([pending, pool[[p.position for p in picks[:step]]]])
        function = qLogNoisyExpectedHypervolumeImprovement(
            model, list(goal.reference), X, sampler=SobolQMCNormalSampler(torch.Size([64]), seed=step),
            objective=turned, X_pending=chosen, prune_baseline=False, cache_root=False,
        )  # fmt: skip
        rivals = [i for i in range(0, len(pool), 3) if i not in {p.position for p in picks[:step]}]
        with torch.no_grad():
            theirs = function(pool[[pick.position, *rivals], None])
        assert pick.value == pytest.approx(float(theirs[0]), abs=0.3)
        assert float(theirs[0]) > float(theirs[1:].max()) - 0.3


def test_the_lazy_batch_is_the_one_of_working_out_every_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    from discover.acquisition import hypervolume as module

    goal, posteriors, pool, X = case()
    monkeypatch.setattr(module, "BLOCK", 3)
    lazily = greedy_front(goal, posteriors, pool, X, 30, draws=64, seed=2)
    monkeypatch.setattr(module, "BLOCK", 1000)
    monkeypatch.setattr(module, "_leader", _by_all)
    wholly = greedy_front(goal, posteriors, pool, X, 30, draws=64, seed=2)
    assert [p.position for p in lazily] == [p.position for p in wholly]
    assert [p.value for p in lazily] == pytest.approx([p.value for p in wholly])


def _by_all(boxes, points, softly, lowered, gains, fresh, open_):  # type: ignore[no-untyped-def]
    gains[:] = boxes.log_gains(points[:, : len(gains)], softly[:, : len(gains)]) - lowered
    return int(torch.where(open_, gains, -math.inf).argmax())


def test_rows_differ_limits_hold_a_seed_repeats_and_costs_count() -> None:
    goal, posteriors, pool, X = case()
    once, again = (greedy_front(goal, posteriors, pool, X, 100, draws=32, seed=5) for _ in range(2))
    assert once == again
    assert sorted(pick.position for pick in once) == list(range(40))
    assert all(math.isfinite(pick.value) for pick in once)

    def even(picked: Sequence[int]) -> torch.Tensor:
        return (torch.arange(40) % 2 == 0) if len(picked) < 4 else torch.zeros(40, dtype=torch.bool)

    limited = greedy_front(goal, posteriors, pool, X, 10, draws=32, seed=5, allowed=even)
    assert len(limited) == 4
    assert all(pick.position % 2 == 0 for pick in limited)
    costs = torch.zeros(40, dtype=torch.float64)
    costs[once[0].position] = 50.0
    dear = greedy_front(goal, posteriors, pool, X, 40, draws=32, seed=5, log_prices=lambda _: costs)
    assert dear[-1].position == once[0].position


def test_a_batch_keeps_to_where_constraints_are_kept() -> None:
    objective = Objective([Target("a"), Target("b", "minimize")], constraints=["a <= 1.0"])
    free, posteriors, pool, X = case(noise=0.0)
    bound = goal_of(objective, [1.0, 1.0], [0.0, -1.2])
    mean = posteriors["a"].mean_deviation(pool)[0]
    without, within = (
        mean[[p.position for p in greedy_front(goal, posteriors, pool, X, 3, draws=256, seed=0)]]
        for goal in (free, bound)
    )
    assert bool((within <= 1.1).all())
    assert float(without.max()) > 1.1


def test_a_batch_of_384_is_384_different_rows() -> None:
    goal, posteriors, _, X = case()
    pool = torch.rand(400, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    picks = greedy_front(goal, posteriors, pool, X, 384, draws=32, seed=0)
    assert len({pick.position for pick in picks}) == 384
    assert all(math.isfinite(pick.value) for pick in picks)
