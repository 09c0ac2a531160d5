"""What a payload of each kind must look like before anything is folded from it: types, and no number that is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from discover.errors import DiscoverError
from discover.objective import Objective
from discover.store.ledger.trials import Failure
from discover.store.log.events import Event
from discover.values import Candidate, Observation, Proposal

SHOWN = 5


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Spec(_Shape):
    id: str
    columns: list[str] = []
    categorical: list[str] = []
    descriptors: dict[str, Any] = {}
    made_from: dict[str, Any] = {}
    substances: dict[str, Any] = {}


class _Pool(_Shape):
    snapshot: str
    spec: _Spec


class _Definition(_Shape):
    objective: dict[str, Any]
    policy: dict[str, Any]
    budget: dict[str, Any] = {}


class _Created(_Shape):
    definition: _Definition
    hash: str
    pool: _Pool
    program: dict[str, Any] = {}


class _Redefined(_Shape):
    definition: _Definition
    hash: str


class _Environment(_Shape):
    threads: int = 1


class _Learned(_Shape):
    environment: _Environment = _Environment()


class _Proposed(_Shape):
    iteration: int
    key: str | None
    n: int
    policy: str
    shortage: str
    seen: str
    learned: _Learned
    basis: int | None
    approval: bool
    deadline: str | None
    proposals: list[Proposal]


class _OfProposals(_Shape):
    proposal_ids: list[str]


class _OfProposal(_Shape):
    proposal_id: str


class _OfAttempt(_OfProposal):
    attempt: int
    key: str


class _Submitted(_OfAttempt):
    worker: str


class _Described(_Shape):
    candidates: list[Candidate]


class _Observed(_Shape):
    identity: str
    observation: Observation


class _Failed(_Shape):
    failure: Failure


class _Corrected(_Shape):
    replaces: list[str]
    reason: str
    observation: Observation | None = None
    failure: Failure | None = None


class _Reasoned(_Shape):
    reason: str


class _OfCandidates(_Shape):
    ids: list[str]


class _Noted(_Shape):
    text: str


SHAPES: dict[str, type[_Shape]] = {
    "created": _Created,
    "redefined": _Redefined,
    "proposed": _Proposed,
    "approved": _OfProposals,
    "submitted": _Submitted,
    "dispatched": _OfAttempt,
    "unsure": _OfAttempt,
    "settled": _OfProposal,
    "described": _Described,
    "observed": _Observed,
    "failed": _Failed,
    "corrected": _Corrected,
    "retracted": _Reasoned,
    "withdrawn": _OfProposals,
    "expired": _OfProposals,
    "excluded": _OfCandidates,
    "readmitted": _OfCandidates,
    "noted": _Noted,
    "stopped": _Reasoned,
}


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(SHAPES[kind])


def misshapen(event: Event) -> Iterator[str]:
    """Why an event's payload is not one of its kind, in words; nothing where it is."""
    if event.kind not in SHAPES:
        return
    try:
        _adapter(event.kind).validate_json(json.dumps(event.payload, allow_nan=False))
        if "definition" in event.payload:
            Objective.from_dict(event.payload["definition"]["objective"])
    except ValidationError as error:
        for one in error.errors(include_url=False)[:SHOWN]:
            yield f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    except (DiscoverError, ValueError, TypeError, KeyError, AttributeError) as error:
        yield str(error)
