"""What the ledger holds: trials, failures and iterations. Bodies that are large stay in the log until somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from discover.store.canonical import canonical
from discover.store.ledger.life import State
from discover.values import Candidate, Observation, Prediction, Proposal

ATTEMPTS = 3
"""How often a retryable failure is attempted before it is final."""

Load = Callable[[int], Mapping[str, Any]]
"""The payload of the `proposed` event with a sequence number."""


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
    raw: Mapping[str, str] = field(default_factory=dict)
    seq: int = 0


@dataclass
class Trial:
    """One proposal and what became of it. `state` is kept by the ledger."""

    proposal_id: str
    candidate_id: str
    iteration: int
    seq: int
    place: int
    time: str
    rank: int = 0
    awaits_approval: bool = False
    approved: bool = False
    deadline: str | None = None
    attempts: int = 0
    in_flight: bool = False
    worker: str = ""
    handle: Mapping[str, Any] | None = None
    unsure: str | None = None
    withdrawn: str | None = None
    expired: bool = False
    retracted: bool = False
    values: dict[str, dict[str, Observation]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    state: State = State.PROPOSED
    _load: Load | None = field(default=None, repr=False, compare=False)
    _proposal: Proposal | None = field(default=None, repr=False, compare=False)

    @property
    def proposal(self) -> Proposal:
        """The whole proposal, with its candidate."""
        if self._proposal is None:
            assert self._load is not None
            self._proposal = read_proposal(self._load(self.seq)["proposals"][self.place])
        return self._proposal

    @property
    def runnable(self) -> bool:
        """Whether an attempt may begin: nobody's approval is waited for, and nothing is under way or known."""
        return self.state in (State.APPROVED, State.RETRYABLE) or (
            self.state is State.PROPOSED and not self.awaits_approval
        )

    @property
    def waits_for_a_person(self) -> bool:
        """Whether nothing can begin before a person approves of it."""
        return self.state is State.PROPOSED and self.awaits_approval

    @property
    def gave_up(self) -> bool:
        """Whether it failed for good only because its attempts are used up: nobody said that it cannot be."""
        return self.state is State.FAILED and all(failure.retryable for failure in self.failures)

    def now(self, targets: tuple[str, ...]) -> State:
        """The state that follows from all the rest, given the objective's targets."""
        if self.values.keys() >= set(targets):
            bounds = any(o.bound for group in self.values.values() for o in group.values())
            return State.CENSORED if bounds else State.MEASURED
        final = next((f for f in reversed(self.failures) if not f.retryable), None)
        if final is not None and not self.in_flight:
            return State.INFEASIBLE if final.status == "infeasible" else State.FAILED
        if self.withdrawn is not None:
            return State.WITHDRAWN
        if self.expired:
            return State.EXPIRED
        if self.values:
            return State.IN_PART
        if self.retracted:
            return State.RETRACTED
        if self.unsure is not None:
            return State.UNKNOWN
        if self.in_flight:
            return State.SUBMITTED
        if self.failures:
            return State.RETRYABLE if self.attempts < ATTEMPTS else State.FAILED
        return State.APPROVED if self.approved else State.PROPOSED


@dataclass
class Iteration:
    """One batch as it was committed. `basis` is the last event that the choice knew."""

    number: int
    key: str | None
    n: int
    proposal_ids: tuple[str, ...]
    shortage: str
    seen: str
    policy: str
    seq: int
    time: str
    basis: int
    verdict: str = ""
    remembers: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    _load: Load | None = field(default=None, repr=False, compare=False)
    _learned: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def learned(self) -> Mapping[str, Any]:
        """What the policy learned before it chose: settings, diagnostics, memory, environment, seed."""
        if self._learned is None:
            assert self._load is not None
            self._learned = self._load(self.seq)["learned"]
        return self._learned


def identity(observation: Observation) -> str:
    """What makes an observation one and the same: its proposal (or candidate and source), target, replicate, fidelity, context."""
    who = [observation.proposal_id] if observation.proposal_id else [observation.candidate_id, observation.source]
    return canonical([*who, observation.target, observation.replicate, observation.fidelity, dict(observation.context)])


def failing(failure: Failure | Observation) -> str:
    """What makes a final failure one and the same: its proposal (or candidate and source), replicate, fidelity, context."""
    who = [failure.proposal_id] if failure.proposal_id else [failure.candidate_id, failure.source]
    return canonical(["failed", *who, failure.replicate, failure.fidelity, dict(failure.context)])


def alike(one: Failure, other: Observation | Failure) -> bool:
    """Whether two results of one proposal, or of one candidate without a proposal, are in the same place."""
    where, there = (
        (f.candidate_id, "" if f.proposal_id else f.source, f.replicate, f.fidelity, dict(f.context))
        for f in (one, other)
    )
    return where == there


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
