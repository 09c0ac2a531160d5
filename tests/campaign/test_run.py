"""Running experiments: each result is committed before the next begins, and a cut is resumed."""

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.campaign.experiments.running import FailedExperiments
from discover.campaign.unattended.iterating import advise, propose_next, room, summarise
from discover.errors import ExperimentFailed, InvalidInput, LeaseHeld
from discover.store.ledger.life import State
from discover.values import Result, Value

IGNORE = pytest.mark.filterwarnings("ignore::discover.campaign.experiments.running.FailedExperiments")


@dataclass(frozen=True)
class Noted:
    """An experiment that writes down whom it was asked about."""

    diary: Path
    deterministic: bool = True
    requires: tuple[str, ...] = ("a",)
    unit: str = "%"

    @property
    def targets(self):
        return {"yield": self.unit}

    def located(self, base, files):
        return self

    def describe(self):
        return {"kind": "noted"}

    def run(self, proposal):
        with self.diary.open("a") as diary:
            diary.write(proposal.candidate_id + "\n")
        return self.answer(proposal)

    def answer(self, proposal):
        return Result("measured", {"yield": Value(proposal.candidate.values["a"])})


class Flaky(Noted):
    def answer(self, proposal):
        lines = self.diary.read_text().split()
        if lines.count(proposal.candidate_id) < 2:
            raise RuntimeError("the pump stopped")
        return super().answer(proposal)


class Broken(Noted):
    def answer(self, proposal):
        raise ExperimentFailed("not hydrostatic")


class Silent(Noted):
    def answer(self, proposal):
        return Result("measured")


@pytest.fixture
def diary(tmp_path):
    return tmp_path / "diary.txt"


def test_run_makes_as_many_experiments_as_it_says(campaign, diary):
    seen = campaign.run(Noted(diary), 7, batch=3)
    assert len(seen) == 7
    assert diary.read_text().split() == seen["material_id"].tolist()
    assert campaign.spending.experiments == 7
    assert campaign.iterations["n"].tolist() == [3, 3, 1]
    best = campaign.observations.groupby("iteration")["yield"].max().cummax()
    assert campaign.iterations["best_so_far"].tolist() == best.tolist()


def test_a_function_is_an_experiment(campaign, frame):
    seen = campaign.run(lambda values: 2 * values["a"], 3)
    truth = frame.set_index("material_id").loc[seen["material_id"], "a"] * 2
    assert seen["yield"].tolist() == truth.tolist()


def test_a_retryable_failure_is_tried_again_and_counts(campaign, diary):
    with pytest.warns(FailedExperiments, match="3 of 6 experiments failed; the last: RuntimeError: the pump stopped"):
        campaign.run(Flaky(diary, deterministic=False), 6, batch=3)
    assert campaign.spending.experiments == 6
    assert campaign.observations["status"].value_counts().to_dict() == {"failed": 3, "measured": 3}
    assert campaign.status().pending == 0


@IGNORE
def test_what_failed_before_it_was_measured_is_not_taken_back_with_the_value(campaign, diary):
    campaign.run(Flaky(diary, deterministic=False), 2, batch=1)
    (trial,) = campaign.trials()
    assert (len(trial.failures), trial.state) == (1, State.MEASURED)
    campaign.retract(trial.proposal_id, reason="the wrong sample")
    again = pd.DataFrame({"proposal_id": [trial.proposal_id], "status": ["failed"]})
    assert campaign.tell(again)["became"].tolist() == ["failed"]


@IGNORE
def test_a_retryable_failure_is_final_at_the_limit(campaign, diary):
    class Never(Noted):
        def answer(self, proposal):
            raise RuntimeError("no")

    campaign.run(Never(diary, deterministic=False), 3, batch=1)
    assert len(set(diary.read_text().split())) == 1
    assert campaign.proposals["state"].tolist() == ["failed"]


@IGNORE
def test_a_deterministic_failure_is_final_at_once(campaign, diary):
    campaign.run(Broken(diary), 2)
    assert campaign.observations["reason"].tolist() == ["not hydrostatic"] * 2
    assert len(set(diary.read_text().split())) == 2


@IGNORE
def test_a_result_without_a_value_is_a_failure(campaign, diary):
    campaign.run(Silent(diary), 1)
    assert campaign.observations["reason"].tolist() == ["the experiment returned no value"]


def test_an_experiment_that_cannot_serve_is_refused_before_it_starts(campaign, diary):
    with pytest.raises(InvalidInput, match="'bb'") as error:
        campaign.run(Noted(diary, requires=("bb",), unit="g"), 1)
    assert len(error.value.problems) == 2
    assert campaign.status().iterations == 0


def test_two_runs_of_one_campaign_exclude_each_other(campaign, diary, url):
    with campaign.held(), pytest.raises(LeaseHeld):
        Campaign.open("c", store=url).run(Noted(diary), 1)


def test_an_interrupted_experiment_is_repeated_under_the_same_attempt(campaign, diary, url):
    class Interrupted(Noted):
        def answer(self, proposal):
            if len(self.diary.read_text().split()) == 3:
                raise KeyboardInterrupt
            return super().answer(proposal)

    with pytest.raises(KeyboardInterrupt):
        campaign.run(Interrupted(diary), 5, batch=5)
    again = Campaign.open("c", store=url)
    assert again.status().measured == 2
    assert again.pending["state"].value_counts().to_dict() == {"proposed": 2, "submitted": 1}
    again.run_pending(Noted(diary))
    lines = diary.read_text().split()
    assert len(lines) == 6
    assert lines[2] == lines[3]
    assert again.spending.experiments == 5
    assert again.status().measured == 5


def test_the_last_experiment_of_a_budget_is_finished_after_a_cut(make, diary, url):
    campaign = make(budget={"experiments": 2})

    class Cut(Noted):
        def answer(self, proposal):
            if len(self.diary.read_text().split()) == 2:
                raise KeyboardInterrupt
            return super().answer(proposal)

    with pytest.raises(KeyboardInterrupt):
        campaign.run(Cut(diary), 2, batch=2)
    assert room(campaign) == 0
    assert campaign.run_pending(Noted(diary), room(campaign)) == 1
    assert campaign.status().measured == 2
    assert advise(campaign).stop


SCRIPT = """
    import sys, time
    from discover import Campaign
    from discover.campaign.unattended.iterating import propose_next, room
    def slow(values):
        time.sleep(0.02)
        with open({diary!r}, "a") as diary:
            diary.write(values["material_id"] + "\\n")
        return values["a"]
    campaign = Campaign.open("c", store={url!r})
    print("ready", flush=True)
    with campaign.held():
        campaign.run_pending(slow)
        while propose_next(campaign) is not None:
            campaign.run_pending(slow, room(campaign))
"""


def test_killed_at_any_moment_it_finishes_the_same_campaign(pool, tmp_path):
    """The killed campaign has the proposals and results of one that was left alone; nothing committed is done again."""

    def begin(name):
        url = f"sqlite:///{tmp_path / name}.db"
        Campaign.create("c", objective=Objective("yield"), candidates=pool, policy={"kind": "space-filling", "batch": 3},
                        store=url, budget={"experiments": 20})  # fmt: skip
        diary = str(tmp_path / f"{name}.txt")
        return url, diary, [sys.executable, "-c", textwrap.dedent(SCRIPT.format(url=url, diary=diary))]

    url, diary, command = begin("killed")
    kills = 0
    for delay in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(delay)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    subprocess.run(command, check=True, capture_output=True)
    calm_url, _, calm_command = begin("calm")
    subprocess.run(calm_command, check=True, capture_output=True)

    killed, calm = Campaign.open("c", store=url), Campaign.open("c", store=calm_url)
    assert kills >= 3
    columns = ["proposal_id", "material_id", "yield", "state"]
    pd.testing.assert_frame_equal(killed.proposals[columns], calm.proposals[columns])
    assert killed.spending.experiments == calm.spending.experiments == 20
    done = Path(diary).read_text().split()
    assert set(done) == set(calm.proposals["material_id"])
    assert len(done) <= 20 + kills


def test_a_person_may_have_asked_under_the_key_of_an_iteration(make):
    campaign = make(policy={"kind": "random", "batch": 2})
    campaign.tell(campaign.ask(2, key="iteration-2").assign(**{"yield": 1.0}))
    found = [propose_next(campaign) for _ in range(2)]
    assert [(batch.number, batch.key) for batch in found] == [(2, "iteration-3"), (3, "iteration-4")]


def test_one_iteration_in_words(make, diary):
    campaign = make(policy={"kind": "bayesian", "batch": 4, "start": 4}, budget={"experiments": 10})
    experiment = Noted(diary)
    for expected in (4, 4, 2):
        iteration = propose_next(campaign)
        assert len(iteration.proposal_ids) == expected
        campaign.run_pending(experiment, room(campaign))
        summary = summarise(campaign, iteration)
        assert f"best {campaign.best(1)['yield'][0]:.4g}" in summary.line
        assert len(summary.table) == expected
    assert "predicted" in summary.line
    assert propose_next(campaign) is None
    assert list(campaign.iterations["key"]) == ["iteration-1", "iteration-2", "iteration-3"]


def test_an_excluded_candidate_is_not_run(campaign, diary):
    batch = campaign.ask(2)
    campaign.exclude(batch["material_id"][0], reason="toxic")
    campaign.run(Noted(diary), 1)
    assert diary.read_text().split() == [batch["material_id"][1]]
