"""Hyperparameters that are kept while the observations have hardly grown."""

import json

import numpy as np
import pytest
import torch

from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.gaussian.process import GaussianProcess


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(rng.random((n, 3)))
    return X, torch.sin(5 * X[:, 0]) + X[:, 1] + 0.05 * torch.from_numpy(rng.normal(size=n))


def memory_of(posterior):
    return json.loads(json.dumps(posterior.memory()))


@pytest.mark.parametrize("surrogate", [GaussianProcess, Evidence])
def test_the_prior_stays_until_the_data_have_grown_by_the_share(surrogate):
    X, y = data(70)
    model = surrogate(keep=0.1)
    first = model.fit(X[:50], y[:50])
    kept = model.fit(X[:54], y[:54], memory=memory_of(first))
    again = model.fit(X[:54], y[:54], memory=memory_of(kept))
    fresh = model.fit(X[:55], y[:55], memory=memory_of(kept))
    for before, after, third in zip(first.components, kept.components, again.components, strict=True):
        assert after.found.lengths == before.found.lengths
        assert after.found.noise == before.found.noise
        assert (after.standard.shift, after.standard.scale) == (before.standard.shift, before.standard.scale)
        assert after.state.mean == before.state.mean == third.state.mean
        assert len(after.y) == 54
        assert after.fitted == third.fitted == 50
        assert "kept from 50 of 54" in after.notes[0]
    assert kept.weights == pytest.approx(first.weights)
    assert fresh.components[0].fitted == 55
    assert fresh.components[0].standard.shift != first.components[0].standard.shift


def test_it_is_conditioned_on_all_observations():
    from discover.surrogate.covariance.kernels import correlation, squared_distances

    X, y = data(44)
    model = GaussianProcess(keep=0.5)
    kept = model.fit(X, y, memory=memory_of(model.fit(X[:40], y[:40])))
    at = torch.rand(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor(kept.found.lengths)
    K = correlation("matern", squared_distances(X / lengths, X / lengths)) + kept.found.noise * torch.eye(44).double()
    across = correlation("matern", squared_distances(at / lengths, X / lengths))
    target = kept.standard.apply(y) - kept.state.mean
    mean = kept.standard.shift + kept.standard.scale * (kept.state.mean + across @ torch.linalg.solve(K, target))
    torch.testing.assert_close(kept.mean_variance(at)[0], mean)


@pytest.mark.parametrize(
    "damaged", [None, [], {"observations": 50}, {"observations": 50, "shift": 0.0, "scale": 0.0, "mean": 0.0}]
)
def test_without_a_sound_memory_it_is_fitted(damaged):
    X, y = data()
    model = GaussianProcess(keep=0.5)
    memory = memory_of(model.fit(X[:50], y[:50])) | {"kept": damaged}
    assert model.fit(X, y, memory=memory).fitted == 60
    assert "kept" not in GaussianProcess().fit(X, y, memory=memory).memory()
