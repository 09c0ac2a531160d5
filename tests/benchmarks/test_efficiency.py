"""The efficiency study: its split, pools, measures, comparisons and conversations, on cases that a hand can check."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from efficiency import comparing, encodings, peers, pools, run, runs, split
from efficiency.catalogue import FAMILIES, POOLS, entry
from efficiency.measures import Scene, no_hit
from efficiency.talk import Conversation

from tests.shared_data import needs_data

ROOT = Path(__file__).resolve().parents[2]


class TestSplit:
    def test_the_committed_split_is_the_one_that_the_rule_draws(self) -> None:
        assert json.loads(split.FILE.read_text()) == split.document()

    def test_every_pool_is_on_one_side_with_all_its_siblings(self) -> None:
        sides = {name: set(split.draw()[name]) for name in ("development", "test")}
        assert sides["development"] | sides["test"] == {e.name for e in POOLS}
        assert not sides["development"] & sides["test"]
        for one in POOLS:
            side = next(names for names in sides.values() if one.name in names)
            assert {e.name for e in POOLS if e.group == one.group} <= side
        for family in FAMILIES:
            assert all(any(entry(name).family == family for name in names) for names in sides.values())

    def test_what_the_defaults_were_chosen_on_is_not_in_the_test(self) -> None:
        assert not any(entry(name).seen for name in split.draw()["test"])

    def test_a_pool_of_the_other_set_is_refused(self) -> None:
        with pytest.raises(SystemExit, match="not in the set 'development': agnp"):
            run.found("development", ["agnp"])

    def test_the_test_set_warns_that_it_is_to_be_read_once(self, capsys: Any, tmp_path: Path) -> None:
        run.main(["--set", "test", "--hours", "0", "--pools", "agnp", "--peers", "ours", "--runs", str(tmp_path)])
        assert "It is to be read once, with the defaults frozen" in " ".join(capsys.readouterr().err.split())


class TestPools:
    def test_replicates_are_one_candidate_whose_truth_is_their_mean_and_one_of_which_is_told(self) -> None:
        pool = pools.load("toy_hill")
        assert len(pool) == 64
        doubled = [row for row, told in enumerate(pool.told) if len(told) == 2]
        assert len(doubled) == 4
        seen = {tuple(pool.answers(seed)[doubled].round(6)) for seed in range(20)}
        assert len(seen) > 4
        for row in doubled:
            assert pool.truth[row] == pytest.approx(np.mean(pool.told[row]))
            assert all(pool.answers(seed)[row] in pool.told[row] for seed in range(5))

    def test_starts_are_the_same_for_everybody_and_another_set_for_each_seed(self) -> None:
        pool = pools.load("toy_solvents")
        assert pool.starts(3).tolist() == pools.load.__wrapped__("toy_solvents").starts(3).tolist()
        assert len({tuple(pool.starts(seed)) for seed in range(10)}) == 10
        assert len(set(pool.starts(0).tolist())) == 10

    def test_a_horizon_is_a_quarter_of_the_pool_and_at_most_a_hundred(self) -> None:
        assert (pools.load("toy_hill").horizon, pools.load("toy_solvents").horizon) == (16, 15)

    def test_what_peers_read_holds_no_answer(self, tmp_path: Path) -> None:
        folder = pools.load("toy_solvents").write(tmp_path)
        about = json.loads((folder / "about.json").read_text())
        assert sorted(about) == ["columns", "ids", "name", "names", "raw"]
        assert [column["name"] for column in about["columns"]] == ["solvent", "temperature"]
        assert np.load(folder / "common.npy").shape == (60, 13)

    def test_files_that_are_not_there_are_said(self, tmp_path: Path) -> None:
        with pytest.raises(pools.Missing, match=r"autoam: .*AutoAM"):
            pools.load("autoam", tmp_path)

    @needs_data
    @pytest.mark.parametrize(
        ("name", "rows", "numbers", "best"),
        [("autoam", 100, 4, 0.936549), ("crossed_barrel", 600, 4, 46.7114), ("agnp", 164, 5, 0.148361), ("buchwald_a", 792, 32, 55.5659)],
    )  # fmt: skip
    def test_real_pools_are_read_as_their_sources_say(self, name: str, rows: int, numbers: int, best: float) -> None:
        pool = pools.load(name)
        assert pool.common.shape == (rows, numbers)
        assert pool.sign * pool.utilities.max() == pytest.approx(best, rel=1e-4)
        assert len(set(pool.ids)) == rows
        assert np.isfinite(pool.common).all()
        assert np.isfinite(pool.truth).all()


class TestEncodings:
    def test_a_formula_s_statistics_are_weighted_by_amount(self) -> None:
        names = encodings.composition_names()
        row = dict(zip(names, encodings.compositions(["Al2O3", "Ne"])[0], strict=True))
        assert len(names) == 25
        assert row["electronegativity_mean"] == pytest.approx(0.4 * 1.61 + 0.6 * 3.44)
        assert row["electronegativity_deviation"] == pytest.approx(2 * 0.4 * 0.6 * (3.44 - 1.61))
        assert (row["row_min"], row["row_max"], row["group_max"], row["elements"]) == (2, 3, 16, 2)
        assert np.isfinite(encodings.compositions(["Ne", "He"])).all()

    def test_correlated_and_constant_columns_are_left_out_in_order(self) -> None:
        a = np.array([0.0, 1.0, 2.0, 3.0])
        table = {"a": a, "twin": -2 * a, "flat": np.ones(4), "b": np.array([1.0, -1.0, -1.0, 1.0])}
        assert list(encodings.decorrelated(table)) == ["a", "b"]


class TestMeasures:
    scene = Scene.of(np.array([0.0, 1.0, 2.0, 3.0, 10.0]), 3)

    def test_a_run_by_hand(self) -> None:
        worth = self.scene.worth([1, 3, 2])
        assert worth.curve == pytest.approx([0.1, 0.3, 0.3])
        assert worth.area == pytest.approx(0.7 / 3)
        assert (worth.to_best, worth.reached_best, worth.to_top, worth.found, worth.enhancement) == (4, 0, 4, 0, 0)
        found = self.scene.worth([1, 4, 2])
        assert (found.to_best, found.reached_best, found.found) == (2, 1, 1)
        assert found.enhancement == pytest.approx(5 / 3)

    def test_a_run_that_ended_early_keeps_what_it_had(self) -> None:
        worth = self.scene.worth([3])
        assert worth.curve == pytest.approx([0.3, 0.3, 0.3])
        assert worth.to_best == 4

    @pytest.mark.parametrize("starts", [[1], [2, 0], [4], [0, 1, 2]])
    def test_chance_is_the_mean_over_all_orders(self, starts: list[int]) -> None:
        rest = [row for row in range(5) if row not in starts]
        orders = [[*starts, *order] for order in itertools.permutations(rest, 3 - len(starts))]
        every = [self.scene.worth(order) for order in orders]
        chance = self.scene.chance(starts)
        assert chance.curve == pytest.approx(np.mean([worth.curve for worth in every], axis=0))
        for name in ("area", "to_best", "reached_best", "to_top", "reached_top", "found", "enhancement"):
            assert getattr(chance, name) == pytest.approx(np.mean([getattr(worth, name) for worth in every])), name

    def test_no_hit_is_hypergeometric(self) -> None:
        assert no_hit(5, 2, 4) == pytest.approx([1, 3 / 5, 3 / 10, 1 / 10, 0])


class TestComparing:
    def test_holm_stops_at_the_first_that_is_not_rejected(self) -> None:
        assert comparing.holm([0.01, 0.04, 0.03, 0.005]).tolist() == [True, False, False, True]
        assert comparing.holm([0.06, 0.001]).tolist() == [False, True]
        assert comparing.holm([]).tolist() == []

    def test_ranks_share_where_areas_are_equal(self) -> None:
        assert comparing.ranks(np.array([0.5, 0.9, 0.5])).tolist() == [2.5, 1, 2.5]

    def test_siblings_share_one_vote(self) -> None:
        values = {"a": np.array(1.0), "b": np.array(3.0), "c": np.array(8.0)}
        assert float(comparing.by_group(values, {"a": "x", "b": "x", "c": "y"})) == 5.0

    def test_mean_ranks_and_a_difference_by_hand(self) -> None:
        groups = {"a": "x", "b": "y"}
        areas = {"a": np.array([[0.9, 0.5], [0.7, 0.5]]), "b": np.array([[0.4, 0.8], [0.4, 0.8]])}
        assert [estimate.mean for estimate in comparing.mean_ranks(areas, groups)] == [1.5, 1.5]
        gain, across = comparing.difference({name: a[:, 0] - a[:, 1] for name, a in areas.items()}, groups)
        assert gain.mean == pytest.approx((0.3 - 0.4) / 2)
        assert across == pytest.approx(np.std([0.3, -0.4], ddof=1) / np.sqrt(2))
        # Of pool a the mean of two seeds is 0.2, 0.3 or 0.4 when resampled, of b always -0.4.
        assert (gain.low, gain.high) == pytest.approx((-0.1, 0.0))
        assert gain.error == pytest.approx(np.sqrt(0.005) / 2, rel=0.1)

    def test_paired_tests(self) -> None:
        assert comparing.paired_p(np.zeros(5)) == 1.0
        assert comparing.paired_p(np.full(5, 0.1)) == 0.0
        assert comparing.paired_p(np.array([0.3])) == 1.0
        # t = 2 / (1 / sqrt(3)) with two degrees of freedom: p = 1 - t / sqrt(2 + t²).
        t = 2 * np.sqrt(3)
        assert comparing.paired_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 - t / np.sqrt(2 + t * t))

    def test_acceleration_is_by_first_crossing_of_the_level_of_chance_at_the_horizon(self) -> None:
        chance = np.array([[0.0, 0.2, 0.4, 0.6], [0.2, 0.4, 0.6, 0.8]])
        assert comparing.acceleration(np.array([[0.1, 0.7, 0.7, 0.9]]), chance) == 2.0
        assert np.isnan(comparing.acceleration(np.array([[0.1, 0.2, 0.3, 0.6]]), chance))

    def test_a_geometric_mean_shares_votes_too(self) -> None:
        assert comparing.geometric({"a": 1.0, "b": 4.0, "c": 8.0}, {"a": "x", "b": "x", "c": "y"}) == pytest.approx(4.0)


@dataclass(frozen=True)
class Fake(peers.Kind):
    """A peer whose driver the test writes."""

    place: Path = Path()

    @property
    def folder(self) -> Path:
        return self.place


def fake(folder: Path, step: str) -> peers.Peer:
    """A peer that runs `step` when it is asked."""
    lines = [
        "import time",
        "from speaking import serve",
        "class One:",
        "    def begin(self, table, encoding, q, seed, options): self.free = list(range(len(table.ids)))",
        "    def step(self, rows, values, n):",
        "        self.free = [row for row in self.free if row not in rows]",
        f"        {step}",
        "serve(One, ())",
    ]
    (folder / "driver.py").write_text("\n".join(lines) + "\n")
    return peers.Peer(Fake("fake", "fake", shared=True, place=folder))


class TestConversation:
    def played(self, peer: peers.Peer, folder: Path, limit: float = 20.0) -> dict[str, Any]:
        pool = pools.load("toy_hill")
        with Conversation(peer.kind, folder / "log.txt") as talk:
            cell = runs.Cell(pool.name, pool.hash, "fake", runs.version_of(talk), "same", 4)
            return runs.play(pool, peer, talk, cell, 0, folder=pool.write(folder), limit=limit)

    def test_an_honest_peer_plays_to_the_horizon(self, tmp_path: Path) -> None:
        record = self.played(fake(tmp_path, "print('noise'); return self.free[:n]"), tmp_path)
        assert (record["status"], record["error"], len(record["rows"]), len(record["seconds"])) == ("done", "", 16, 2)
        assert record["rows"][:10] == pools.load("toy_hill").starts(0).tolist()
        assert record["told"] == pytest.approx(pools.load("toy_hill").answers(0)[record["rows"]].tolist())
        assert "noise" in (tmp_path / "log.txt").read_text()

    @pytest.mark.parametrize(
        ("step", "words"),
        [
            ("return rows[:n]", "different free ones"),
            ("return self.free[:n - 1]", "4 rows were asked for, 3 came"),
            ("return [self.free[0]] * n", "different free ones"),
            ("raise ValueError('no such thing')", "ValueError: no such thing"),
            ("import os; os._exit(3)", "ended with code 3"),
        ],
    )
    def test_a_peer_that_breaks_the_rules_or_itself_is_recorded_with_the_reason(
        self, tmp_path: Path, step: str, words: str
    ) -> None:
        record = self.played(fake(tmp_path, step), tmp_path)
        assert record["status"] == "failed"
        assert words in record["error"]
        assert len(record["rows"]) == 10

    def test_a_peer_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        begun = time.monotonic()
        record = self.played(fake(tmp_path, "time.sleep(60)"), tmp_path, limit=0.5)
        assert (record["status"], len(record["rows"])) == ("late", 10)
        assert time.monotonic() - begun < 30


class TestPeers:
    def test_settings_make_another_peer(self) -> None:
        assert peers.split("botorch,ours:lengths=one,kernel=rbf,random") == [
            "botorch",
            "ours:lengths=one,kernel=rbf",
            "random",
        ]
        peer = peers.parse("ours:lengths=one,kernel=rbf,start=12")
        assert peer.name == "ours:kernel=rbf,lengths=one,start=12"
        assert peer.options == {"lengths": "one", "kernel": "rbf", "start": 12}
        with pytest.raises(KeyError, match="no peer is called 'borch'"):
            peers.parse("borch")

    def test_own_encodings_are_played_only_where_there_is_one(self) -> None:
        solvents, hill = pools.load("toy_solvents"), pools.load("toy_hill")
        found = {
            name: peers.parse(name).encoding(solvents, "own")
            for name in ("ours", "baybe", "optuna", "botorch", "physbo")
        }
        assert found == {"ours": "own", "baybe": "own", "optuna": "own", "botorch": "same", "physbo": "same"}
        assert peers.parse("ours").encoding(hill, "own") == "same"

    def test_every_order_is_seed_by_seed_with_another_first_peer(self) -> None:
        chosen = [peers.parse("ours"), peers.parse("botorch")]
        turns = list(run.order([pools.load("toy_hill")], chosen, ["same", "own"], [1, 5], 2))
        assert [(seed, q, peer.name) for seed, _, q, _, peer in turns] == [
            (0, 1, "ours"), (0, 1, "botorch"), (0, 5, "ours"), (0, 5, "botorch"),
            (1, 1, "botorch"), (1, 1, "ours"), (1, 5, "botorch"), (1, 5, "ours"),
        ]  # fmt: skip

    def test_botorch_by_hand_scores_as_botorch_does(self) -> None:
        import torch
        from botorch.acquisition.analytic import LogExpectedImprovement
        from botorch.models import SingleTaskGP

        driver = load_driver("botorch")
        generator = torch.Generator().manual_seed(0)
        X = torch.rand(40, 3, generator=generator, dtype=torch.float64)
        model = SingleTaskGP(X[:12], X[:12].sum(dim=1, keepdim=True).sin())
        model.eval()
        best = X[:12].sum(dim=1).sin().max()
        by_hand = driver.log_improvement(model, X[12:], best, chunk=9)
        with torch.no_grad():
            assert torch.allclose(by_hand, LogExpectedImprovement(model, best)(X[12:, None]), atol=1e-6)


def load_driver(name: str) -> Any:
    """A driver's module, under a name of its own."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "efficiency" / "wire"))
    try:
        path = ROOT / "benchmarks" / "efficiency" / "peers" / name / "driver.py"
        spec = importlib.util.spec_from_file_location(f"driver_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)
