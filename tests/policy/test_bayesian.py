"""The Bayesian policy: its start, its choice, its words, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from discover.errors import InvalidInput
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.options import Acquisition
from discover.policy.random import Random
from discover.protocols import View
from discover.surrogate.predict import predict
from discover.values import Block, BlockKind, Training
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of

X = features_of(300)
Y = answers_of(X)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_it_fills_space_until_enough_is_known_wherever_that_came_from() -> None:
    policy = Bayesian(start=10)
    first = policy.propose(view_of(X), 5, rng())
    assert {p.details["phase"] for p in first} == {"start"}
    assert all("space-filling" in p.reason and "0 of the 10" in p.reason and not p.predicted for p in first)
    assert first.learned["verdict"] == "no model yet: 0 of 10 observations"
    told_elsewhere = policy.propose(view_of(X, range(10)), 5, rng())
    assert {p.details["phase"] for p in told_elsewhere} == {"model"}
    mixed = policy.propose(view_of(X, range(8)), 5, rng())
    assert [p.details["phase"] for p in mixed] == ["start", "start", "model", "model", "model"]
    still = policy.propose(view_of(X, range(4)), 9, rng())
    assert {p.details["phase"] for p in still} == {"start"}


def test_auto_compares_models_where_a_few_numbers_describe_a_candidate() -> None:
    def weights(policy: Bayesian, view: View) -> bool:
        return "weights" in policy.propose(view, 1, rng()).proposals[0].details["models"]["strength"]

    few, many = view_of(X, range(12)), view_of(features_of(60, 11), range(12))
    names = replace(few, features=replace(few.features, blocks=(Block("solvent", "categories", 0, 3),)))
    assert weights(Bayesian(model="auto"), few) == weights(Bayesian(model="evidence"), few) is True
    assert not weights(Bayesian(model="auto"), many)
    assert not weights(Bayesian(model="auto"), names)
    assert not weights(Bayesian(model="auto", lengths="one"), few)
    assert Bayesian() == Bayesian(model="auto")
    with pytest.raises(InvalidInput, match="decides on kernel and lengths itself"):
        Bayesian(model="evidence", lengths="one")


def test_auto_compares_encodings_where_a_column_is_told_in_several_ways() -> None:
    def compared(view: View, **options: Any) -> set[str]:
        told = Bayesian(**options).propose(view, 1, rng()).proposals[0].details["models"]["strength"]
        return set(told.get("all_weights", ()))

    def view(*kinds: BlockKind) -> View:
        blocks = tuple(Block("solvent", kind, k, k + 1) for k, kind in enumerate(kinds))
        plain = view_of(X, range(12))
        return replace(plain, features=replace(plain.features, blocks=(*blocks, Block("x", "numbers", len(kinds), 3))))

    twice = view("categories", "descriptors")
    assert compared(twice) == {"each", "each-categories", "each-descriptors"}
    assert not compared(view("categories"))
    assert not compared(view("categories", "numbers"))
    assert not compared(twice, model="single")
    assert not compared(twice, kernel="rbf")
    assert "only-descriptors" in compared(twice, model="evidence")


def test_a_start_may_be_drawn_at_random_with_a_known_chance() -> None:
    batch = Bayesian(filling="random").propose(view_of(X, range(2)), 5, rng())
    assert {p.details["phase"] for p in batch} == {"start"}
    assert all(p.policy == "bayesian" and p.probability == pytest.approx(5 / 298) for p in batch)
    assert "drawn at random" in batch.proposals[0].reason
    assert "2 of the 10 observations" in batch.proposals[0].reason


def test_replicates_are_one_observation_and_every_target_must_have_its_own() -> None:
    view = view_of(X, range(10))
    once = view.training["strength"]
    rows = np.zeros(10, dtype=np.int64)
    replicates = replace(view, training={"strength": replace(once, rows=rows)})
    assert {p.details["phase"] for p in Bayesian().propose(replicates, 2, rng())} == {"start"}
    two = Objective([Target("strength"), Target("cost")])
    partial = view_of(X, range(10), objective=two)
    empty = Training(rows[:0], once.values[:0], once.stds[:0], once.bounds[:0])
    partial = replace(partial, training={**partial.training, "cost": empty})
    assert {p.details["phase"] for p in Bayesian().propose(partial, 2, rng())} == {"start"}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_finds_the_best_sooner_than_chance(direction: str) -> None:
    objective = Objective("strength", direction)  # type: ignore[arg-type]
    sign = 1 if direction == "maximize" else -1
    ends: dict[str, list[float]] = {"ours": [], "blind": []}
    for seed in range(3):
        for name, policy in (("ours", Bayesian(draws=64)), ("blind", Random())):
            known: list[int] = []
            while len(known) < 25:
                known += rows_of(policy.propose(view_of(X, known, objective=objective), 5, rng(seed + len(known))))  # type: ignore[attr-defined]
            ends[name].append(float((sign * Y[known]).max()))
    assert min(ends["ours"]) >= np.sort(sign * Y)[-3]
    assert np.mean(ends["ours"]) > np.mean(ends["blind"])


def test_a_target_value_and_a_band_are_approached() -> None:
    for objective, limit in (
        (Objective("strength", "match", value=130.0), 1.0),
        (Objective("strength", "match", band=(125.0, 126.0)), 0.1),
    ):
        known = list(range(10))
        for k in range(3):
            known += rows_of(Bayesian().propose(view_of(X, known, objective=objective), 5, rng(k)))
        assert -float(objective.targets[0].utility(Y[known]).max()) <= limit


@pytest.mark.parametrize("acquisition", ["expected-improvement", "hypervolume", "parego"])
def test_constraints_and_several_targets_are_pursued_together(acquisition: Acquisition) -> None:
    objective = Objective([Target("strength"), Target("cost", "minimize")], constraints=["cost <= 0.2"])
    values = {"strength": Y, "cost": np.abs(X[:, 1]) + 0.1}
    known = list(range(10))
    later: list[int] = []
    for k in range(4):
        view = view_of(X, known + later, objective=objective, values=values)
        batch = Bayesian(acquisition=acquisition).propose(view, 5, rng(k))
        later += rows_of(batch)
        assert set(batch.proposals[0].predicted) == {"strength", "cost"}
        if acquisition == "parego":
            assert sum(batch.learned["weights"].values()) == pytest.approx(1.0)
        else:
            assert set(batch.learned["reference_utilities"]) == {"strength", "cost"}
    kept = values["cost"][later] <= 0.2
    assert kept.mean() > 3 * (values["cost"] <= 0.2).mean()


def test_every_proposal_says_why_in_words_and_numbers() -> None:
    view = view_of(X, range(20), pending=[30])
    batch = Bayesian(model="single").propose(view, 3, rng())
    free = int((~view.blocked).sum())
    best = Y[:20].max()
    for place, proposal in enumerate(batch, start=1):
        row = rows_of([proposal])[0]
        mean, std = (a[0] for a in predict(view, X[[row]])["strength"])
        assert proposal.predicted["strength"].mean == pytest.approx(mean)
        assert proposal.predicted["strength"].std == pytest.approx(std)
        assert proposal.reason.startswith(f"expected to exceed the best so far ({best:.3g} GPa) with probability ")
        assert (
            f"rank {proposal.rank} of {free} by log expected improvement; 1 pending taken into account"
            in proposal.reason
        )
        details = proposal.details
        assert details["place_in_batch"] == place
        assert details["rank"] == proposal.rank
        assert details["chunk"] == 2048
        assert details["threads"] == torch.get_num_threads()
        assert {"torch", "botorch", "gpytorch"} <= set(details["versions"])
        assert details["models"]["strength"]["kernel"] == "matern"
        assert len(details["seeds"]) == 2
    assert batch.proposals[0].rank <= 5


@pytest.mark.parametrize("incumbent", ["measured", "believed"])
def test_the_rank_is_the_place_of_the_score_among_free_candidates(incumbent: Literal["measured", "believed"]) -> None:
    from discover.acquisition.improvement import log_expected_improvement

    view = view_of(X, range(20))
    free = np.flatnonzero(~view.blocked)
    mean, std = predict(view, X[free])["strength"]
    believed = predict(view, X[:20])["strength"][0].max()
    seen = {"measured": view.training["strength"].values.max(), "believed": believed}[incumbent]
    scores = log_expected_improvement(torch.from_numpy(mean), torch.from_numpy(std), float(seen)).numpy()
    for proposal in Bayesian(incumbent=incumbent, model="single").propose(view, 4, rng()):
        place = int(np.flatnonzero(free == rows_of([proposal])[0])[0])
        assert proposal.acquisition == pytest.approx(scores[place])
        assert proposal.rank == 1 + int((scores > scores[place]).sum())


def test_pending_candidates_are_spread_from() -> None:
    """A twin of the best candidate is worth little while the best is under trial."""
    twins = np.vstack([X, X])
    view = view_of(twins, range(20))
    first = rows_of(Bayesian().propose(view, 1, rng()))[0]
    pending = replace(view, pending=np.array([first]), blocked=view.blocked | (np.arange(600) == first))
    assert rows_of(Bayesian().propose(pending, 1, rng()))[0] % 300 != first % 300


def test_it_is_bit_identical_and_takes_up_what_it_left() -> None:
    view = view_of(X, range(20))
    torch.manual_seed(1)
    state, dtype, threads = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    policy = Bayesian(model="single")
    once, again = (policy.propose(view, 5, rng(3)) for _ in range(2))
    assert once == again
    assert Bayesian().propose(view, 5, rng(3)) == Bayesian().propose(view, 5, rng(3))
    assert torch.equal(state, torch.random.get_rng_state())
    assert (torch.get_default_dtype(), torch.get_num_threads()) == (dtype, threads)
    stored = json.loads(json.dumps(once.learned, allow_nan=False))
    assert stored == json.loads(json.dumps(again.learned))
    memory = stored["memory"]
    warm = policy.propose(replace(view, memory=memory), 5, rng(3))
    first, second = (b.learned["targets"]["strength"]["objective"] for b in (once, warm))
    assert second >= first
    assert memory["surrogate"]["strength"]["lengths"] == once.learned["targets"]["strength"]["lengths"]


def test_it_repeats_in_another_process_at_the_same_number_of_threads() -> None:
    script = (
        "import sys, torch; torch.set_num_threads(1); sys.path.insert(0, '.');"
        "import numpy as np; from tests.policy.policy_views import *; from discover.policy.bayesian.bayesian import Bayesian;"
        "b = Bayesian().propose(view_of(features_of(300), range(20)), 5, np.random.default_rng(3));"
        "print([(p.candidate_id, p.acquisition.hex(), p.predicted['strength'].mean.hex()) for p in b])"
    )
    here = __file__.rsplit("/tests/", 1)[0]
    runs = [
        subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0].count("c0") == 5


def test_the_shortlist_the_chunks_and_the_order_of_told_results_hardly_matter() -> None:
    view = view_of(X, range(20))
    whole = rows_of(Bayesian(shortlist=280, draws=512).propose(view, 5, rng()))
    short = rows_of(Bayesian(shortlist=60, draws=512, chunk=7).propose(view, 5, rng()))
    assert whole[0] in short[:2]
    assert len(set(whole) & set(short)) >= 3


def test_the_short_list_grows_with_the_batch() -> None:
    batch = Bayesian(shortlist=4).propose(view_of(X, range(20)), 8, rng())
    assert all("log_joint_gain" in p.details for p in batch)
    assert {p.details["shortlist"] for p in batch} == {16}
    assert {p.details["shortlist"] for p in Bayesian(shortlist=30).propose(view_of(X, range(20)), 8, rng())} == {30}


def test_the_verdict_is_sober_about_noise_and_glad_about_a_trend() -> None:
    glad = Bayesian().propose(view_of(X, range(30)), 1, rng()).learned
    assert glad["verdict"].startswith(("clearly better", "better"))
    assert glad["targets"]["strength"]["leave_one_out"]["coverage_90"] > 0.7
    noise = {"strength": rng(5).normal(size=300)}
    sober = Bayesian().propose(view_of(X, range(30), values=noise), 1, rng()).learned
    assert sober["verdict"].startswith(("no better", "not clearly better"))


def test_identical_observations_and_a_constant_pool_are_survived() -> None:
    flat = {"strength": np.full(300, 5.0)}
    for view in (view_of(X, range(12), values=flat), view_of(np.ones((300, 2)), range(12))):
        batch = Bayesian().propose(view, 5, rng())
        assert len(batch) == 5
        assert all(np.isfinite(p.predicted["strength"].std) for p in batch)


def test_options_are_checked_all_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        Bayesian(start=0, shortlist=0, draws=1, chunk=0)
    assert [problem.column for problem in caught.value.problems] == ["start", "shortlist", "draws", "chunk"]


def test_predictions_are_those_of_its_own_model() -> None:
    view: View = view_of(X, range(20))
    rbf = Bayesian(kernel="rbf").predict(view, X[:3])["strength"]
    plain = predict(view, X[:3])["strength"]
    assert rbf[0].shape == plain[0].shape == (3,)
    assert not np.allclose(rbf[1], plain[1])


def test_the_room_is_imported_without_torch() -> None:
    script = "import sys, discover.policy.bayesian.bayesian, discover.policy.stopping; assert not {'torch', 'botorch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
