"""Experiments that run in this process: submit, run, record. Each result is committed before the next begins."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from discover.campaign.claiming import held_elsewhere, in_hand, is_workable, take, worker_of
from discover.campaign.experiments.recording import Attempt, record
from discover.candidates.space.points import Pool
from discover.errors import ExperimentFailed, InvalidInput, LeaseLost, Problem, nearest
from discover.objective import Objective
from discover.protocols import Experiment, Measures
from discover.store.canonical import canonical
from discover.store.journal import Journal
from discover.store.leases.claims import proposal_of
from discover.store.leases.leases import Lease
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Failure, Trial
from discover.store.log.events import Draft, submission_key
from discover.values import Proposal, Result

PAUSE_SECONDS = 0.5
"""How often somebody who waits looks at the store."""

Watch = Callable[[Trial, "Result | None"], Any]
"""Called before an experiment (result None) and after it."""


def check_experiment(experiment: Measures, objective: Objective, pool: Pool) -> None:
    """InvalidInput if the experiment cannot serve this campaign: columns, targets, units."""
    columns = {pool.id, *pool.columns, *([pool.structure] if pool.structure else [])}
    problems = [
        Problem("the experiment needs a column that the candidates lack", column=c, way_out=nearest(c, columns))
        for c in experiment.requires
        if c not in columns
    ]
    measured = experiment.targets
    for name, unit in objective.units.items():
        if name not in measured:
            what = "outcome" if name in objective.outcomes else "target"
            hint = nearest(name, measured)
            problems.append(Problem(f"the experiment does not measure this {what}", value=name, way_out=hint))
        elif unit and measured[name] and unit != measured[name]:
            message = f"the objective says {unit!r}, the experiment measures in {measured[name]!r}"
            problems.append(Problem(message, column=name))
    if problems:
        raise InvalidInput("experiment", problems)


def run_one(
    journal: Journal,
    objective: Objective,
    experiment: Experiment,
    lease: Lease,
    *,
    ceiling: int | None = None,
    watch: Watch | None = None,
    believe: Callable[[Result], bool] = lambda result: True,
    patiently: Callable[[Callable[[], Any]], Any] = lambda do: do(),
) -> Result | None:
    """One attempt at a claimed proposal, from its submission to its committed result.

    ceiling: begin nothing once the campaign has started so many experiments. believe: a result that is not believed, such as
    a failure in the moment in which the worker was told to stop, is not recorded: the attempt is repeated. None where
    nothing was begun, or nothing recorded. patiently: does what needs the store, again where it is away.
    """
    try:
        attempt = patiently(lambda: _begin(journal, proposal_of(lease), lease, ceiling))
    except LeaseLost:
        return None
    if attempt is None:
        return None
    trial = journal.ledger.trials[attempt.proposal.proposal_id]
    if watch:
        watch(trial, None)
    start = time.perf_counter()
    result = perform(experiment, attempt.proposal)
    took = replace(attempt, seconds=time.perf_counter() - start)
    if not believe(result):
        return None
    patiently(lambda: record(journal, objective, took, result))
    if watch:
        watch(trial, result)
    return result


def _begin(journal: Journal, pid: str, lease: Lease, ceiling: int | None) -> Attempt | None:
    """Commit that an attempt begins; one that was cut off is the same attempt again. None if it need not or must not."""
    begun: list[int] = []
    worker = worker_of(lease)

    def decide(ledger: Ledger) -> Iterator[Draft]:
        begun.clear()
        trial = ledger.trials[pid]
        if not is_workable(ledger, trial):
            return
        if trial.in_flight:
            begun.append(trial.attempts)
        elif ceiling is None or ledger.started < ceiling:
            begun.append(number := trial.attempts + 1)
            body = {"proposal_id": pid, "attempt": number, "key": submission_key(pid, number), "worker": worker}
            yield Draft("submitted", body, identity=canonical(["submitted", pid, number]))

    journal.transact(decide, fence=lease)
    return Attempt(journal.ledger.trials[pid].proposal, begun[0], worker, lease) if begun else None


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


def run_pending(
    journal: Journal,
    objective: Objective,
    experiment: Experiment,
    limit: int | None = None,
    watch: Watch | None = None,
    worker: str = "",
    *,
    wait: bool = False,
    only: Collection[str] | None = None,
) -> int:
    """Run what is cut off, approved or to be retried and what nobody else works on, oldest first; how many attempts ran here.

    limit: how many attempts may be begun, by whomever; one that was begun before and cut off is repeated whatever the limit.
    wait: until other processes have finished, or given back, what they have in hand. only: no other proposals than these.
    """
    ran = 0
    ceiling = None if limit is None else journal.refresh().started + limit
    while True:
        may_begin = ceiling is None or journal.refresh().started < ceiling
        taken = take(journal, 1, worker=worker, may_begin=may_begin, only=only)
        if taken:
            with in_hand(journal, taken[0]) as lease:
                ran += run_one(journal, objective, experiment, lease, ceiling=ceiling, watch=watch) is not None
        elif not (wait and held_elsewhere(journal, only)):
            return ran
        else:
            time.sleep(PAUSE_SECONDS)


class FailedExperiments(UserWarning):
    """Some experiments of a run gave no value; the message counts them and quotes the last reason."""


def warn_of_failures(failures: Sequence[Failure], ran: int) -> None:
    """Say aloud how many of a run's experiments failed."""
    if failures:
        message = f"{len(failures)} of {ran} experiments failed; the last: {failures[-1].reason}"
        warnings.warn(message, FailedExperiments, stacklevel=3)
