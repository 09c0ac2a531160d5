"""Whatever a campaign is told, nothing breaks: some of the benchmark's cases, drawn by hypothesis so that a failure shrinks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import degenerate_cases as cases
import numpy as np
import pytest
from degenerate import drawn, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import Unsupported

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/degenerate.py"

CASES = st.builds(
    cases.Case,
    seed=st.integers(0, 10**6),
    rows=st.one_of(st.integers(1, 3), st.integers(4, 25)),
    width=st.sampled_from([1, 2, 3, 8]),
    observed=st.one_of(st.integers(0, 3), st.integers(4, 12)),
    layout=st.sampled_from(cases.LAYOUTS),
    target=st.sampled_from(cases.TARGETS),
    scale=st.sampled_from([0, -12, -3, 3, 12]),
    stds=st.sampled_from(cases.STDS),
    bounds=st.sampled_from(cases.BOUNDS),
    objective=st.sampled_from(cases.OBJECTIVES),
    disjoint=st.booleans(),
    state=st.sampled_from(cases.STATES),
    all_of_it=st.booleans(),
    policy=st.one_of(st.just("expected-improvement"), st.sampled_from(cases.POLICIES)),
    model=st.sampled_from(["single", "single", "single", "evidence"]),
    n=st.sampled_from([1, 2, 5, 40]),
    limits=st.one_of(st.just("none"), st.sampled_from(cases.LIMITS)),
)


@settings(max_examples=60, deadline=None)
@given(case=CASES)
def test_nothing_breaks(case: cases.Case) -> None:
    assert problems(case, again=case.seed % 4 == 0, stopping=case.seed % 4 == 1) == []


@pytest.mark.parametrize("policy", cases.POLICIES)
def test_two_hundred_features_of_five_rows(policy: str) -> None:
    objective = "band" if policy in cases.THRESHOLDED else "two" if policy in cases.SEVERAL else "minimize"
    case = cases.Case(seed=3, rows=9, width=200, observed=5, policy=policy, objective=objective, n=2)
    assert problems(case) == []


def test_the_cases_of_seeds_are_of_every_kind_and_most_reach_a_model() -> None:
    some = [drawn(seed) for seed in range(2000)]
    for field, options in {
        "layout": cases.LAYOUTS, "target": cases.TARGETS, "stds": cases.STDS, "bounds": cases.BOUNDS,
        "objective": cases.OBJECTIVES, "state": cases.STATES, "policy": cases.POLICIES, "limits": cases.LIMITS,
    }.items():  # fmt: skip
        assert {getattr(case, field) for case in some} == set(options)
    phases: Counter[str] = Counter()
    for case in some[:40]:
        try:
            policy = cases.policy_of(case)
            if check := getattr(policy, "check", None):
                check(cases.objective_of(case))
            batch = policy.propose(cases.view_of(case), case.n, np.random.default_rng(0))
            phases[str(batch.learned.get("phase", "none"))] += 1
        except Unsupported:
            phases["unsupported"] += 1
    assert phases["model"] > 20
    assert phases["unsupported"] < 3


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases.Case(seed=1, rows=6, width=2, observed=3, policy="random")
    view = cases.view_of(case)
    from discover.policy.random import Random

    def greedy(self: Random, view: object, n: int, generator: np.random.Generator) -> object:
        batch = proper(self, view, n, generator)  # type: ignore[arg-type]
        return type(batch)((*batch.proposals, batch.proposals[0]), {"nothing": float("nan")})

    proper = Random.propose
    assert len(view.ids) == 6
    monkeypatch.setattr(Random, "propose", greedy)
    told = " ".join(problems(case, again=False))
    assert "twice" in told
    assert "not plain JSON" in told
    monkeypatch.setattr(Random, "propose", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in problems(case)[0]


def test_the_script_counts_its_cases(tmp_path: Path) -> None:
    out = tmp_path / "degenerate.json"
    given = ["--first", "5", "--cases", "8", "--json", str(out)]
    done = subprocess.run([sys.executable, str(SCRIPT), *given], capture_output=True, text=True, check=True)
    assert "8 cases, 0 with something wrong" in done.stdout
    assert json.loads(out.read_text())["failures"] == {}
