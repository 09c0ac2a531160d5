"""The evidence prefers the model that the data were made from, mixes where it is not sure, and does not flip."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr

from discover.surrogate.diagnostics import groups_of, held_out, leave_one_out, log_density
from discover.surrogate.evidence.before import ALWAYS, NEGLIGIBLE, REST, stacked
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.evidence.short_list import MOST, candidates, encodings
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.weighted import Weighted, owners
from discover.surrogate.inputs.layout import Layout, told_twice
from discover.surrogate.inputs.scaling import Scaling
from discover.values import Block

QUICK = Evidence(evaluations=40, again=10, starts=1)


def drawn(kind: str, n: int, d: int, seed: int, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Functions that vary alike in all directions, in two of them, or as a sum over them."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, d)) - 0.5
    if kind == "isotropic":
        squared = np.square(X[:, None] - X[None]).sum(axis=2) / 0.8**2
        y = np.linalg.cholesky(np.exp(-0.5 * squared) + 1e-8 * np.eye(n)) @ rng.normal(size=n)
    elif kind == "sparse":
        y = np.sin(6 * X[:, 0]) * np.cos(5 * X[:, 1])
    else:
        y = sum(np.sin((4 + k) * X[:, k] + k) for k in range(d))
    return torch.from_numpy(X), torch.from_numpy(y / y.std() + noise * rng.normal(size=n))


@pytest.mark.parametrize(
    ("kind", "n", "d", "best", "worse"),
    [("isotropic", 20, 5, "one", "each"), ("sparse", 60, 8, "each", "one"), ("additive", 50, 5, "terms", "each")],
)
def test_the_model_that_the_data_were_made_from_wins(kind: str, n: int, d: int, best: str, worse: str) -> None:
    fits = [QUICK.fit(*drawn(kind, n, d, seed)) for seed in range(8)]
    for told in ("log_density_per_observation", "all_weights"):
        found = {name: np.mean([fit.record[told][name] for fit in fits]) for name in (best, worse)}
        assert found[best] > found[worse]


def test_flattering_oneself_does_not_pay() -> None:
    """With its hyperparameters held fixed, a model of many of them looks better on noise than one that is refitted in folds."""
    fixed, refitted = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = torch.from_numpy(rng.random((20, 12)) - 0.5), torch.from_numpy(rng.normal(size=20))
        model = GaussianProcess(evaluations=40)
        fit, groups = model.fit(X, y), groups_of(np.arange(20))
        value = fit.standard.apply(y)
        fixed.append(float(log_density(value, *held_out(fit, groups, None)).mean()))
        warm = replace(model, starts=0, evaluations=25)
        refitted.append(float(log_density(value, *held_out(fit, groups, warm)).mean()))
    assert np.mean(fixed) > np.mean(refitted)


def test_two_hundred_features_and_twenty_observations_are_no_obstacle() -> None:
    """The priors screen: what two of two hundred features tell is found, and told by name of length."""
    ranks, found = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.random((220, 200)) - 0.5
        truth = 3.0 * X[:, 0] + 1.5 * X[:, 1]
        y = truth + 0.05 * rng.normal(size=220)
        belief = Evidence(starts=1).fit(torch.from_numpy(X[:20]), torch.from_numpy(y[:20]))
        ranks.append(spearmanr(belief.mean_deviation(torch.from_numpy(X[20:]))[0].numpy(), truth[20:])[0])
        each = belief.components[belief.names.index("each")]
        assert each.found is not None
        found.append(int(np.argmin(each.found.lengths)))
    assert np.mean(ranks) > 0.8
    assert found == [0, 0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.floats(0.5, 20.0), st.integers(0, 999))
def test_weights_are_the_best_ones(n: int, k: int, inertia: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    densities = torch.from_numpy(rng.normal(-1.0, 2.0, (n, k)))
    prior = torch.from_numpy(rng.dirichlet(np.ones(k)))

    def worth(w: np.ndarray) -> float:
        told = torch.logsumexp(densities + torch.from_numpy(w).log(), dim=1).sum()
        return float(told) + inertia * float((prior * torch.from_numpy(w).log()).sum())

    weights = stacked(densities, prior, inertia, steps=5000).numpy()
    assert weights.sum() == pytest.approx(1.0)
    best = minimize(
        lambda z: -worth(np.exp(z - np.logaddexp.reduce(z))),
        np.log(prior.numpy()),
        method="BFGS",
        options={"gtol": 1e-7},
    )
    assert worth(weights) == pytest.approx(-best.fun, rel=1e-6, abs=1e-5)


def test_it_repeats_and_what_it_leaves_is_exact_json() -> None:
    X, y = drawn("sparse", 30, 4, 0)
    first, again = QUICK.fit(X, y), QUICK.fit(X, y)
    assert (first.weights, first.names, first.settings()) == (again.weights, again.names, again.settings())
    memory = json.loads(json.dumps(first.memory(), allow_nan=False))
    assert memory == first.memory()
    json.dumps(first.settings(), allow_nan=False)
    warm = QUICK.fit(X, y, memory=memory)
    for name, part in zip(warm.names, warm.components):
        if name in first.names:
            before = first.components[first.names.index(name)].found
            assert before is not None
            assert part.found is not None
            assert part.found.objective >= before.objective - 1e-6


def test_the_weights_before_hold_the_new_ones_back() -> None:
    X, y = drawn("sparse", 24, 4, 1)
    fresh = QUICK.fit(X, y).record["all_weights"]
    loser = min(fresh, key=fresh.get)
    only = {"weights": {loser: 1.0}}
    held = QUICK.fit(X, y, memory=only).record["all_weights"]
    assert fresh[loser] < held[loser] < 1.0
    assert sum(held.values()) == pytest.approx(1.0)


def test_losers_are_compared_again_every_fifth_time() -> None:
    X, y = drawn("sparse", ALWAYS + 10, 4, 2)
    memory = {"weights": {"one": 0.6, "each": 0.4, "plane": 0.0, "terms": 0.0}}
    compared = []
    for _ in range(REST + 1):
        mixture = QUICK.fit(X, y, memory=memory)
        compared.append("terms" not in mixture.record.get("not_compared", []))
        memory = {**mixture.memory(), "weights": {"one": 0.6, "each": 0.4, "plane": 0.0, "terms": 0.0}}
    assert compared == [False] * (REST - 1) + [True, False]
    few = QUICK.fit(X[:20], y[:20], memory={**memory, "age": 0})
    assert "not_compared" not in few.record


def test_what_hardly_weighs_is_left_out() -> None:
    X, y = drawn("sparse", 60, 8, 0)
    mixture = QUICK.fit(X, y)
    told = mixture.record["all_weights"]
    assert sum(mixture.weights) == pytest.approx(1.0)
    assert set(mixture.names) == {name for name, weight in told.items() if weight >= NEGLIGIBLE}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_few_observations_are_answered(n: int) -> None:
    X, y = drawn("isotropic", 6, 3, 0)
    mixture, worth = QUICK.compare(X[:n], y[:n], None, np.arange(n))
    mean, deviation = mixture.mean_deviation(X)
    assert bool(torch.isfinite(mean).all())
    assert bool((deviation > 0).all())
    assert (worth is None) == (n < 5)
    assert leave_one_out(mixture, np.arange(n)).candidates == n
    same = QUICK.fit(X[:n], torch.zeros(n, dtype=torch.float64))
    assert bool((same.mean_deviation(X)[1] > 0).all())


def test_a_mixture_has_the_moments_of_its_draws() -> None:
    X, y = drawn("sparse", 25, 4, 3)
    mixture = QUICK.fit(X, y)
    assert len(mixture.components) > 1
    new = drawn("sparse", 3, 4, 9)[0]
    draws = mixture.sample(new, 40_000, np.random.default_rng(0))
    mean, covariance = mixture.joint(new)
    spread = covariance.diagonal().sqrt()
    assert bool(((draws.mean(dim=0) - mean).abs() < 0.03 * spread).all())
    assert torch.allclose(torch.cov(draws.T), covariance, atol=0.05 * float(spread.max()) ** 2)
    alone, deviation = mixture.mean_deviation(new)
    assert torch.allclose(alone, mean)
    assert torch.allclose(deviation.square(), covariance.diagonal(), rtol=1e-6)
    assert mixture.noise_variance > 0


@given(st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6), st.integers(1, 500))
def test_draws_are_shared_out_in_proportion(weights: list[float], draws: int) -> None:
    share = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    counts = torch.bincount(owners(draws, share), minlength=len(weights))
    assert int(counts.sum()) == draws
    assert bool(((counts - draws * share).abs() <= 3.0 + 0.02 * draws).all())


@given(st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5))
def test_a_single_draw_is_from_each_component_as_often_as_it_weighs(weights: list[float]) -> None:
    share = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    taken = torch.cat([owners(1, share, turn) for turn in np.linspace(0.0, 1.0, 2_000, endpoint=False).tolist()])
    assert torch.bincount(taken, minlength=len(weights)) / 2_000 == pytest.approx(share.numpy(), abs=2e-3)


def test_samples_come_from_more_than_one_component() -> None:
    X, y = drawn("sparse", 15, 3, 0)
    parts = tuple(GaussianProcess().fit(X, y + shift) for shift in (0.0, 1e6))
    mixture = Weighted(parts, (0.5, 0.5), ("low", "high"))
    generator = np.random.default_rng(0)
    found = [float(mixture.sample(X[:1], 1, generator)) > 5e5 for _ in range(60)]
    assert 15 < sum(found) < 45


def test_a_model_alone_is_a_mixture_of_one() -> None:
    X, y = drawn("sparse", 15, 3, 0)
    alone = GaussianProcess().fit(X, y)
    mixture = Weighted((alone,), (1.0,), ("each",))
    assert torch.equal(mixture.mean_deviation(X)[0], alone.mean_deviation(X)[0])
    assert torch.allclose(mixture.joint(X)[1], alone.joint(X)[1])
    normal = torch.randn(5, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mixture.draw(X, normal), alone.draw(X, normal))
    rows = np.arange(15)
    assert leave_one_out(mixture, rows).to_dict() == leave_one_out(alone, rows).to_dict()


def table() -> tuple[Layout, np.ndarray]:
    """Two numbers; a solvent by name and by two descriptors; a base by name; a fingerprint."""
    rng = np.random.default_rng(0)
    solvent, base = rng.integers(4, size=60), rng.integers(3, size=60)
    described = rng.normal(size=(4, 2))
    raw = np.hstack(
        [rng.random((60, 2)), np.eye(4)[solvent], described[solvent], np.eye(3)[base], rng.random((60, 8)) < 0.4]
    )
    blocks = (
        Block("numbers", "numbers", 0, 2),
        Block("solvent", "categories", 2, 6),
        Block("solvent", "descriptors", 6, 8),
        Block("base", "categories", 8, 11),
        Block("molecule", "fingerprint", 11, 19),
    )
    scaling = Scaling.over(raw)
    return Layout.of(scaling, blocks, raw), scaling.apply(raw)


def test_what_is_compared_depends_on_what_the_features_are() -> None:
    layout, X = table()
    forms = candidates(layout)
    assert list(forms) == ["one", "only-categories", "only-descriptors", "each", "blocks", "plane"]
    assert len(forms) <= MOST
    assert {*candidates(Layout.plain(3))} == {"one", "each", "plane", "terms"}
    assert {*candidates(Layout.plain(1))} >= {"one"}
    A = torch.from_numpy(X)
    for name, form in forms.items():
        lengths = torch.ones(len(form.dimensions), dtype=torch.float64)
        shares = torch.cat([torch.full((k,), 1.0 / k, dtype=torch.float64) for k in form.sums] or [torch.empty(0)])
        K = form.across(lengths, shares, A, A)
        assert float(torch.linalg.eigvalsh(K)[0]) > -1e-8, name
    moved = A.clone()
    moved[:, 6:8] += 1.0  # descriptors mean nothing to the kernel of categories, and the other way round
    here = forms["only-categories"].across(torch.ones(3), torch.empty(0), A, moved)
    assert torch.allclose(here, forms["only-categories"].across(torch.ones(3), torch.empty(0), A, A))


def test_categories_that_act_by_name_are_told_by_their_mismatches() -> None:
    rng = np.random.default_rng(1)
    cells = rng.integers(6, size=(70, 2))
    raw = np.hstack([np.eye(6)[cells[:, 0]], np.eye(6)[cells[:, 1]], rng.random((70, 1))])
    effect = rng.normal(size=(6, 6))
    y = effect[cells[:, 0], cells[:, 1]] + 0.5 * raw[:, -1]
    blocks = (Block("a", "categories", 0, 6), Block("b", "categories", 6, 12), Block("x", "numbers", 12, 13))
    scaling = Scaling.over(raw)
    model = replace(QUICK, layout=Layout.of(scaling, blocks, raw))
    told = model.fit(torch.from_numpy(scaling.apply(raw)), torch.from_numpy(y)).record["log_density_per_observation"]
    assert told["mixed"] > max(told["one"], told["plane"])


def test_encodings_are_compared_under_one_kernel() -> None:
    layout, X = table()
    forms = encodings(layout)
    assert list(forms) == ["each", "each-categories", "each-descriptors"]
    assert [len(form.dimensions) for form in forms.values()] == [19, 17, 15]
    A = torch.from_numpy(X)
    for name, left_out in (("each-categories", slice(6, 8)), ("each-descriptors", slice(2, 6))):
        moved = A.clone()
        moved[:, left_out] += 1.0
        lengths = torch.ones(len(forms[name].dimensions), dtype=torch.float64)
        told = [forms[name].across(lengths, torch.empty(0), A, B) for B in (A, moved)]
        assert torch.allclose(*told)
    assert list(encodings(Layout.plain(3))) == ["each"]


def test_a_number_that_says_whether_there_is_a_value_is_no_second_encoding() -> None:
    raw = np.hstack([np.eye(3)[[0, 1, 2, 0]], np.array([[1.0], [1.0], [0.0], [1.0]])])
    blocks = (Block("base", "categories", 0, 3), Block("base", "numbers", 3, 4))
    layout = Layout.of(Scaling.over(raw), blocks, raw)
    assert told_twice(blocks) == set()
    assert layout.doubled == ()
    assert layout.preferring("descriptors") == layout
    with_descriptors = (*blocks[:1], Block("base", "descriptors", 3, 4))
    assert told_twice(with_descriptors) == {"base"}


@pytest.mark.parametrize(
    ("acts", "wins", "loses"), [(0, "categories", "descriptors"), (1, "descriptors", "categories")]
)
def test_the_encoding_that_a_substance_acts_by_wins(acts: int, wins: str, loses: str) -> None:
    """Each of 16 substances has an effect of its own, or one that two descriptors tell."""
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        cells, described = rng.integers(16, size=48), rng.random((16, 2))
        effect = (rng.normal(size=16), 3.0 * described[:, 0] + np.sin(4.0 * described[:, 1]))[acts]
        raw = np.hstack([np.eye(16)[cells], described[cells], rng.random((48, 1))])
        blocks = (
            Block("base", "categories", 0, 16),
            Block("base", "descriptors", 16, 18),
            Block("x", "numbers", 18, 19),
        )
        scaling = Scaling.over(raw)
        model = replace(QUICK, between="encodings", layout=Layout.of(scaling, blocks, raw))
        y = effect[cells] + 0.5 * raw[:, -1] + 0.1 * rng.normal(size=48)
        record = model.fit(torch.from_numpy(scaling.apply(raw)), torch.from_numpy(y)).record
        told = record["log_density_per_observation"]
        gains.append(told[f"each-{wins}"] - told[f"each-{loses}"])
        assert "joint" not in record["all_weights"]
    assert np.mean(gains) > 0.0
