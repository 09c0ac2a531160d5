"""The life of a proposal, as states that the log is folded into."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a proposal stands.

    ::

        proposed ──approve──► approved ──claim──► claimed ─┐          (claimed: approved, and a worker's lease lives;
           │  ╲ (where no        │  ▲                │      │           the lease's end returns it to approved)
           │   ╲ approval is     │  ╰──lease ends────╯      │
           │    ╲ asked for)     │                          ▼
           │     ╰───submit──────┴───────submit──────► submitted ──► measured │ censored
           │                                             │  ▲  │ ╲──► infeasible │ failed
           │                      handed over? nobody    │  │  │  ╲─► measured in part ──► measured │ censored
           │                      can say                ▼  │  ▼
           │                              unknown ──settle──╯  failed, retryable ──submit──► submitted
           │                              (or back to approved)     (at the limit: failed)
           ├──withdraw──► withdrawn ─╮
           ╰──deadline──► expired ───┴──► every result: a late one is accepted

        measured │ censored │ infeasible │ failed ──correct──► the state of the new value
                                                  ──retract──► retracted

    | state                                   | trains the surrogate              | feeds feasibility | blocks the candidate |
    |-----------------------------------------|-----------------------------------|-------------------|----------------------|
    | proposed, approved, claimed, submitted, |                                   |                   |                      |
    | unknown (pending)                       | as pending                        | no                | yes                  |
    | measured in part                        | the targets it has, rest pending  | feasible          | until complete or closed |
    | measured                                | yes                               | feasible          | unless a replicate is asked for |
    | failed, retryable                       | no                                | no                | until its retry, or the limit makes it final |
    | failed                                  | no                                | infeasible        | yes                  |
    | infeasible                              | no                                | infeasible        | yes                  |
    | censored                                | as a bound                        | feasible          | yes                  |
    | withdrawn, expired                      | no                                | no                | no                   |
    | retracted                               | no                                | no                | no                   |

    A result may be told without a submission. An excluded candidate is not a state of a proposal: it keeps what was
    measured and is blocked until it is readmitted. `ACTIONS` says which action is legal where.
    """

    PROPOSED = "proposed"
    APPROVED = "approved"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown, ask a person"
    IN_PART = "measured in part"
    RETRYABLE = "failed, retryable"
    MEASURED = "measured"
    CENSORED = "censored"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    RETRACTED = "retracted"

    @property
    def pending(self) -> bool:
        """Whether a result is still expected."""
        return self in PENDING

    @property
    def blocks(self) -> bool:
        """Whether its candidate must not be proposed again by a policy."""
        return self not in (State.WITHDRAWN, State.EXPIRED, State.RETRACTED)


PENDING = frozenset(
    {
        *(State.PROPOSED, State.APPROVED, State.CLAIMED, State.SUBMITTED, State.UNKNOWN),
        *(State.IN_PART, State.RETRYABLE),
    }
)
"""States in which a result is still expected."""
CONCLUDED = frozenset({State.MEASURED, State.CENSORED, State.FAILED, State.INFEASIBLE})

ACTIONS: dict[str, frozenset[State]] = {
    "approve": frozenset({State.PROPOSED}),
    "claim": frozenset({State.PROPOSED, State.APPROVED, State.RETRYABLE}),
    "submit": frozenset({State.PROPOSED, State.APPROVED, State.CLAIMED, State.SUBMITTED, State.RETRYABLE}),
    "settle": frozenset({State.UNKNOWN}),
    "tell": PENDING | {State.WITHDRAWN, State.EXPIRED, State.RETRACTED},
    "withdraw": PENDING,
    "expire": PENDING,
    "correct": CONCLUDED | {State.IN_PART, State.RETRACTED},
    "retract": CONCLUDED | {State.IN_PART},
}
"""From which states each action is legal. A proposal that waits for approval can be approved or withdrawn, not claimed."""
OF_RESULTS = frozenset({"correct", "retract"})
"""Legal wherever a value was told, such as in part before the proposal was withdrawn: what trains can be mended."""


def legal(state: State, *, told: bool = False) -> tuple[str, ...]:
    """The actions that a proposal in this state allows. told: whether it has values."""
    return tuple(a for a, states in ACTIONS.items() if state in states or (told and a in OF_RESULTS))
