"""A small pool, and campaigns on it that cost nothing."""

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective


@pytest.fixture(scope="session")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "material_id": [f"m{i:02d}" for i in range(40)],
            "a": rng.random(40),
            "b": rng.random(40),
            "solvent": rng.choice(["DMF", "THF"], 40),
        }
    )


@pytest.fixture(scope="session")
def pool(frame):
    return CandidatePool.from_frame(frame, id="material_id", features=["a", "b"], categorical=["solvent"])


@pytest.fixture
def url(store_url):
    return store_url


@pytest.fixture
def make(pool, url):
    def make(objective=None, policy="random", name="c", **more):
        objective = objective or Objective("yield", "maximize", unit="%")
        return Campaign.create(name, objective=objective, candidates=pool, policy=policy, store=url, **more)

    return make


@pytest.fixture
def campaign(make):
    return make()
