"""The joint batch against BoTorch's qLogNEI and qLogEI, and its promises."""

from __future__ import annotations

import math

import pytest
import torch
from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler

from discover.acquisition.batch import greedy_batch, joint_values
from discover.acquisition.goal import Goal
from discover.acquisition.improvement import log_expected_improvement
from discover.objective import Direction, Objective, Target
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.weighted import Weighted

DRAWS = 4096


def case(
    direction: Direction, noise: float, seed: int = 0
) -> tuple[Goal, GaussianPosterior, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(12, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(5 * X[:, 0]) + X[:, 1] + noise * torch.randn(12, generator=generator, dtype=torch.float64)
    posterior = GaussianProcess().fit(X, y)
    objective = Objective("y", direction)
    goal = Goal(objective, {"y": posterior.standard.scale}, spans=(posterior.standard.scale,))
    return goal, posterior, torch.rand(60, 2, generator=generator, dtype=torch.float64), X


def standardised(posterior: GaussianPosterior, sign: float) -> object:
    """BoTorch's model in the units of the goal: standardised values, large is good."""
    from dataclasses import replace

    from discover.surrogate.gaussian.standard import Standard

    scale = posterior.standard.scale
    y = sign * posterior.y / scale
    assert posterior.state is not None
    mean = posterior.standard.apply(posterior.y).mean()
    assert abs(float(mean)) < 1e-9
    state = replace(posterior.state, mean=sign * posterior.state.mean)
    return replace(posterior, y=y, standard=Standard(float(y.mean()), 1.0), state=state).model()


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_each_step_is_botorchs_noisy_expected_improvement(direction: Direction, sign: float, noise: float) -> None:
    goal, posterior, pool, X = case(direction, noise)
    pending = pool[-2:]
    pool = pool[:-2]
    picks = greedy_batch(goal, {"y": posterior}, pool, torch.cat([X, pending]), 3, draws=DRAWS, seed=1)
    model = standardised(posterior, sign)
    for step, pick in enumerate(picks):
        chosen = torch.cat([pending, pool[[p.position for p in picks[:step]]]])
        sampler = SobolQMCNormalSampler(torch.Size([DRAWS]), seed=step)
        function = qLogNoisyExpectedImprovement(model, X, sampler=sampler, X_pending=chosen, prune_baseline=False)
        with torch.no_grad():
            theirs = function(pool[:, None])
        assert pick.value == pytest.approx(float(theirs[pick.position]), abs=0.12)
        free = torch.ones(len(pool), dtype=torch.bool)
        free[[p.position for p in picks[:step]]] = False
        assert float(theirs[pick.position]) > float(theirs[free].max()) - 0.12


def test_without_noise_the_first_step_is_the_closed_form_and_botorchs_qlogei() -> None:
    goal, posterior, pool, X = case("maximize", 0.0)
    exact = GaussianProcess().fit(posterior.X, posterior.y, torch.zeros_like(posterior.y))
    best = float(posterior.y.max())
    (pick,) = greedy_batch(goal, {"y": exact}, pool, X, 1, draws=DRAWS, seed=3)
    mean, deviation = exact.mean_deviation(pool)
    closed = log_expected_improvement(mean, deviation, best) - math.log(exact.standard.scale)
    assert pick.position == int(closed.argmax())
    assert pick.value == pytest.approx(float(closed.max()), abs=0.05)
    sampler = SobolQMCNormalSampler(torch.Size([DRAWS]), seed=0)
    theirs = qLogExpectedImprovement(standardised(exact, 1.0), best / exact.standard.scale, sampler=sampler)
    with torch.no_grad():
        assert pick.value == pytest.approx(float(theirs(pool[[pick.position]])), abs=0.05)


def test_a_batch_spreads_where_the_single_best_scores_would_crowd() -> None:
    X = torch.tensor([[0.3], [0.45], [0.55], [0.7]], dtype=torch.float64)
    posterior = GaussianProcess().fit(X, torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64))
    goal = Goal(Objective("y"), {"y": posterior.standard.scale}, spans=(posterior.standard.scale,))
    crowd = 1e-4 * torch.arange(20, dtype=torch.float64)[:, None]
    pool = torch.cat([crowd, torch.tensor([[0.97]], dtype=torch.float64)])
    alone = log_expected_improvement(*posterior.mean_deviation(pool), 1.0)
    assert set(alone.argsort(descending=True)[:2].tolist()) <= set(range(20))
    picks = greedy_batch(goal, {"y": posterior}, pool, X, 2, draws=DRAWS, seed=0)
    assert 20 in {pick.position for pick in picks}


def test_rows_differ_counts_hold_and_a_seed_repeats() -> None:
    goal, posterior, pool, X = case("maximize", 0.2)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    once, again = (greedy_batch(goal, {"y": posterior}, pool, X, 100, draws=64, seed=5) for _ in range(2))
    assert once == again
    assert sorted(pick.position for pick in once) == list(range(60))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(math.isfinite(pick.value) for pick in once)


def test_values_are_lowered_by_the_logarithm_of_what_candidates_cost() -> None:
    goal, posterior, pool, X = case("maximize", 0.2)
    plain = greedy_batch(goal, {"y": posterior}, pool, X, 5, draws=64, seed=5)
    alike = torch.full((60,), 0.7, dtype=torch.float64)
    paid = greedy_batch(goal, {"y": posterior}, pool, X, 5, draws=64, seed=5, log_prices=lambda _: alike)
    assert [pick.position for pick in paid] == [pick.position for pick in plain]
    assert [pick.value for pick in paid] == pytest.approx([pick.value - 0.7 for pick in plain])
    alike[plain[0].position] = 50.0
    dear = greedy_batch(goal, {"y": posterior}, pool, X, 60, draws=64, seed=5, log_prices=lambda _: alike)
    assert dear[-1].position == plain[0].position


def test_constraints_move_the_batch_to_where_they_are_kept() -> None:
    _, posterior, pool, X = case("maximize", 0.0)
    scale = posterior.standard.scale
    limit = float(posterior.y.median())
    free = Goal(Objective("y"), {"y": scale}, spans=(scale,))
    bound = Goal(Objective("y", constraints=[f"y <= {limit}"]), {"y": scale}, spans=(scale,))
    mean = posterior.mean_deviation(pool)[0]
    tops = [greedy_batch(goal, {"y": posterior}, pool, X, 3, draws=512, seed=0) for goal in (free, bound)]
    without, within = (mean[[p.position for p in picks]] for picks in tops)
    assert bool((within <= limit + 0.3 * scale).all())
    assert float(without.max()) > limit + 0.3 * scale


def test_mixtures_of_several_outcomes_are_drawn_independently() -> None:
    X = torch.rand(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near = GaussianProcess().fit(X, X[:, 0])
    far = GaussianProcess().fit(X, X[:, 0] + 100.0)
    either = Weighted((near, far), (0.5, 0.5), ("near", "far"))
    objective = Objective([Target("a"), Target("b")])
    goal = Goal(objective, {"a": 1.0, "b": 1.0}, (0.5, 0.5), (0.0, 0.0), (1.0, 1.0))
    values = joint_values(goal, {"a": either, "b": either}, X[:3], 512, seed=4)
    far_a, far_b = ((values[name][:, 0] > 50.0).double() for name in "ab")
    assert float(far_a.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(far_b.mean()) == pytest.approx(0.5, abs=0.02)
    assert abs(float(torch.corrcoef(torch.stack([far_a, far_b]))[0, 1])) < 0.15
    for name in "ab":
        assert bool(((values[name] > 50.0) == (values[name][:, :1] > 50.0)).all()), (
            "a draw is one function of one component"
        )
