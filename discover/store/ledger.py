"""The fold: from a campaign's events to what is true now. Pure; the same events always give the same ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from discover.errors import StoreError
from discover.protocols import Candidate, Observation, Prediction, Proposal, Spending
from discover.store.canonical import canonical
from discover.store.events import Event
from discover.store.life import State

ATTEMPTS = 3
"""How often a retryable failure is attempted before it is final."""


@dataclass
class Failure:
    """A trial that gave no value."""

    candidate_id: str
    status: str
    reason: str
    retryable: bool = False
    proposal_id: str | None = None
    attempt: int = 0
    replicate: int = 0
    source: str = ""
    note: str = ""
    cost: float | None = None
    measured_at: str | None = None
    fidelity: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


@dataclass
class Trial:
    """One proposal and what became of it."""

    proposal: Proposal
    iteration: int
    seq: int
    time: str
    attempts: int = 0
    in_flight: bool = False
    withdrawn: str | None = None
    values: dict[str, dict[str, Observation]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def state(self, targets: tuple[str, ...]) -> State:
        """Its state, given the objective's targets."""
        have = set(self.values)
        if have >= set(targets):
            bounds = any(o.bound for group in self.values.values() for o in group.values())
            return State.CENSORED if bounds else State.MEASURED
        final = next((f for f in reversed(self.failures) if not f.retryable), None)
        if final is not None and not self.in_flight:
            return State.INFEASIBLE if final.status == "infeasible" else State.FAILED
        if have:
            return State.WITHDRAWN if self.withdrawn is not None else State.IN_PART
        if self.withdrawn is not None:
            return State.WITHDRAWN
        if self.in_flight:
            return State.SUBMITTED
        if self.failures:
            return State.RETRYABLE if self.attempts < ATTEMPTS else State.FAILED
        return State.PROPOSED


@dataclass(frozen=True)
class Iteration:
    """One batch as it was committed."""

    number: int
    key: str | None
    n: int
    proposal_ids: tuple[str, ...]
    learned: Mapping[str, Any]
    shortage: str
    seen: str
    policy: str
    seq: int
    time: str


class Ledger:
    """Everything that a campaign's log says. `apply` takes events in order; nothing else changes it."""

    def __init__(self) -> None:
        self.seq = 0
        self.definition: Mapping[str, Any] = {}
        self.definition_hash = ""
        self.targets: tuple[str, ...] = ()
        self.trials: dict[str, Trial] = {}
        self.by_candidate: dict[str, list[Trial]] = defaultdict(list)
        self.iterations: list[Iteration] = []
        self.keys: dict[str, Iteration] = {}
        self.observations: dict[str, Observation] = {}
        self.elsewhere: list[Failure] = []
        self.excluded: dict[str, str] = {}
        self.notes: list[tuple[int, str, str]] = []
        self.stopped: str | None = None
        self.started = 0
        self.cost = 0.0

    def apply(self, events: Iterable[Event]) -> Ledger:
        """Take in further events. StoreError if one is missing between."""
        for event in events:
            if event.seq != self.seq + 1:
                raise StoreError(f"event {self.seq + 1} is missing from the store; next is {event.seq}")
            getattr(self, f"_{event.kind}")(event)
            self.seq = event.seq
        return self

    def state(self, trial: Trial) -> State:
        """State of a trial under this campaign's targets."""
        return trial.state(self.targets)

    def pending(self) -> list[Trial]:
        """Trials whose result is still expected, oldest first."""
        return [trial for trial in self.trials.values() if self.state(trial).pending]

    def open_trial(self, candidate_id: str) -> Trial | None:
        """The oldest open proposal of a candidate."""
        return next((t for t in self.by_candidate.get(candidate_id, ()) if self.state(t).pending), None)

    def blocked(self) -> dict[str, str]:
        """Candidates that a policy must not propose, with the reason."""
        found = dict.fromkeys((o.candidate_id for o in self.observations.values()), "measured")
        found |= {failure.candidate_id: failure.status for failure in self.elsewhere}
        for trial in self.trials.values():
            state = self.state(trial)
            if state.blocks:
                found[trial.proposal.candidate_id] = state.value
        return found | {candidate: f"excluded: {reason}" for candidate, reason in self.excluded.items()}

    def infeasible(self) -> set[str]:
        """Candidates that were tried and cannot give a number."""
        found = {f.candidate_id for f in self.elsewhere if f.status == "infeasible"}
        return found | {t.proposal.candidate_id for t in self.trials.values() if self.state(t) is State.INFEASIBLE}

    def failures(self) -> list[Failure]:
        """Every failure, of proposals and of candidates tried elsewhere, in order."""
        every = [failure for trial in self.trials.values() for failure in trial.failures]
        return sorted(every + self.elsewhere, key=lambda failure: failure.seq)

    @property
    def spending(self) -> Spending:
        """Experiments that were started or told of for a proposal, and their cost."""
        return Spending(self.started, self.cost)

    def _created(self, event: Event) -> None:
        self.definition = event.payload["definition"]
        self.definition_hash = event.payload["hash"]
        self.targets = tuple(target["name"] for target in self.definition["objective"]["targets"])

    def _redefined(self, event: Event) -> None:
        self.definition = event.payload["definition"]
        self.definition_hash = event.payload["hash"]
        self.stopped = None

    def _proposed(self, event: Event) -> None:
        body = event.payload
        for item in body["proposals"]:
            proposal = read_proposal(item)
            trial = Trial(proposal, body["iteration"], event.seq, event.time)
            self.trials[proposal.proposal_id] = trial
            self.by_candidate[proposal.candidate_id].append(trial)
        iteration = Iteration(
            number=body["iteration"],
            key=body["key"],
            n=body["n"],
            proposal_ids=tuple(item["proposal_id"] for item in body["proposals"]),
            learned=body["learned"],
            shortage=body["shortage"],
            seen=body["seen"],
            policy=body["policy"],
            seq=event.seq,
            time=event.time,
        )
        self.iterations.append(iteration)
        if iteration.key is not None:
            self.keys[iteration.key] = iteration
        self.stopped = None

    def _submitted(self, event: Event) -> None:
        trial = self.trials[event.payload["proposal_id"]]
        trial.attempts = event.payload["attempt"]
        trial.in_flight = True
        self.started += 1

    def _observed(self, event: Event) -> None:
        observation = replace(read_observation(event.payload["observation"]), seq=event.seq)
        self._keep(str(event.payload["identity"]), observation)

    def _failed(self, event: Event) -> None:
        failure = Failure(**{**event.payload["failure"], "seq": event.seq})
        self._fail(failure)

    def _corrected(self, event: Event) -> None:
        body = event.payload
        for identity_ in body["replaces"]:
            if identity_ in self.observations:
                self._forget(identity_)
        if body.get("observation") is not None:
            observation = replace(read_observation(body["observation"]), seq=event.seq)
            self._clear_failures(observation)
            self._keep(body["identity"], observation)
        else:
            failure = Failure(**{**body["failure"], "seq": event.seq})
            self._clear_failures(failure)
            self._fail(failure)

    def _withdrawn(self, event: Event) -> None:
        for proposal_id in event.payload["proposal_ids"]:
            self.trials[proposal_id].withdrawn = str(event.payload["reason"])
            self.trials[proposal_id].in_flight = False

    def _excluded(self, event: Event) -> None:
        self.excluded |= dict.fromkeys(event.payload["ids"], event.payload["reason"])

    def _readmitted(self, event: Event) -> None:
        for candidate_id in event.payload["ids"]:
            self.excluded.pop(candidate_id, None)

    def _noted(self, event: Event) -> None:
        self.notes.append((event.seq, event.time, event.payload["text"]))

    def _stopped(self, event: Event) -> None:
        self.stopped = event.payload["reason"]

    def _keep(self, identity: str, observation: Observation) -> None:
        self.observations[identity] = observation
        self._spend(observation.cost)
        trial = self.trials.get(observation.proposal_id or "")
        if trial is not None:
            if not trial.attempts:
                trial.attempts = 1
                self.started += 1
            trial.in_flight = False
            trial.values.setdefault(observation.target, {})[identity] = observation

    def _forget(self, identity: str) -> None:
        observation = self.observations.pop(identity)
        self.cost -= observation.cost or 0.0
        trial = self.trials.get(observation.proposal_id or "")
        if trial is not None:
            trial.values[observation.target].pop(identity)
            if not trial.values[observation.target]:
                del trial.values[observation.target]

    def _fail(self, failure: Failure) -> None:
        self._spend(failure.cost)
        trial = self.trials.get(failure.proposal_id or "")
        if trial is None:
            self.elsewhere.append(failure)
            return
        if not trial.attempts:
            trial.attempts = 1
            self.started += 1
        trial.in_flight = False
        trial.failures.append(failure)

    def _clear_failures(self, found: Observation | Failure) -> None:
        """Forget the final failures in whose place something else was found."""
        trial = self.trials.get(found.proposal_id or "")
        failures = self.elsewhere if trial is None else trial.failures
        gone = [f for f in failures if not f.retryable and _alike(f, found)]
        self.cost -= sum(f.cost or 0.0 for f in gone)
        failures[:] = [f for f in failures if f not in gone]

    def _spend(self, cost: float | None) -> None:
        self.cost += cost or 0.0


def _alike(one: Failure, other: Observation | Failure) -> bool:
    """Whether two results of one proposal, or of one candidate without a proposal, are in the same place."""
    where, there = (
        (f.candidate_id, "" if f.proposal_id else f.source, f.replicate, f.fidelity, dict(f.context))
        for f in (one, other)
    )
    return where == there


def identity(observation: Observation) -> str:
    """What makes an observation one and the same: its proposal (or candidate and source), target, replicate, fidelity, context."""
    who = [observation.proposal_id] if observation.proposal_id else [observation.candidate_id, observation.source]
    return canonical([*who, observation.target, observation.replicate, observation.fidelity, dict(observation.context)])


def read_observation(body: Mapping[str, Any]) -> Observation:
    """An observation from its JSON."""
    return Observation(**body)


def read_proposal(body: Mapping[str, Any]) -> Proposal:
    """A proposal from its JSON."""
    candidate = body.get("candidate")
    return Proposal(
        **{
            **body,
            "candidate": Candidate(**candidate) if candidate else None,
            "predicted": {name: Prediction(**p) for name, p in body["predicted"].items()},
        }
    )
