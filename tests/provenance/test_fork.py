"""A new campaign begins with what an earlier one found out, and says what it left behind."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.errors import CampaignExists, InvalidInput
from discover.provenance.audit import audit
from discover.provenance.fork import carry, fork
from discover.provenance.rows import stored_rows
from discover.provenance.trace import trace
from tests.provenance.conftest import command_line, frame, make_pool, rich


@pytest.fixture
def old(store_url, pool) -> Campaign:
    return rich(store_url, pool)


def history(campaign: Campaign) -> list[dict]:
    return list(stored_rows(campaign._journal.log, campaign.name))


def test_everything_is_carried_with_its_origin_and_the_old_campaign_is_as_it_was(old, store_url):
    before = history(old)
    new, found = fork(old, "d", policy={"kind": "random", "batch": 3})
    assert history(old) == before
    assert found.observations == len(old.ledger.observations) == len(new.ledger.observations) > 4
    assert found.failures == 2
    assert found.excluded == 1
    assert new.ledger.excluded == old.ledger.excluded
    assert new.ledger.infeasible() == old.ledger.infeasible()

    def values(campaign):
        told = campaign.ledger.observations.values()
        return sorted((o.candidate_id, o.target, o.value, o.std, o.bound, o.unit, o.replicate, o.note) for o in told)

    assert values(new) == values(old)
    by_seq = {o.seq: o for o in old.ledger.observations.values()}
    for o in new.ledger.observations.values():
        origin = o.extra["origin"]
        first = by_seq[origin["seq"]]
        assert (origin["uid"], origin["proposal_id"], origin["cost"]) == (old.uid, first.proposal_id, first.cost)
        assert all(origin[name] for name in ("actor", "host", "time"))
        assert o.source.startswith(f"fork of {old.uid}")
    assert (new.spending.experiments, new.spending.cost) == (0, 0.0)
    assert not set(new.ask(5)["material_id"]) & {*new.ledger.found, *new.ledger.excluded, *new.ledger.infeasible()}
    assert {one.what for one in found.left} == {"proposals"}
    assert audit(store_url).clean
    assert "forked from 'c'" in new.ledger.notes[0][2]


def test_what_does_not_fit_is_left_behind_and_counted(old):
    few = CandidatePool.from_frame(frame(40).iloc[::2], id="material_id", features=["a", "b"])
    known = {o.candidate_id for o in old.ledger.observations.values()}
    new, found = fork(old, "d", candidates=few)
    assert 0 < found.observations < len(old.ledger.observations)
    assert {o.candidate_id for o in new.ledger.observations.values()} == known & set(few.ids.tolist())
    gone = found.frame().query("what == 'observations'")
    assert set(gone["candidate"]) == known - set(few.ids.tolist())
    assert set(gone["why"]) == {"the candidate is not among the new ones"}
    for objective, why in (
        (Objective("yield", unit="g"), "is in '%', the new objective wants 'g'"),
        (Objective("purity", unit="%"), "is not a target of the new objective"),
    ):
        _, other = fork(old, f"e {objective.names[0]} {objective.targets[0].unit == 'g'}", objective=objective)
        assert other.observations == 0
        assert other.failures == 2
        assert why in str(other)


def test_candidates_with_other_columns_are_told_of(old):
    other = frame(40).assign(a=lambda f: f["a"] + (f["material_id"] == sorted(old.ledger.found)[0]))
    pool = CandidatePool.from_frame(other, id="material_id", features=["a"])
    _, found = fork(old, "d", candidates=pool)
    assert found.changed == (sorted(old.ledger.found)[0],)
    assert "other columns" in str(found)


def test_a_second_fork_into_the_same_name_is_refused_and_changes_nothing(old):
    new, _ = fork(old, "d")
    before = history(new)
    with pytest.raises(CampaignExists, match="has begun already"):
        fork(old, "d")
    assert history(new) == before
    with pytest.raises(InvalidInput, match="the campaign itself"):
        carry(old, old)


def test_a_fork_that_was_cut_off_is_completed(old, pool):
    begun = Campaign.create(
        "d", objective=old.objective, candidates=pool, policy=dict(old.definition["policy"]), store=old._journal.log,
        seed=old.seed,
    )  # fmt: skip
    assert begun.ledger.seq == 1
    new, found = fork(old, "d")
    assert new.uid == begun.uid
    assert found.observations == len(old.ledger.observations)


def test_two_measurements_of_one_candidate_stay_two(sqlite_url):
    old = Campaign.create("c", objective=Objective("y"), candidates=make_pool(9), policy="random", store=sqlite_url)
    for value in (1.0, 2.0):
        (pid,) = old.propose(["m01"], reason="again")["proposal_id"]
        old.tell(pd.DataFrame({"proposal_id": [pid], "y": [value], "y_std": [0.5], "y_bound": ["below"]}))
    new, found = fork(old, "d")
    assert found.observations == 2
    told = list(new.ledger.observations.values())
    assert sorted(o.value for o in told) == [1.0, 2.0]
    assert {(o.std, o.bound) for o in told} == {(0.5, "below")}


def test_a_fork_of_a_fork_keeps_the_first_origin(old, pool):
    second, _ = fork(old, "d")
    third, found = fork(second, "e")
    assert found.observations == len(old.ledger.observations)
    o = next(iter(third.ledger.observations.values()))
    assert o.extra["origin"]["uid"] == second.uid
    assert o.extra["origin"]["origin"]["uid"] == old.uid
    assert old.uid in json.dumps(trace(third, o.candidate_id).to_dict())


def test_the_new_campaign_learns_from_what_was_carried(sqlite_url, tmp_path):
    pool = make_pool(30)
    old = Campaign.create("c", objective=Objective("y"), candidates=pool, policy="random", store=sqlite_url)
    old.run(lambda values: (values["a"] - 0.4) ** 2, 8)
    new, _ = fork(
        old, "d", objective=Objective("y", "minimize"), policy={"kind": "bayesian", "start": 5, "draws": 16},
        store=f"sqlite:///{tmp_path / 'other.db'}",
    )  # fmt: skip
    batch = new.ask(2)
    assert np.isfinite(batch["predicted_mean"]).all()
    assert not set(batch["material_id"]) & set(old.ledger.found)


def test_the_command_forks_files(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n" + "\n".join(f"c{i},{i}" for i in range(9)))

    def write(name: str, direction: str) -> str:
        file = tmp_path / f"{name}.yaml"
        file.write_text(
            f"campaign: {name}\nobjective: {{target: y, direction: {direction}}}\n"
            "candidates: {kind: table, file: t.csv, id: id}\nfeatures: [x]\npolicy: {kind: random}\n"
        )
        return str(file)

    one, two = write("one", "maximize"), write("two", "minimize")
    assert command_line("fork", one, two).returncode == 1, "nothing has begun"
    (tmp_path / "r.csv").write_text("id,y\nc1,5\nc2,6\n")
    assert command_line("tell", one, str(tmp_path / "r.csv")).returncode == 0
    done = command_line("fork", one, two)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 observations" in done.stdout
    again = command_line("fork", one, two)
    assert again.returncode == 1
    assert "another name" in again.stderr


def test_stopping_rules_are_carried_with_the_objective_that_they_are_about(store_url, pool):
    rules = [{"kind": "no-improvement", "experiments": 30}]
    old = Campaign.create("r", objective=Objective("y"), candidates=pool, store=store_url, stop=rules)
    assert fork(old, "r2")[0].definition["stop"] == rules
    assert "stop" not in fork(old, "r3", objective=Objective("y", "minimize"))[0].definition
    other = [{"kind": "target-reached", "value": 1.0}]
    assert fork(old, "r4", stop=other)[0].definition["stop"] == other
