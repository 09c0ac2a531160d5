"""Experiments that run in this process: submit, run, record. Each result is committed before the next begins."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from discover.campaign.claiming import claimed_one, workable
from discover.campaign.recording import Attempt, record
from discover.candidates.pool import CandidatePool
from discover.errors import ExperimentFailed, InvalidInput, LeaseLost, Problem, nearest
from discover.objective import Objective
from discover.protocols import Experiment, Proposal, Result
from discover.store.canonical import canonical
from discover.store.events import Draft, submission_key
from discover.store.journal import Journal
from discover.store.leases import Lease
from discover.store.trials import Failure, Trial


def check_experiment(experiment: Experiment, objective: Objective, pool: CandidatePool) -> None:
    """InvalidInput if the experiment cannot serve this campaign: columns, targets, units."""
    columns = {pool.id, *pool.columns, *([pool.structure] if pool.structure else [])}
    problems = [
        Problem("the experiment needs a column that the candidates lack", column=c, way_out=nearest(c, columns))
        for c in experiment.requires
        if c not in columns
    ]
    measured = experiment.targets
    for target in objective.targets:
        if target.name not in measured:
            hint = nearest(target.name, measured)
            problems.append(Problem("the experiment does not measure this target", value=target.name, way_out=hint))
        elif target.unit and measured[target.name] and target.unit != measured[target.name]:
            message = f"the objective says {target.unit!r}, the experiment measures in {measured[target.name]!r}"
            problems.append(Problem(message, column=target.name))
    if problems:
        raise InvalidInput("experiment", problems)


def run_one(
    journal: Journal, objective: Objective, experiment: Experiment, trial: Trial, lease: Lease | None, worker: str = ""
) -> Result | None:
    """One attempt at one proposal, from its submission to its committed result. None if the lease was lost before it began."""
    try:
        attempt = _begin(journal, trial, lease, worker)
    except LeaseLost:
        return None
    result = perform(experiment, attempt.proposal)
    record(journal, objective, attempt, result)
    return result


def _begin(journal: Journal, trial: Trial, lease: Lease | None, worker: str) -> Attempt:
    """Commit that an attempt begins; one that was cut off is the same attempt again."""
    pid = trial.proposal_id
    number = trial.attempts if trial.in_flight else trial.attempts + 1
    if not trial.in_flight:
        body = {"proposal_id": pid, "attempt": number, "key": submission_key(pid, number), "worker": worker}
        draft = Draft("submitted", body, identity=canonical(["submitted", pid, number]))
        journal.transact(lambda _: [draft], fence=lease)
    return Attempt(trial.proposal, number, worker, lease)


def perform(experiment: Experiment, proposal: Proposal) -> Result:
    """The experiment's result, with every exception of its own turned into a failed one."""
    try:
        result = experiment.run(proposal)
    except ExperimentFailed as error:
        return Result("failed", reason=str(error), retryable=error.retryable)
    except Exception as error:
        details = {"traceback": traceback.format_exc(limit=-5)}
        reason = f"{type(error).__name__}: {error}"
        return Result("failed", reason=reason, retryable=not experiment.deterministic, details=details)
    if result.status in ("measured", "censored") and not result.values:
        return Result("failed", reason="the experiment returned no value", details=result.details)
    return result


Watch = Callable[[Trial, "Result | None"], Any]
"""Called before an experiment (result None) and after it."""


def run_pending(
    journal: Journal,
    objective: Objective,
    experiment: Experiment,
    limit: int | None = None,
    watch: Watch | None = None,
    worker: str = "",
) -> int:
    """Run what is cut off, approved or to be retried and what nobody else works on, oldest first; how many attempts ran.

    limit: how many attempts may be begun; one that was begun before and cut off is repeated whatever the limit.
    """
    begun = ran = 0
    while trials := workable(journal.refresh(), may_begin=limit is None or begun < limit):
        with claimed_one(journal, trials, worker) as claim:
            if claim is None:
                break
            trial, lease = claim
            begun += not trial.in_flight
            if watch:
                watch(trial, None)
            result = run_one(journal, objective, experiment, trial, lease, worker)
            if result is None:
                continue
            ran += 1
            if watch:
                watch(trial, result)
    return ran


class FailedExperiments(UserWarning):
    """Some experiments of a run gave no value; the message counts them and quotes the last reason."""


def warn_of_failures(failures: Sequence[Failure], ran: int) -> None:
    """Say aloud how many of a run's experiments failed."""
    if failures:
        message = f"{len(failures)} of {ran} experiments failed; the last: {failures[-1].reason}"
        warnings.warn(message, FailedExperiments, stacklevel=3)
