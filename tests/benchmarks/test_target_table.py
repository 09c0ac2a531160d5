"""The tables of the benchmark of targets: paired, counted, and made again from their JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import target_table
import targets  # noqa: F401  puts all tasks under their names
from target_policies import policies_of
from target_table import Played, markdown, played, write
from target_tasks import task


def made(name: str, policy: str, seed: int, area: float, end: float, **more: Any) -> dict[str, Any]:
    versions, machine = {"torch": "2"}, {"processor": "x", "cpus": 2}
    return {
        "rules": target_table.RULES, "task": name, "policy": policy, "seed": seed, "rows": [1, 2], "area": area,
        "end": end, "closing": {}, "seconds": 1.0, "cpu_seconds": 1.0, "library": "abc", "at": "now",
        "versions": versions, "machine": machine, **more,
    }  # fmt: skip


def study(name: str = "toy-hits", seeds: int = 5) -> list[dict[str, Any]]:
    policies = policies_of(task(name))
    return [
        made(name, p, s, 0.1 * k, 0.9 - 0.1 * k + 0.01 * s * k) for k, p in enumerate(policies) for s in range(seeds)
    ]


def test_a_policy_enters_with_the_seeds_that_ours_has_played_too() -> None:
    runs = [run for run in study() if (run["policy"], run["seed"]) not in {("random", 3), ("hits", 0)}]
    one = Played.of("toy-hits", runs)
    seeds = {policy: [run["seed"] for run in found] for policy, found in one.runs.items()}
    assert seeds.pop("random") == [1, 2, 4]
    assert all(found == [1, 2, 3, 4] for found in seeds.values())
    assert one.gaps("random") == pytest.approx([0.3 - 0.03 * seed for seed in (1, 2, 4)])


def test_a_task_that_one_policy_has_played_alone_is_left_out() -> None:
    assert played([run for run in study() if run["policy"] == "random"]) == []
    assert played([run for run in study() if run["policy"] in ("random", "hits")])[0].peer is None


def test_hits_count_by_their_end_and_a_front_by_its_area() -> None:
    hits, front = Played.of("toy-hits", study()), Played.of("toy-front", study("toy-front"))
    assert hits.ours == "hits"
    assert hits.peer == "botorch-probability"
    assert hits.gaps("random") == pytest.approx(0.3 - 0.03 * np.arange(5))
    assert hits.difference("random").mean == pytest.approx(0.24)
    assert front.gaps("random") == pytest.approx(np.full(5, -0.3))


def test_the_table_tells_differences_bands_and_counts() -> None:
    text = markdown([Played.of("toy-hits", study())])
    row = next(line for line in text.splitlines() if "| random |" in line).split(" | ")
    assert row[1] == "random"
    assert row[5].startswith("+0.240 [+0.2")
    assert row[6:8] == ["5", "0"]
    assert "| hits | 1 | +0.160 | 1 | 0 | 0 |" in text
    assert "| toy-hits | hits | 5 |" in text


@pytest.mark.parametrize(("seeds", "mean"), [(1, "+0.200"), (4, "+0.170")])
def test_one_seed_has_no_band_and_few_decide_nothing(seeds: int, mean: str) -> None:
    text = markdown([Played.of("toy-hits", study(seeds=seeds))])
    assert "inf" not in text
    assert "nan" not in text
    assert f"| hits | 1 | {mean} | 0 | 0 | 1 |" in text


def test_tables_are_put_in_their_place_and_the_json_makes_them_again(tmp_path: Path) -> None:
    document, data = tmp_path / "d.md", tmp_path / "d.json"
    document.write_text(f"before\n{target_table.BEGIN}\nold\n{target_table.END}\nafter\n")
    tasks = played([*study(), *study("toy-front")])
    write(tasks, document, data)
    write(tasks, document, data)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| toy-hits |") == 1
    body = json.loads(data.read_text())
    again = [
        made(name, policy, **{k: run[k] for k in ("seed", "area", "end")}, versions=body["versions"][0])
        for name, one in body["tasks"].items()
        for policy, runs in one["runs"].items()
        for run in runs
    ]
    assert markdown(played(again)) == markdown(tasks)
