"""The same numbers for any number of shards, threads and processes."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import threads
from discover.acquisition import shards
from discover.acquisition.bounded import Improvement
from discover.acquisition.shards import Mapped, Shard, spread_by, sweep
from discover.acquisition.sweep import PoolRows, best_rows
from discover.acquisition.tiles import TILE, Tiler
from discover.errors import IntegrityError
from tests.acquisition.beliefs import posterior, rows_of, scaled


def case(count=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    pool = rows_of(rng.random((count, d)))
    data = rng.random((60, d))
    return pool, posterior(scaled(pool, data), np.sin(6 * data).sum(axis=1), noise=1e-3)


@settings(deadline=None, max_examples=15)
@given(tiles=st.integers(1, 9), many=st.integers(1, 3), count=st.integers(1, 3000), mapped=st.booleans())
def test_bits_do_not_depend_on_shards_or_threads(tiles, many, count, mapped, tmp_path_factory):
    pool, held = case(count)
    tilers = [Tiler.of(held, pool.scaling).single(), Tiler.of(held, pool.scaling, subset=20).single()]
    values = pool.values
    if mapped:
        path = tmp_path_factory.mktemp("table") / "values.npy"
        np.save(path, values)
        values = np.load(path, mmap_mode="r")
    whole = sweep(tilers, pool.values)
    with threads.using(many):
        parts = sweep(tilers, values, size=tiles * TILE)
        chosen = sweep(tilers, values, np.arange(count), size=tiles * TILE)
    for found in (parts, chosen):
        assert [a.tobytes() for a in found] == [a.tobytes() for a in whole]


def test_far_shards_find_their_rows_in_the_file_or_are_sent_them(tmp_path):
    pool, held = case()
    np.save(tmp_path / "values.npy", pool.values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    score = Improvement(float(held.mean_variance(held.X)[0].max()))
    here = best_rows(held, pool, 9, score)
    sizes = []

    def elsewhere(some):
        with ProcessPoolExecutor(2, mp_context=get_context("fork")) as processes:
            sizes.append(max(len(pickle.dumps(shard)) for shard in some))
            yield from processes.map(Shard.run_alone, some)

    for values in (pool.values, mapped, mapped[:]):
        far = PoolRows(values, pool.scaling, pool.blocked, pool.hash)
        with mock.patch.object(shards, "FAR_SHARD", 4 * TILE), spread_by(elsewhere):
            found = best_rows(held, far, 9, score)
        assert found.rows.tolist() == here.rows.tolist()
        assert found.score.tobytes() == here.score.tobytes()
    assert sizes[1] < sizes[0]  # the path of the file in place of the rows
    assert Mapped.of(mapped[256:]) is None
    (tmp_path / "values.npy").unlink()
    told = Mapped.of(mapped)
    with pytest.raises(IntegrityError, match="cannot be read from here"):
        told.open()


def test_threads_are_given_back():
    before = torch.get_num_threads()
    pool, held = case(500)
    with pytest.raises(ValueError, match="broken"), mock.patch.object(Tiler, "bound", side_effect=ValueError("broken")):
        sweep([Tiler.of(held, pool.scaling)], pool.values)
    assert torch.get_num_threads() == before
