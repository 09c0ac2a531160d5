"""Candidates that come, change and go while a campaign runs: nothing that was tried is lost, nothing withdrawn is proposed."""

import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from discover import Campaign, CandidatePool, Objective
from discover.campaign.asking.asking import view_of
from discover.campaign.asking.choosing import choose
from discover.candidates.snapshots.snapshot import Snapshot, stored
from discover.errors import InvalidInput
from discover.store.journal import Journal
from discover.store.ledger.folds import dumped, loaded, same
from discover.store.ledger.ledger import Ledger
from discover.store.log.log import EventLog

YIELD = Objective("yield", "maximize", unit="%")


def pool_of(cells):
    """{"d0": 0.5} to a pool with one feature; the column `b` follows it, and no feature is made from it."""
    frame = pd.DataFrame({"dye": list(cells), "a": list(cells.values()), "b": [f"b{v}" for v in cells.values()]})
    return CandidatePool.from_frame(frame, id="dye", features=["a"])


FIRST = {f"d{i}": i / 7 for i in range(6)}


def begin(url, cells=FIRST, **more):
    return Campaign.create("c", objective=YIELD, candidates=pool_of(cells), policy="random", store=url, **more)


def tell(campaign, ids, value=1.0, **more):
    return campaign.tell(pd.DataFrame({"dye": list(ids), "yield": value, **more}))


def trained(campaign):
    """(feature, value) of everything that trains."""
    view = campaign.view()
    training = view.training["yield"]
    return sorted(zip(view.features.values[training.rows, 0].tolist(), training.values.tolist(), strict=True))


def kinds(campaign):
    return [event.kind for event in campaign._journal.log.read("c")]


def free(campaign):
    view = campaign.view()
    return sorted(view.ids[~view.blocked].tolist())


def test_an_unchanged_pull_writes_nothing(sqlite_url):
    campaign = begin(sqlite_url)
    tell(campaign, ["d0"])
    before, seen = kinds(campaign), campaign.view().seen
    assert not campaign.update_candidates(pool_of(FIRST))
    assert not campaign.update_candidates(pool_of(dict(reversed(FIRST.items()))))
    assert kinds(campaign) == before
    assert campaign.view().seen == seen
    assert len(list(stored(campaign.snapshots))) == 1


def test_new_candidates_come_in_and_what_is_withdrawn_is_not_proposed_until_it_is_back(store_url):
    campaign = begin(store_url)
    tell(campaign, ["d0", "d1"], [3.0, 4.0])
    change = campaign.update_candidates(pool_of({"d1": 1 / 7, "d2": 2 / 7, "n0": 9.0}), reason="release 2")
    assert (change.added, change.removed) == (("n0",), ("d0", "d3", "d4", "d5"))
    assert free(campaign) == ["d2", "n0"]
    assert trained(campaign) == [(0.0, 3.0), (1 / 7, 4.0)], "what was measured keeps training"
    status = campaign.status()
    assert (status.candidates, status.available, status.gone) == (7, 2, 4)
    assert "withdrawn   4 by the source" in str(status)
    with pytest.raises(InvalidInput, match=r"d4.*withdrawn by the source"):
        campaign.propose("d4", reason="I want it")
    with pytest.warns(UserWarning, match="2 of 5"):
        assert set(campaign.ask(5)["dye"]) == {"d2", "n0"}
    again = Campaign.open("c", store=store_url)
    assert again.update_candidates(pool_of(FIRST)).returned == ("d0", "d3", "d4", "d5")
    assert free(again) == free(campaign) == ["d3", "d4", "d5"]
    assert "n0" in campaign.pool
    (first, second) = [e.payload for e in campaign._journal.log.read("c") if e.kind == "repooled"]
    assert (first["reason"], second["before"]) == ("release 2", first["pool"]["snapshot"])
    snapshot = Snapshot.open(second["pool"]["snapshot"], campaign.snapshots)
    assert [parent["hash"] for parent in snapshot.manifest["parents"]] == [second["before"], pool_of(FIRST).hash]
    tell(again, ["n0"], 8.0)
    assert "measured" in set(again.proposals["state"]), "a result of a withdrawn candidate is taken all the same"


def test_a_row_that_changed_after_it_was_measured_is_a_new_candidate_and_the_old_one_trains(store_url):
    campaign = begin(store_url)
    campaign.propose("d3", reason="first")
    tell(campaign, ["d3", "d4"], [3.0, 4.0])
    old = campaign.pool.candidate(3).version
    change = campaign.update_candidates(pool_of(FIRST | {"d3": 0.9, "d4": 0.8, "d5": 0.7}))
    assert change.changed == ("d3", "d4", "d5")
    assert change.superseded == ("d3", "d4")
    kept = f"d3@{old[:8]}"
    assert kept in campaign.pool
    assert kept not in free(campaign)
    assert {"d3", "d4"} <= set(free(campaign))
    assert trained(campaign) == [(3 / 7, 3.0), (4 / 7, 4.0)]
    assert set(campaign.observations["dye"]) == {kept, *(k for k, of in campaign.ledger.former.items() if of == "d4")}
    with pytest.raises(InvalidInput, match="former version of 'd3'"):
        campaign.propose(kept, reason="again")
    assert campaign.status().candidates == 6
    assert campaign.propose("d3", reason="anew")["a"].tolist() == [0.9]
    became = tell(campaign, ["d3", "d4"], [7.0, 8.0])
    assert became["became"].tolist() == ["measured", "measured"]
    assert trained(campaign) == [(3 / 7, 3.0), (4 / 7, 4.0), (0.8, 8.0), (0.9, 7.0)]
    assert tell(campaign, ["d3", "d4"], [7.0, 8.0])["became"].tolist() == ["already known"] * 2
    campaign.correct(pd.DataFrame({"dye": [kept], "yield": [3.5]}), reason="a slip of the pen")
    assert trained(campaign)[0] == (3 / 7, 3.5)
    assert campaign.best(1)["dye"].tolist() == ["d4"]


def test_results_told_by_the_id_alone_before_and_after_do_not_meet(store_url):
    campaign = begin(store_url)
    tell(campaign, ["d1"], 1.0, source="lab")
    campaign.update_candidates(pool_of(FIRST | {"d1": 5.0}))
    assert tell(campaign, ["d1"], 2.0, source="lab")["became"].tolist() == ["measured"]
    assert tell(campaign, ["d1"], 2.0, source="lab")["became"].tolist() == ["already known"]
    with pytest.raises(InvalidInput, match="was already told as 2"):
        tell(campaign, ["d1"], 3.0, source="lab")
    campaign.update_candidates(pool_of(FIRST | {"d1": 6.0}))
    assert tell(campaign, ["d1"], 3.0, source="lab")["became"].tolist() == ["measured"]
    assert trained(campaign) == [(1 / 7, 1.0), (5.0, 2.0), (6.0, 3.0)]


def test_a_failure_of_the_former_version_does_not_block_the_one_of_now(sqlite_url):
    campaign = begin(sqlite_url)
    campaign.tell(pd.DataFrame({"dye": ["d1", "d2"], "status": ["infeasible", "failed"]}))
    campaign.update_candidates(pool_of(FIRST | {"d1": 5.0, "d2": 6.0}))
    assert {"d1", "d2"} <= set(free(campaign))
    view = campaign.view()
    assert view.features.values[view.infeasible, 0].tolist() == [1 / 7, 2 / 7]  # as they were tried
    campaign.tell(pd.DataFrame({"dye": ["d2"], "status": ["failed"]}))
    assert "d2" not in free(campaign)


def test_what_is_under_way_stays_and_its_result_counts_for_the_row_that_was_proposed(store_url):
    campaign = begin(store_url)
    batch = campaign.propose(["d1", "d2", "d3"], reason="first")
    sheet = batch.assign(**{"yield": [1.0, 2.0, 3.0]})
    other = {i: x for i, x in FIRST.items() if i != "d2"} | {"d1": 5.0}
    campaign.update_candidates(pool_of(other))
    assert len(campaign.pending) == 3
    note = campaign.notes["text"].iloc[-1]
    assert "stay" in note
    assert "(d1, changed)" in note
    assert "(d2, withdrawn)" in note
    assert "d3" not in note
    assert "d1" in free(campaign), "the row of now may be proposed while the former one is under trial"
    assert tell(campaign, ["d1"], 9.0)["became"].tolist() == ["measured"]
    assert len(campaign.pending) == 3, "told by the id alone it is of the row of now"
    told = campaign.tell(sheet)
    assert told["became"].tolist() == ["measured"] * 3
    assert trained(campaign) == [(1 / 7, 1.0), (2 / 7, 2.0), (3 / 7, 3.0), (5.0, 9.0)]


def test_an_experiment_that_runs_over_a_change_is_recorded_for_the_row_that_it_was_given(sqlite_url):
    campaign = begin(sqlite_url)
    given_to_it = []

    def experiment(values):
        given_to_it.append(values["a"])
        if len(given_to_it) == 1:
            other = Campaign.open("c", store=sqlite_url)
            other.update_candidates(pool_of({i: x + 10 for i, x in FIRST.items()}))
        return values["a"]

    campaign.run(experiment, 4)
    assert trained(campaign) == sorted((a, a) for a in given_to_it)
    assert sum(a < 10 for a in given_to_it) == 1


def test_a_change_that_no_feature_sees_replaces_the_row_with_its_results(sqlite_url):
    campaign = begin(sqlite_url)
    tell(campaign, ["d1"], 1.0)
    frame = pool_of(FIRST).frame().assign(b="other")
    change = campaign.update_candidates(CandidatePool.from_frame(frame, id="dye", features=["a"]))
    assert len(change.changed) == 6
    assert not change.superseded
    assert campaign.best(1)["b"].tolist() == ["other"]
    assert trained(campaign) == [(1 / 7, 1.0)]


def test_columns_that_the_experiment_reads_count(sqlite_url, tmp_path):
    pool_of(FIRST).frame().assign(**{"yield": 1.0}).to_csv(tmp_path / "answers.csv", index=False)
    settings_ = {"kind": "tests.campaign.reads_b"}
    from discover import registry

    class Reads:
        requires, targets, deterministic, hides = ("b",), {"yield": "%"}, True, ()

    original = registry.configure
    campaign = begin(sqlite_url, experiment=settings_)
    tell(campaign, ["d1"], 1.0)
    frame = pool_of(FIRST).frame().assign(b="other")
    try:
        registry.configure = lambda group, given: Reads() if given == settings_ else original(group, given)
        change = campaign.update_candidates(CandidatePool.from_frame(frame, id="dye", features=["a"]))
    finally:
        registry.configure = original
    assert change.superseded == ("d1",)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"key": ["d0"], "a": [1.0]}), "the candidates' id is another column now"),
        (pd.DataFrame({"dye": ["d0"], "b": ["x"]}), "no longer have a column"),
        (pd.DataFrame({"dye": ["d0"], "a": [1.0], "b": ["x"], "yield": [1.0]}), "the name of a target"),
        (pd.DataFrame({"dye": ["d0"], "a": [1.0], "b": [7]}), "do not mix"),
        (pd.DataFrame({"dye": ["d0", "n"], "a": [1.0, np.nan], "b": ["x", "y"]}), "the cell is empty"),
    ],
)
def test_candidates_that_cannot_be_used_are_refused_in_words_and_nothing_changes(sqlite_url, frame, words):
    campaign = begin(sqlite_url)
    before = kinds(campaign)
    new = CandidatePool.from_frame(frame, id=frame.columns[0])
    with pytest.raises(InvalidInput, match=words):
        campaign.update_candidates(new)
    assert kinds(campaign) == before
    assert len(campaign.ask(2)) == 2


def test_a_campaign_whose_candidates_never_changed_chooses_as_ever(tmp_path):
    one, other = (begin(f"sqlite:///{tmp_path / name}.db", seed=3) for name in ("one", "other"))
    for campaign in (one, other):
        tell(campaign, ["d0"], 1.0)
    other.update_candidates(pool_of(FIRST))
    assert one.view().seen == other.view().seen
    assert one.ask(3)["dye"].tolist() == other.ask(3)["dye"].tolist()
    other.update_candidates(pool_of(FIRST | {"n": 1.0}))
    assert one.view().seen != other.view().seen


def test_another_process_that_changes_the_candidates_is_noticed_before_a_batch_is_committed(sqlite_url):
    campaign, other = begin(sqlite_url), Campaign.open("c", store=sqlite_url)
    calls = []

    def find(ledger):
        held = campaign._candidates(ledger)
        _ = held.features
        calls.append(held.hash)
        if len(calls) == 1:
            other.update_candidates(pool_of({"only": 1.0}))
        return held

    iteration = choose(campaign._journal, YIELD, find, campaign.policy, 1, None)
    assert campaign.ledger.trials[iteration.proposal_ids[0]].candidate_id == "only"
    assert len(set(calls)) == 2
    assert campaign.proposals["dye"].tolist() == ["only"]


def test_a_candidate_proposed_while_the_change_is_worked_out_keeps_its_row(sqlite_url, monkeypatch):
    campaign, other = begin(sqlite_url), Campaign.open("c", store=sqlite_url)
    from discover.campaign.pool import extending

    original, once = extending.feature_table, []

    def slow(*arguments):
        if not once:
            once.append(other.propose("d2", reason="just now"))
        return original(*arguments)

    monkeypatch.setattr(extending, "feature_table", slow)
    assert campaign.update_candidates(pool_of(FIRST | {"d2": 8.0})).superseded == ("d2",)
    campaign.tell(once[0].assign(**{"yield": 2.0}))
    assert trained(campaign) == [(2 / 7, 2.0)]


def test_two_processes_that_update_at_once_make_one_change(store_url):
    begin(store_url)
    failed = []

    def work():
        try:
            Campaign.open("c", store=store_url).update_candidates(pool_of(FIRST | {"n": 1.0}))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert kinds(Campaign.open("c", store=store_url)).count("repooled") == 1


def test_a_row_that_no_feature_can_be_made_of_is_refused_before_anything_is_committed(sqlite_url):
    def made(formulas):
        frame = pd.DataFrame({"dye": [f"d{i}" for i in range(len(formulas))], "f": formulas})
        return CandidatePool.from_frame(frame, id="dye", composition="f")

    campaign = Campaign.create("c", objective=YIELD, candidates=made(["MgO", "CaO"]), policy="random", store=sqlite_url)
    with pytest.raises(InvalidInput, match="d2"):
        campaign.update_candidates(made(["MgO", "CaO", "Qq7"]))
    assert kinds(campaign) == ["created"]
    assert campaign.update_candidates(made(["MgO", "CaO", "SrO"])).added == ("d2",)


def test_a_change_that_is_cut_off_before_its_event_never_was(sqlite_url, monkeypatch):
    campaign = begin(sqlite_url)
    tell(campaign, ["d1"])

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "transact", cut)
        with pytest.raises(KeyboardInterrupt):
            campaign.update_candidates(pool_of(FIRST | {"d1": 5.0}))
    again = Campaign.open("c", store=sqlite_url)
    assert len(again.pool) == 6
    assert again.update_candidates(pool_of(FIRST | {"d1": 5.0})).superseded == ("d1",)
    assert trained(again) == [(1 / 7, 1.0)]


def test_the_union_goes_to_the_shared_place(store_url, tmp_path, monkeypatch):
    import fsspec

    place = f"memory://{tmp_path.name}/snapshots"
    campaign = begin(store_url, snapshots=place)
    campaign.update_candidates(pool_of(FIRST | {"n": 1.0}))
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "another-machine"))
    assert "n" in Campaign.open("c", store=store_url).pool
    assert len(list(stored(campaign.snapshots))) == 2
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


IDS = [f"d{i}" for i in range(4)]
VALUES = st.sampled_from([0.0, 1.0, 2.0])
CELLS = st.one_of(
    st.fixed_dictionaries(dict.fromkeys(IDS, VALUES)), st.dictionaries(st.sampled_from(IDS), VALUES, min_size=1)
)
STEP = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 3)),
    st.tuples(st.just("tell"), st.integers(0, 9)),
    st.tuples(st.just("tell by id"), st.integers(0, 3)),
    st.tuples(st.just("withdraw"), st.integers(0, 9)),
)
ROUND = st.tuples(st.lists(STEP, min_size=2, max_size=4), CELLS)
"""What people do, and then a pull."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.fixed_dictionaries(dict.fromkeys(IDS, VALUES)), st.lists(ROUND, min_size=2, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_observation_trains_with_the_row_that_was_measured(first, rounds):
    campaign = begin(EventLog("sqlite://"), first)
    steps = [step for told, cells in rounds for step in [*told, ("pull", cells), ("tell", 0)]]
    now, expected, given_out = dict(first), [], {}
    for number, (what, with_) in enumerate(steps):
        if what == "pull":
            campaign.update_candidates(pool_of(with_))
            now = dict(with_)
        elif what == "ask":
            for row in campaign.ask(with_).to_dict("records"):
                assert row["a"] == now[row["dye"]], "only rows of now are proposed"
                given_out[row["proposal_id"]] = row["a"]
        elif what == "withdraw" and len(campaign.pending):
            pending = campaign.pending["proposal_id"].tolist()
            campaign.withdraw(pending[with_ % len(pending)], reason="test")
        elif what == "tell" and given_out:
            pid = sorted(given_out)[with_ % len(given_out)]
            campaign.tell(pd.DataFrame({"proposal_id": [pid], "yield": [float(number)]}))
            expected.append((given_out.pop(pid), float(number)))
        elif what == "tell by id":
            candidate = sorted(now)[with_ % len(now)]
            source = f"source {number}"
            trial = campaign.ledger.open_trial(candidate)
            campaign.tell(pd.DataFrame({"dye": [candidate], "yield": [float(number)], "source": [source]}))
            expected.append((now[candidate], float(number)))
            if trial is not None:
                given_out.pop(trial.proposal_id)
    assert trained(campaign) == sorted(expected)
    event(f"former versions: {len(campaign.ledger.former) > 0}, results: {len(expected) > 0}")
    log = campaign._journal.log
    fresh = Ledger().apply(log.read("c"))
    assert same(fresh, campaign.ledger)
    assert same(loaded(dumped(fresh), None), fresh)
    cold = Journal(log, "c")
    assert view_of(cold.ledger, YIELD, campaign.pool, campaign.features).seen == campaign.view().seen
