"""Estimates from logged choices are unbiased where the log can tell, and refused where it cannot."""

from __future__ import annotations

import re

import numpy as np
import pytest

from discover.backtest.logbook import evaluate_arms
from discover.backtest.logged import METHODS, Log, evaluate
from discover.errors import InvalidInput, Unsupported

MEANS = np.array([0.2, 0.5, 0.7])
EFFECTS = np.linspace(-0.3, 0.3, 8)


def world(n: int, seed: int, *, adaptive: bool = True) -> Log:
    """A logging policy whose probabilities follow what it has seen, between 0.15 and 0.7; rewards of arm and context."""
    generator = np.random.default_rng(seed)
    sums, counts = np.ones(3), 2 * np.ones(3)
    rows = []
    for _ in range(n):
        favoured = (sums / counts).argmax()
        odds = np.where(np.arange(3) == favoured, 0.7, 0.15) if adaptive else np.full(3, 1 / 3)
        arm, member = generator.choice(3, p=odds), generator.integers(8)
        reward = MEANS[arm] + EFFECTS[member] + 0.05 * generator.standard_normal()
        sums[arm], counts[arm] = sums[arm] + reward, counts[arm] + 1
        rows.append((f"a{arm}", f"s{member}", reward, odds[arm]))
    actions, contexts, rewards, odds = zip(*rows)
    return Log(np.array(actions), np.array(contexts), np.array(rewards), np.array(odds), np.ones(n, dtype=bool))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [{"a0": 1.0}, {"a0": 0.5, "a2": 0.5}])
def test_estimates_are_right_on_average_and_their_errors_are_honest(method: str, target: dict[str, float]) -> None:
    truth = sum(p * MEANS[int(a[1])] for a, p in target.items())
    generator = np.random.default_rng(0)
    found = [evaluate(world(300, s), target, method, generator=generator) for s in range(40)]  # type: ignore[arg-type]
    values, errors = np.array([e.value for e in found]), np.array([e.error for e in found])
    assert abs(values.mean() - truth) < 3.5 * values.std() / np.sqrt(40)
    assert 0.6 < errors.mean() / values.std() < 1.6
    inside = np.mean([e.interval[0] <= truth <= e.interval[1] for e in found])
    assert inside > 0.8


def test_a_naive_mean_is_not_what_is_told() -> None:
    """All rewards together say what the logging policy gained, and not what an arm gives."""
    log = world(2000, 0)
    estimate = evaluate(log, {"a0": 1.0})
    assert abs(estimate.value - 0.2) < 0.05 < abs(float(log.rewards.mean()) - 0.2)


def test_a_model_makes_the_estimate_sharper() -> None:
    errors = {m: np.std([evaluate(world(200, s), {"a1": 1.0}, m).value for s in range(25)]) for m in METHODS[1:]}  # type: ignore[arg-type]
    assert errors["doubly-robust"] < 0.7 * errors["weighted"]


def test_the_effective_sample_size_is_that_of_the_weights() -> None:
    log = world(400, 1)
    weights = np.where(log.actions == "a2", 1.0 / log.probabilities, 0.0)
    assert evaluate(log, {"a2": 1.0}, "weighted").effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert evaluate(log, {"a2": 1.0}, "weighted").value == pytest.approx((weights * log.rewards).mean())
    uniform = world(300, 2, adaptive=False)
    estimate = evaluate(uniform, {"a1": 1.0}, "replay")
    assert estimate.used == (uniform.actions == "a1").sum()
    assert estimate.value == pytest.approx(uniform.rewards[uniform.actions == "a1"].mean())


def test_only_shares_of_weights_count_where_they_are_normalised() -> None:
    log = world(300, 3)
    halved = changed(log, probabilities=log.probabilities / 2.0)
    once, again = (evaluate(one, {"a1": 1.0}, "self-normalised") for one in (log, halved))
    assert again.value == pytest.approx(once.value)
    assert again.error == pytest.approx(once.error)


def crossed(n: int, seed: int) -> Log:
    """Each arm is good in one of two contexts, in which it is mostly chosen: no sum of arm and context tells that."""
    generator = np.random.default_rng(seed)
    member = generator.integers(2, size=n)
    often = np.where(generator.random(n) < 0.8, member, 1 - member)
    rewards = (often == member) + 0.1 * generator.standard_normal(n)
    odds = np.where(often == member, 0.8, 0.2)
    names = (np.char.add(letter, codes.astype(str)) for letter, codes in (("a", often), ("s", member)))
    return Log(*names, rewards, odds, np.ones(n, dtype=bool))


def test_a_wrong_model_is_put_right_by_the_weights() -> None:
    found = np.array([evaluate(crossed(300, seed), {"a0": 1.0}).value for seed in range(30)])
    assert abs(found.mean() - 0.5) < 3.5 * found.std() / np.sqrt(30)


def test_doubly_robust_is_a_regression_of_the_other_folds_and_what_it_misses() -> None:
    log = crossed(103, 1)
    arms, members = ((names == first).astype(float) for names, first in ((log.actions, "a0"), (log.contexts, "s0")))
    X = np.column_stack([arms, 1.0 - arms, members, 1.0 - members])
    aimed = np.column_stack([np.ones(103), np.zeros(103), members, 1.0 - members])
    parts = np.empty(103)
    for fold in range(5):
        mine = np.arange(103) % 5 == fold
        centre, level = X[~mine].mean(axis=0), log.rewards[~mine].mean()
        Z = X[~mine] - centre
        slope = np.linalg.solve(Z.T @ Z + np.eye(4), Z.T @ (log.rewards[~mine] - level))
        chosen, expected = (level + (at[mine] - centre) @ slope for at in (X, aimed))
        parts[mine] = expected + arms[mine] / log.probabilities[mine] * (log.rewards[mine] - chosen)
    assert evaluate(log, {"a0": 1.0}).value == pytest.approx(parts.mean())


def changed(log: Log, **parts: np.ndarray) -> Log:
    whole = {key: getattr(log, key) for key in ("actions", "contexts", "rewards", "probabilities", "open")}
    return Log(**{**whole, **parts})


def test_what_was_not_chosen_at_random_is_left_out_and_counted() -> None:
    log = world(200, 0)
    odds = log.probabilities.copy()
    odds[:50], odds[50:60] = np.nan, 1.0
    open_ = log.open.copy()
    open_[60:80] = False
    estimate = evaluate(changed(log, probabilities=odds, open=open_), {"a2": 1.0}, "weighted")
    assert (estimate.used, estimate.left_out) == (120, 80)


def test_it_refuses_and_says_why() -> None:
    log = world(200, 0)
    with pytest.raises(Unsupported, match=r"none of 200 choices was made at random.*200 have no probability"):
        evaluate(changed(log, probabilities=np.full(200, np.nan)), {"a0": 1.0})
    with pytest.raises(Unsupported, match="200 were certain"):
        evaluate(changed(log, probabilities=np.ones(200)), {"a0": 1.0})
    with pytest.raises(Unsupported, match=r"supports do not overlap.*a9"):
        evaluate(log, {"a0": 0.5, "a9": 0.5})
    with pytest.raises(Unsupported, match=r"count like .* and 100 are needed"):
        evaluate(log, {"a0": 1.0}, least=100)
    effective = evaluate(log, {"a0": 1.0}).effective
    with pytest.raises(Unsupported, match="count like") as refused:  # a number below what is needed never reads like it
        evaluate(log, {"a0": 1.0}, least=effective + 1e-6)
    assert float(re.findall(r"count like ([\d.]+),", str(refused.value))[0]) <= effective
    with pytest.raises(Unsupported, match="nothing was logged"):
        evaluate(log.kept(np.zeros(200, dtype=bool)), {"a0": 1.0})
    with pytest.raises(InvalidInput, match="sum to one"):
        evaluate(log, {"a0": 0.5})
    with pytest.raises(InvalidInput, match="no probability"):
        changed(log, probabilities=np.full(200, -0.1))


def test_arms_that_cannot_be_told_come_last_with_the_reason() -> None:
    log = world(120, 0)
    few = changed(log, actions=np.where(np.arange(120) < 3, "a7", log.actions))
    found = evaluate_arms(few)
    assert found[0]["arm"] == "a2"
    assert "count like" in found[-1]["refused"]
