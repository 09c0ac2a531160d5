"""The study of reactions: its split, its contenders, the ratios of its goal by hand, and the whole of it on an invented table."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from efficiency import split as efficiency
from efficiency.catalogue import entry
from efficiency.comparing import ratio_of_means
from efficiency.measures import Scene
from efficiency.pools import load
from efficiency.run import found
from reactions import split
from reactions.contenders import KNOWN, contender

from tests.shared_data import needs_data

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "reactions"


class TestSplit:
    def test_the_committed_split_is_the_one_that_the_rule_draws(self) -> None:
        assert json.loads(split.FILE.read_text()) == split.document()

    def test_tables_of_the_efficiency_study_keep_their_side(self) -> None:
        theirs, ours = json.loads(efficiency.FILE.read_text()), split.draw()
        for side, other in (("development", "test"), ("test", "development")):
            assert not set(ours[side]) & set(theirs[other])
        assert {name for names in ours.values() for name in names} > set(split.SHARED)

    def test_siblings_are_on_one_side(self) -> None:
        sides = split.draw()
        groups = {side: {entry(name).group for name in names} for side, names in sides.items()}
        assert not groups["development"] & groups["test"]
        assert "aryl_amination" in sides["development"]  # the whole of what buchwald_a to e are plates of

    def test_a_table_of_the_other_set_is_refused(self) -> None:
        with pytest.raises(SystemExit, match="not in the set 'development': hplc"):
            found("development", ["hplc"], split.members("development"))


class TestContenders:
    def test_molecules_are_a_question_only_where_there_are_some(self) -> None:
        solvents = load("toy_solvents")
        peer, encoding = contender("substances").at(solvents)
        assert (peer.name, encoding) == ("ours", "own")
        assert contender("botorch").at(solvents)[1] == "same"
        peer, encoding = contender("optuna").at(load("toy_hill"))
        assert encoding == "same"

    @needs_data
    def test_where_there_are_molecules_all_play_on_their_own_encoding(self) -> None:
        pool = load("buchwald_a")
        played = {name: (peer.name, encoding) for name in KNOWN for peer, encoding in [contender(name).at(pool)]}
        assert played == {
            "substances": ("ours:model=evidence,molecules=substances", "own"),
            "published": ("ours", "own"),
            "one-hot": ("ours", "same"),
            "botorch": ("botorch", "same"),
            "baybe": ("baybe", "own"),
            "optuna": ("optuna", "own"),
        }

    def test_settings_of_ours_are_a_contender_too(self) -> None:
        one = contender("ours:model=single,molecules=substances@own")
        assert one.peer.options == {"model": "single", "molecules": "substances"}
        with pytest.raises(ValueError, match="peer@same or peer@own"):
            contender("ours:model=evidence")


class TestTables:
    @needs_data
    @pytest.mark.parametrize(
        ("name", "rows", "numbers", "best"),
        [
            ("aryl_amination", 3955, 44, 100.0), ("alkoxylation", 104, 4, 106.481), ("suzuki_flow_i", 74, 10, 98.7),
            ("suzuki_flow_ii", 75, 10, 47.6), ("merck_cn", 1536, 31, 1.0), ("nib_meoh", 759, 56, 100.0),
        ],
    )  # fmt: skip
    def test_they_are_read_as_their_sources_say(self, name: str, rows: int, numbers: int, best: float) -> None:
        pool = load(name)
        assert pool.common.shape == (rows, numbers)
        assert max(max(told) for told in pool.told) == pytest.approx(best, rel=1e-3)

    def test_to_the_top_five_percent_by_hand(self) -> None:
        scene = Scene.of(np.arange(100.0), 20)
        worth = scene.worth([0, 1, 95, 99])
        assert (worth.to_five, worth.reached_five, worth.to_top, worth.reached_top) == (3, 1, 4, 1)
        assert scene.worth([0, 94]).to_five == 21
        chance = scene.chance([0])
        assert chance.reached_top < chance.reached_five < 1.0
        assert 1 < chance.to_five < chance.to_top <= 21

    def test_one_that_knows_the_answers_tries_the_best_after_the_starts(self) -> None:
        scene = Scene.of(np.arange(100.0), 20)
        for starts, five, best in [([0, 1, 95], 3, 4), ([0, 1], 3, 3), ([99, 0], 1, 1)]:
            worth = scene.foresight(starts)
            assert (worth.to_five, worth.to_best, worth.reached_best) == (five, best, 1)
            anyone = [scene.worth([*starts, *np.random.default_rng(seed).permutation(90)[:5]]) for seed in range(20)]
            assert all(one.to_five >= five and one.to_best >= best for one in anyone)


class TestRatio:
    def test_siblings_share_a_vote_and_the_mean_is_geometric(self) -> None:
        halves, twice = np.array([[10.0, 20.0], [30.0, 60.0]]), np.array([[20.0, 10.0], [20.0, 10.0]])
        values = {"a": halves, "a's sibling": halves, "b": twice}
        groups = {"a": "a", "a's sibling": "a", "b": "b"}
        for tables in (False, True):
            assert ratio_of_means(values, groups, tables=tables).mean == pytest.approx(1.0)
        assert ratio_of_means({"a": halves}, groups).mean == pytest.approx(0.5)

    def test_the_interval_over_tables_is_wider(self) -> None:
        rng = np.random.default_rng(0)
        values = {f"t{k}": 20.0 + 3.0 * k * np.array([1.0, -1.0]) + rng.normal(size=(10, 2)) for k in range(5)}
        seeds, both = (ratio_of_means(values, {name: name for name in values}, tables=also) for also in (False, True))
        assert both.low < seeds.low < seeds.mean < seeds.high < both.high

    def test_only_pairs_that_differ_widen_it(self) -> None:
        steady = np.array([[10.0, 20.0], [20.0, 40.0], [40.0, 80.0]])
        found = ratio_of_means({"a": steady}, {"a": "a"})
        assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_study_is_played_and_made_into_tables_by_one_command(tmp_path: Path) -> None:
    kept, out = tmp_path / "runs", tmp_path / "out"
    common = ["--set", "toy", "--contenders", "substances", "one-hot", "--runs", str(kept)]
    script = [sys.executable, str(SCRIPTS / "play.py"), *common, "--hours", "1", "--seeds", "2"]
    first = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert first.count(": done") == 4
    again = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert again == "all is played\n"
    subprocess.run(
        [sys.executable, str(SCRIPTS / "table.py"), *common, "--out", str(out)], check=True, stdout=subprocess.DEVNULL
    )
    text = (out / "reactions-toy.md").read_text()
    assert "4 paired runs, five at a time after ten random starts: 4 done, 0 late, 0 failed" in text
    assert "| ours: one-hot | " in text
    floor = text.split("What the starts leave to be gained")[1].split("![")[0]
    assert re.findall(r"^\| ([^|]+) \| [\d.]+ \[", floor, flags=re.M) == [
        "ours: substances, by evidence", "ours: one-hot", "chance (exact)",
    ]  # fmt: skip
    body = json.loads((out / "reactions-toy.json").read_text())
    assert [len(runs) for runs in body["tables"]["toy_solvents"]["runs"].values()] == [2, 2]
    assert (out / "reactions-toy.png").read_bytes().startswith(b"\x89PNG")
