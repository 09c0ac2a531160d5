"""The benchmark of an agent trains one, and plays it, a policy and random on the same outcomes."""

from __future__ import annotations

import learning_by_reward as learning
import numpy as np
import pytest

from discover.policy.bayesian import Bayesian
from discover.policy.random import Random

pytest.importorskip("stable_baselines3")


def test_an_agent_is_trained_and_everybody_plays_the_same() -> None:
    features = learning.conditions_of(("A · x", "A · y", "B · x", "B · y", "C · x", "C · y"))
    assert features.shape == (6, 5)
    np.testing.assert_allclose(features.sum(axis=1), 2.0)
    agent, steps = learning.trained(features, 0, 1.0, 0)
    assert steps > 100
    values = np.linspace(0.1, 0.9, 6)
    found = [learning.by_agent(agent, values, np.zeros(0))]
    found += [learning.by_policy(policy, features, values, 0) for policy in (Bayesian(start=2), Random())]
    assert all(one in values for one in found)
    assert max(found[1:]) >= values[4]  # five of six were tried
