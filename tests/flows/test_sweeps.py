"""A search on a Dask cluster finds what it finds at home."""

import numpy as np
import pytest

from discover.acquisition import shards
from discover.acquisition.bounded import Improvement
from discover.acquisition.sweep import PoolRows, best_rows
from discover.acquisition.tiles import TILE
from flows.spread import NoCluster
from flows.sweeps import spread_over
from tests.acquisition.test_shards import case


def test_a_cluster_finds_the_same(tmp_path, monkeypatch):
    from distributed import LocalCluster

    pool, held = case(5000)
    np.save(tmp_path / "values.npy", pool.values)
    mapped = PoolRows(np.load(tmp_path / "values.npy", mmap_mode="r"), pool.scaling, pool.blocked, pool.hash)
    score = Improvement(float(held.mean_variance(held.X)[0].max()))
    here = best_rows(held, pool, 9, score)
    monkeypatch.setattr(shards, "FAR_SHARD", 4 * TILE)
    local = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with local as cluster, shards.spread_by(spread_over(cluster.scheduler_address)):
        for far in (pool, mapped):
            found = best_rows(held, far, 9, score)
            assert found.rows.tolist() == here.rows.tolist()
            assert found.score.tobytes() == here.score.tobytes()


def test_without_a_cluster(monkeypatch):
    assert spread_over(None) is None
    monkeypatch.setattr("flows.sweeps.SECONDS", 1)
    monkeypatch.setattr(shards, "FAR_SHARD", 4 * TILE)
    pool, held = case()
    with shards.spread_by(spread_over("tcp://127.0.0.1:9")), pytest.raises(NoCluster, match="DISCOVER_DASK"):
        best_rows(held, pool, 5, Improvement(0.0))
