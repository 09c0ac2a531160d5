"""How observations are read reaches the batch: scales, limits and gross errors, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest

from discover.acquisition.carried import Carried
from discover.policy.bayesian import Bayesian, pool_search
from discover.values import Training
from tests.policy.policy_views import answers_of, features_of, rows_of, view_of
from tests.policy.test_acquisitions import policy_of

X = features_of(160, seed=5)
ANSWERS = np.exp(answers_of(X) / 12.0)
START = list(range(0, 160, 5))


def told(values=ANSWERS, bounds=(), **options):
    """A view in which these values were told; bounds: rows of which the value is a limit from above."""
    view = view_of(X, START, **options)
    training = view.training["strength"]
    sides = np.where(np.isin(training.rows, bounds), -1, 0)
    fresh = replace(training, values=values[training.rows], bounds=sides)
    return replace(view, training={"strength": fresh})


@pytest.mark.parametrize("model", ["single", "evidence"])
def test_a_scale_that_the_evidence_finds_is_recorded_and_remembered(model):
    policy = Bayesian(scale="evidence", model=model)
    first = policy.propose(told(), 3, np.random.default_rng(0))
    learned = first.learned["targets"]["strength"]
    assert learned["scale"] == "logarithm"
    assert len(learned["log_density"]) == 4
    memory = first.learned["memory"]["surrogate"]["strength"]["reading"]
    assert memory["transform"]["kind"] == "logarithm"
    again = policy.propose(replace(told(), memory=first.learned["memory"]), 3, np.random.default_rng(0))
    assert again.learned["targets"]["strength"]["scale"] == "logarithm"
    assert "log_density" not in again.learned["targets"]["strength"], (
        "not compared anew before there is more to compare"
    )
    for proposal in first:
        assert 0 < proposal.predicted["strength"].mean < 100 * ANSWERS.max()


@pytest.mark.parametrize("acquisition", ["expected-improvement", "thompson", "max-value-entropy", "hits-ahead"])
def test_every_acquisition_function_takes_a_belief_on_another_scale(acquisition):
    policy = replace(policy_of(acquisition), scale="evidence")
    view = told(pending=[1, 2])
    rows = rows_of(policy.propose(view, 5, np.random.default_rng(1)))
    assert rows == rows_of(policy.propose(view, 5, np.random.default_rng(1)))
    assert len(set(rows) - {*START, 1, 2}) == 5


def test_a_search_by_bounds_on_another_scale_finds_what_scoring_all_finds(monkeypatch):
    policy = Bayesian(scale="evidence")
    plain = policy.propose(told(), 4, np.random.default_rng(0))
    monkeypatch.setattr(pool_search, "LARGE", 0)
    bounded = policy.propose(told(), 4, np.random.default_rng(0))
    assert bounded.proposals[0].details["sweep"]["bounds"]
    assert rows_of(bounded) == rows_of(plain)
    for one, other in zip(plain, bounded, strict=True):
        assert one.acquisition == pytest.approx(other.acquisition, abs=1e-6)
        assert one.predicted["strength"].mean == pytest.approx(other.predicted["strength"].mean, rel=1e-6)


def test_a_gross_error_is_left_out_and_named_and_an_optimum_far_above_is_to_be_measured_again():
    values = answers_of(X)
    middle = START[int(np.argsort(values[START])[len(START) // 2])]
    wrong = values.copy()
    wrong[middle] -= 40 * values.std()
    learned = Bayesian().propose(told(wrong), 2, np.random.default_rng(0)).learned["targets"]["strength"]
    assert [one["candidate"] for one in learned["left_out"]] == [str(told().ids[middle])]
    kept = Bayesian(outliers="keep").propose(told(wrong), 2, np.random.default_rng(0)).learned["targets"]["strength"]
    assert "left_out" not in kept
    top = values.copy()
    top[middle] += 40 * values.std()
    learned = Bayesian().propose(told(top), 2, np.random.default_rng(0)).learned["targets"]["strength"]
    assert "left_out" not in learned
    assert [one["candidate"] for one in learned["measure_again"]] == [str(told().ids[middle])]


def test_improvements_are_not_counted_from_a_gross_error_that_its_own_replicates_overrule():
    view = told(answers_of(X))
    one = view.training["strength"]
    rows = np.concatenate([[one.rows[0]] * 3, one.rows])
    values = np.concatenate([one.values[0] + np.array([0.1, -0.1, 900.0]), one.values])
    empty = np.full(len(rows), np.nan)
    view = replace(view, training={"strength": Training(rows, values, empty, np.zeros(len(rows), dtype=np.int64))})
    learned = Bayesian(model="single").propose(view, 2, np.random.default_rng(0)).learned
    assert [one["value"] for one in learned["targets"]["strength"]["left_out"]] == [values[2]]
    spread = learned["targets"]["strength"]["deviation"]
    assert learned["incumbent_utility"] * spread == pytest.approx(np.delete(one.values, 0).max(), rel=0.05)


@pytest.mark.parametrize("model", ["single", "evidence"])
@pytest.mark.parametrize("scale", ["told", "evidence"])
def test_limits_are_taken_as_limits_on_every_scale(scale, model):
    limit = float(np.quantile(ANSWERS[START], 0.3))
    low = [row for row in START if ANSWERS[row] <= limit]
    view = told(np.maximum(ANSWERS, limit), bounds=low)
    batch = Bayesian(scale=scale, model=model).propose(view, 3, np.random.default_rng(0))
    learned = batch.learned["targets"]["strength"]
    assert learned["censored"] == len(low)
    assert learned["censored_treatment"].startswith("as a limit")
    assert learned["leave_one_out"]["candidates"] == len(START) - len(low)
    assert len(batch) == 3


@pytest.mark.parametrize("model", ["single", "evidence"])
def test_what_was_left_out_stays_out_while_hyperparameters_are_kept(model, monkeypatch, tmp_path):
    """Beyond the size up to which gross errors are looked for, too: the means of before bound those of now."""
    values = answers_of(X)
    middle = START[int(np.argsort(values[START])[len(START) // 2])]
    values[middle] -= 40 * values.std()
    policy = Bayesian(refit=0.5, model=model)
    monkeypatch.setattr(pool_search, "LARGE", 0)
    first = policy.propose(replace(told(values), cache=tmp_path), 4, np.random.default_rng(0))
    monkeypatch.setattr("discover.surrogate.targets.reading.LARGEST", len(START) + 1)
    more = [*START, *rows_of(first)]
    view = view_of(X, more, values={"strength": values}, memory=first.learned["memory"])
    found, original = [], Carried.read
    monkeypatch.setattr(Carried, "read", classmethod(lambda cls, *told: found.append(original(*told)) or found[-1]))
    second = policy.propose(replace(view, cache=tmp_path), 4, np.random.default_rng(0))
    one, other = (batch.learned["targets"]["strength"]["left_out"] for batch in (first, second))
    assert one == other
    assert len(found) == 1
    assert found[0] is not None, "what was carried holds"
