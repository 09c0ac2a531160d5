"""What a candidate adds beside others, against joint draws by the million and against multivariate normal probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from discover.acquisition.beside import Ahead, Approach, Beside, Hit, Rise, together
from discover.acquisition.improvement import log_probability_between

M = 5


def belief(seed=0, low=-1.0, high=1.0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(M, 3)) * 0.8
    return torch.from_numpy(rng.uniform(low, high, M)), torch.from_numpy(root @ root.T + 0.1 * np.eye(M))


def level(value):
    return torch.tensor([value], dtype=torch.float64)


GAINS = {
    "above": (Hit(0.7, np.inf), lambda y: (y > 0.7) * 1.0),
    "band": (Hit(-0.2, 0.4), lambda y: ((y >= -0.2) & (y <= 0.4)) * 1.0),
    "below": (Hit(-np.inf, -0.5), lambda y: (y < -0.5) * 1.0),
    "rise": (Rise(level(0.5)), lambda y: np.clip(y - 0.5, 0, None)),
    "value": (Approach(0.3, 0.3, level(0.8)), lambda y: np.clip(0.8 - abs(y - 0.3), 0, None)),
    "near a band": (Approach(0.3, 0.6, level(0.8)), lambda y: np.clip(0.8 - np.clip(0.3 - y, 0, None) - np.clip(y - 0.6, 0, None), 0, None)),
}  # fmt: skip


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("seed", range(3))
def test_what_a_candidate_adds_is_the_rise_of_the_expected_best(name, seed):
    gain, worth = GAINS[name]
    mean, covariance = belief(seed)
    beside = Beside(gain, mean, covariance, most=3, draws=4096, seed=0)
    drawn = worth(np.random.default_rng(1).multivariate_normal(mean.numpy(), covariance.numpy(), 400_000))
    best = np.zeros(len(drawn))
    for place in (0, 3, 1):
        expected = np.maximum(drawn, best[:, None]).mean(axis=0) - best.mean()
        open_ = [k for k in range(M) if k not in ([] if not best.any() else np.flatnonzero(expected < 1e-12))]
        assert beside.log_gains().exp().numpy()[open_] == pytest.approx(expected[open_], abs=4e-3)
        beside.add(place)
        best = np.maximum(best, drawn[:, place])


def test_a_probability_that_is_nearly_one_is_still_told_apart():
    mean, covariance = belief(1, 3.0, 4.0)
    covariance = 0.3 * covariance
    beside = Beside(Hit(0.0, np.inf), mean, covariance, most=2, draws=1024, seed=0)
    beside.add(0)
    beside.add(2)
    for place in (1, 3, 4):
        two = multivariate_normal(mean[[0, 2]].numpy(), covariance[[0, 2]][:, [0, 2]].numpy())
        three = multivariate_normal(mean[[0, 2, place]].numpy(), covariance[[0, 2, place]][:, [0, 2, place]].numpy())
        adds = two.cdf([0.0, 0.0]) - three.cdf([0.0, 0.0, 0.0])
        assert two.cdf([0.0, 0.0]) < 1e-4
        assert float(beside.log_gains()[place].exp()) == pytest.approx(adds, rel=0.1)


@pytest.mark.parametrize("name", GAINS)
def test_a_copy_brings_nothing_and_the_first_brings_what_it_brings_alone(name):
    gain, _ = GAINS[name]
    mean, covariance = belief(2)
    copies = torch.tensor([0, 1, 2, 3, 4, 0])
    beside = Beside(gain, mean[copies], covariance[copies][:, copies], most=2, draws=256, seed=0)
    first = beside.log_gains()
    if isinstance(gain, Hit) and np.isfinite([gain.low, gain.high]).all():
        alone = log_probability_between(mean, covariance.diagonal().sqrt(), gain.low, gain.high)
        assert first[:M] == pytest.approx(alone)
    beside.add(0)
    after = beside.log_gains()
    assert float(after[5]) < float(first[5]) - 4.0
    beside.add(5)  # no number is lost by it
    assert torch.isfinite(beside.log_gains()[1:5]).all()


def test_a_hit_that_is_certain_and_one_that_is_hopeless_have_numbers():
    mean = torch.tensor([1000.0, 50.0, -1000.0, 0.0], dtype=torch.float64)
    covariance = torch.eye(4, dtype=torch.float64) + 0.5
    beside = Beside(Hit(0.0, 2000.0), mean, covariance, most=4, draws=64, seed=0)
    assert [place for place, _ in together(beside, lambda gains, chosen: gains, 4, 4)][:2] == [0, 1]
    assert torch.isfinite(beside.means).all()


def test_who_may_join_is_asked_and_the_same_seed_chooses_the_same():
    mean, covariance = belief(3)

    def chosen(seed, allowed=None):
        beside = Beside(Hit(0.2, np.inf), mean, covariance, most=M, draws=128, seed=seed)
        return together(beside, lambda gains, chosen: gains, M, M, allowed)

    assert chosen(0) == chosen(0)
    assert len({place for place, _ in chosen(0)}) == M
    even = torch.tensor([True, False, True, False, True])
    assert {place for place, _ in chosen(0, lambda _: even)} == {0, 2, 4}
    assert chosen(0, lambda found: even & (len(found) < 2))[2:] == []


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("size", [1.0, 1e-40])
def test_what_is_drawn_once_tells_the_same_of_others_on_every_scale(name, size):
    gain, _ = GAINS[name]
    mean, covariance = belief(4)
    order = torch.tensor([2, 2, 0, 1, 3, 4])  # the second is a copy of the first
    mean, covariance = mean[order], covariance[order][:, order]
    beside = Beside(gain, mean, covariance, most=3, draws=64, seed=0)
    for place in range(3):
        beside.add(place)
    ahead = Ahead(gain, mean[:3], covariance[:3, :3], draws=64, seed=0)
    told = ahead.log_gains(mean[3:], covariance.diagonal()[3:], covariance[:3, 3:])
    assert told == pytest.approx(beside.log_gains()[3:], abs=1e-9)
    if isinstance(gain, Hit):
        small = Hit(gain.low * size, gain.high * size)
        again = Ahead(small, mean[:3] * size, covariance[:3, :3] * size**2, draws=64, seed=0)
        parts = mean[3:] * size, covariance.diagonal()[3:] * size**2, covariance[:3, 3:] * size**2
        assert again.log_gains(*parts) == pytest.approx(told, abs=1e-6)
