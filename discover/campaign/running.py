"""Experiments that run in this process: submit, run, record. Each result is committed before the next begins."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from discover.candidates.pool import CandidatePool
from discover.errors import ExperimentFailed, InvalidInput, Problem, nearest
from discover.objective import Objective
from discover.protocols import Experiment, Observation, Proposal, Result
from discover.store.canonical import canonical, plain
from discover.store.events import Draft
from discover.store.journal import Journal
from discover.store.ledger import Failure, Ledger, Trial, identity
from discover.store.life import State

RUNNABLE = (State.PROPOSED, State.SUBMITTED, State.RETRYABLE)
"""States in which an in-process experiment may begin; one that is in flight here was cut off and is repeated."""


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


def run_one(journal: Journal, objective: Objective, experiment: Experiment, trial: Trial) -> Result:
    """One attempt at one proposal, from its submission to its committed result."""
    pid = trial.proposal.proposal_id
    attempt = trial.attempts
    if not trial.in_flight:
        attempt += 1
        journal.append(
            Draft(
                "submitted", {"proposal_id": pid, "attempt": attempt}, identity=canonical(["submitted", pid, attempt])
            )
        )
    result = perform(experiment, trial.proposal)
    journal.append(*_drafts(objective, trial.proposal, attempt, result))
    return result


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


def _drafts(objective: Objective, proposal: Proposal, attempt: int, result: Result) -> list[Draft]:
    extra = {"cached": result.cached, "attempt": attempt, "details": plain(result.details)}
    if result.status in ("failed", "infeasible"):
        failure = Failure(
            candidate_id=proposal.candidate_id,
            status=result.status,
            reason=result.reason or result.status,
            retryable=result.retryable and result.status == "failed",
            proposal_id=proposal.proposal_id,
            attempt=attempt,
            cost=result.cost,
            source="experiment",
            extra=extra,
        )
        body = asdict(failure)
        body.pop("seq")
        return [Draft("failed", {"failure": body}, identity=canonical(["failed", proposal.proposal_id, attempt]))]
    drafts = []
    for number, (target, value) in enumerate(result.values.items()):
        if target not in objective.names:
            continue
        observation = Observation(
            candidate_id=proposal.candidate_id,
            target=target,
            value=value.value,
            std=value.std,
            bound=value.bound,
            unit=objective.target(target).unit,
            cost=result.cost if number == 0 else None,
            source="experiment",
            note=result.reason,
            proposal_id=proposal.proposal_id,
            extra=extra,
        )
        body = asdict(observation)
        body.pop("seq")
        key = identity(observation)
        drafts.append(Draft("observed", {"identity": key, "observation": body}, identity=f"observed {key}"))
    return drafts


Watch = Callable[[Trial, "Result | None"], Any]
"""Called before an experiment (result None) and after it."""


def run_pending(
    journal: Journal, objective: Objective, experiment: Experiment, limit: int | None = None, watch: Watch | None = None
) -> int:
    """Run what is cut off, proposed or to be retried, oldest first. Returns how many attempts were made.

    limit: how many attempts may be begun; one that was begun before and cut off is repeated whatever the limit.
    """
    begun = ran = 0
    while trial := _next(journal.refresh(), may_begin=limit is None or begun < limit):
        begun += not trial.in_flight
        if watch:
            watch(trial, None)
        result = run_one(journal, objective, experiment, trial)
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


def _next(ledger: Ledger, may_begin: bool) -> Trial | None:
    pending = (trial for trial in ledger.pending() if trial.proposal.candidate_id not in ledger.excluded)
    runnable = [trial for trial in pending if ledger.state(trial) in RUNNABLE]
    return next((t for t in runnable if t.in_flight), next(iter(runnable), None) if may_begin else None)
