"""What is carried from one iteration to the next prunes, and never changes what is found."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from discover.acquisition import refined, sweep
from discover.acquisition.bounded import Confidence, Improvement
from discover.acquisition.carried import Carried
from discover.acquisition.sweep import best_rows
from discover.surrogate.gaussian.weighted import Weighted
from tests.acquisition.beliefs import pool_of, posterior, rows_of, scaled
from tests.acquisition.test_sweep import exhaustive


def more(pool, held, rng, many, wild):
    """The belief after further observations of pool rows, under the same prior; wild ones are nothing like the others."""
    raw = pool.values[rng.integers(len(pool.values), size=many)]
    X = np.vstack([held.X.numpy(), scaled(pool, raw)])
    y = np.concatenate([held.y.numpy(), rng.normal(size=many) * (30.0 if wild else 1.0)])
    order = rng.permutation(len(y))
    again = posterior(X[order], y[order], kernel=held.found.kernel, noise=held.found.noise, like=held)
    return again


def start(rng, sort="random", n=60, d=3, count=1200, noise=1e-3, kernel="matern"):
    data = rng.random((n, d))
    pool = rows_of(pool_of(sort, rng, count, d, data), hash="a pool")
    held = posterior(scaled(pool, data), np.sin(5 * data.sum(axis=1)), noise=noise, kernel=kernel)
    return pool, held


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**16),
    sort=st.sampled_from(["random", "crowded", "repeated", "line", "far"]),
    noise=st.sampled_from([1e-4, 1e-2, 0.5]),
    kernel=st.sampled_from(["matern", "rbf"]),
    wild=st.booleans(),
    many=st.integers(1, 30),
)
def test_means_move_by_no_more_and_variances_do_not_grow(seed, sort, noise, kernel, wild, many, tmp_path_factory):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("carried")
    pool, held = start(rng, sort, noise=noise, kernel=kernel)
    best_rows(held, pool, 5, Improvement(1.0), carry=folder)
    after = more(pool, held, rng, many, wild)
    carried = Carried.read(folder, (after,), pool.hash, len(pool.values))
    assert carried is not None
    mean, slack, variance, wide = (a[0] for a in carried.at(np.arange(len(pool.values))))
    exact, exact_variance = (a.numpy() for a in after._marginals(pool.scaled(np.arange(len(pool.values)))))
    assert (np.abs(exact - mean) <= slack + 1e-9).all()
    assert (exact_variance <= variance + wide + 1e-9).all()
    assert (carried.slack >= 0).all()
    assert (np.abs(exact - mean).max() > 0.0) or sort == "far"


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    sort=st.sampled_from(["random", "crowded", "repeated", "line"]),
    mixed=st.booleans(),
    wild=st.booleans(),
    kind=st.sampled_from(["improvement", "confidence"]),
)
@example(seed=1637, sort="repeated", mixed=False, wild=True, kind="improvement")
def test_a_campaign_of_iterations_finds_what_it_would_find_without(seed, sort, mixed, wild, kind, tmp_path_factory):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("carried")
    pool, held = start(rng, sort)
    for _ in range(4):
        belief = held
        if mixed:
            other = posterior(held.X, held.y, length=0.3, noise=1e-2, like=held)
            belief = Weighted((held, other), (0.6, 0.4), ("a", "b"))
        score = Improvement(float(held.mean_variance(held.X)[0].max())) if kind == "improvement" else Confidence(4.0)
        with mock.patch.object(sweep, "WORTH", 1), mock.patch.object(refined, "SIZES", (4, 16, 40)):
            carried = best_rows(belief, pool, 12, score, carry=folder)
        alone = best_rows(belief, pool, 12, score)
        tied = sweep.TIE * score.unit
        np.testing.assert_allclose(carried.score, alone.score, rtol=0, atol=tied)
        exact = exhaustive(belief, pool, score)
        np.testing.assert_allclose(exact[carried.rows], alone.score, rtol=0, atol=tied)
        ahead = exact > alone.score[-1] + 2 * tied  # which of equal rows is the last is a matter of rounding
        assert set(np.flatnonzero(ahead & ~pool.blocked)) <= set(carried.rows.tolist())
        held = more(pool, held, rng, 4, wild)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**16),
    noise=st.sampled_from([1e-4, 1e-2, 0.5]),
    wild=st.booleans(),
    many=st.integers(1, 30),
    size=st.sampled_from([1, 5, 30, 60]),
)
def test_a_closer_look_bounds_what_moved(seed, noise, wild, many, size):
    rng = np.random.default_rng(seed)
    pool, held = start(rng, noise=noise)
    after = more(pool, held, rng, many, wild)
    known = {row.tobytes() for row in held.X.numpy()}
    since = np.array([0 if row.tobytes() in known else 1 for row in after.X.numpy()])
    [shift] = refined.shifts((after,), since, 0)
    rows = np.arange(len(pool.values))
    X = pool.scaled(rows)
    moved = after._marginals(X)[0].numpy() - held._marginals(X)[0].numpy()
    told, bound = shift.tiler(size, pool.scaling).bound(pool.values)
    assert (
        np.abs(moved - told) <= shift.c[size - 1] * np.sqrt(np.maximum(bound, 0)) + 1e-7 * (1 + np.abs(moved))
    ).all()
    assert (bound >= after._marginals(X)[1].numpy() - 1e-9).all()
    assert shift.c[-1] <= shift.c[0] + 1e-9
    assert np.abs(moved).max() > 0


def test_a_closer_look_leaves_less(tmp_path):
    rng = np.random.default_rng(1)
    pool = rows_of(rng.random((20_000, 3)), hash="a pool")
    X = scaled(pool, rng.random((300, 3)))
    held = posterior(X, np.sin(9 * X).sum(axis=1), length=0.3, noise=1e-2)
    found = []
    for worth in (10**9, 1):
        first = best_rows(held, pool, 10, Confidence(4.0), carry=tmp_path / str(worth))
        new = pool.scaled(first.rows[:8])
        y = torch.cat([held.y, held.mean_variance(new)[0] + 1.0])
        after = posterior(torch.cat([held.X, new]), y, length=0.3, noise=1e-2, like=held)
        with mock.patch.object(sweep, "WORTH", worth):
            found.append(best_rows(after, pool, 10, Confidence(4.0), carry=tmp_path / str(worth)))
    plain, closer = found
    assert closer.rows.tolist() == plain.rows.tolist()
    assert closer.swept < 0.5 * plain.swept < 0.1 * len(pool.values)


def test_most_of_the_pool_is_not_looked_at_again(tmp_path):
    rng = np.random.default_rng(0)
    pool = rows_of(rng.random((20_000, 2)), hash="a pool")
    X = scaled(pool, rng.random((120, 2)))
    held = posterior(X, 3.0 * X[:, 0] + np.sin(6 * X[:, 1]), length=1.0, noise=1e-3)
    first = best_rows(held, pool, 10, Confidence(4.0), carry=tmp_path)
    assert first.swept == 20_000
    X = torch.cat([held.X, pool.scaled(first.rows[:4])])
    y = torch.cat([held.y, held.mean_variance(pool.scaled(first.rows[:4]))[0] + 0.02])
    after = posterior(X, y, length=1.0, noise=1e-3, like=held)
    found = best_rows(after, pool, 10, Confidence(4.0), carry=tmp_path)
    assert found.swept < 0.2 * 20_000
    assert found.rows.tolist() == best_rows(after, pool, 10, Confidence(4.0)).rows.tolist()


@pytest.mark.parametrize(
    "change", ["retracted", "corrected", "noise", "mean", "scale", "pool", "hyperparameters", "given noise"]
)
def test_what_the_bound_does_not_hold_for_is_not_carried(change, tmp_path):
    rng = np.random.default_rng(3)
    pool, held = start(rng)
    best_rows(held, pool, 5, Improvement(1.0), carry=tmp_path)
    assert Carried.read(tmp_path, (more(pool, held, rng, 2, False),), pool.hash, len(pool.values)) is not None
    X, y, name = held.X, held.y.clone(), pool.hash
    changed = {"like": held, "noise": 1e-3}
    if change == "retracted":
        X, y = X[1:], y[1:]
    elif change == "corrected":
        y[0] += 1e-9
    elif change == "noise":
        changed["noise"] = 2e-3
    elif change in ("mean", "scale"):
        changed.pop("like")
    elif change == "pool":
        name = "another"
    elif change == "hyperparameters":
        changed["length"] = 0.70001
    else:
        changed["stds"] = np.full(len(y), 0.1)
    if change in ("mean", "scale"):
        y[-1] += 1e-3
    now = posterior(X, y, **changed)
    assert Carried.read(tmp_path, (now,), name, len(pool.values)) is None


def test_of_two_equal_observations_one_that_is_taken_back_is_missed(tmp_path):
    rng = np.random.default_rng(3)
    pool, held = start(rng)
    rows = np.arange(len(held.y))

    def carried(places):
        now = posterior(held.X[places], held.y[places], noise=1e-3, like=held)
        return now, Carried.read(tmp_path, (now,), pool.hash, len(pool.values))

    twice, _ = carried([*rows, 0])
    best_rows(twice, pool, 5, Improvement(1.0), carry=tmp_path)
    assert carried([*rows, 0])[1] is not None
    assert carried([*rows, 0, 0])[1] is not None
    assert carried(rows)[1] is None


def test_a_damaged_file_is_as_good_as_none(tmp_path):
    rng = np.random.default_rng(5)
    pool, held = start(rng)
    first = best_rows(held, pool, 5, Improvement(1.0), carry=tmp_path)
    [path] = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02")  # in the archive's list: flags at byte 8, the way of compression at byte 10
    flipped = [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in (3000, entry + 8, entry + 10)]
    for damaged in (whole[:-200], b"", *flipped):
        path.write_bytes(damaged)
        assert Carried.read(tmp_path, (held,), pool.hash, len(pool.values)) is None
        assert best_rows(held, pool, 5, Improvement(1.0), carry=tmp_path).rows.tolist() == first.rows.tolist()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_none_is_done_without(tmp_path):
    rng = np.random.default_rng(5)
    pool, held = start(rng)
    first = best_rows(held, pool, 5, Improvement(1.0), carry=tmp_path / "sweeps")
    (tmp_path / "file").write_text("in the way")
    found = best_rows(held, pool, 5, Improvement(1.0), carry=tmp_path / "file")
    assert found.rows.tolist() == first.rows.tolist()
    assert (tmp_path / "file").read_text() == "in the way"
