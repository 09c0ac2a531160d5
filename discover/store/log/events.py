"""Events: what may be written into a campaign's log, and its envelope.

A campaign's life, event by event. Every other view is a fold over them (`discover.store.ledger.ledger`).

    created      the definition, the candidates' snapshot, the seed
    redefined    a changed definition that the user accepted, with the difference
    repooled     the candidates changed: what the source added, changed, withdrew or brought back
    proposed     one batch: its key, its proposals with the whole candidates, what the policy learned
    approved     proposals that a person let pass, where approval is asked for
    submitted    an attempt at a proposal began; committed, with its key, before anything is handed over
    dispatched   somebody outside has it, and this is how they call it
    unsure       nobody can say whether somebody outside has it; a person is asked
    settled      the person's answer
    described    points of a search space that were told of without having been proposed, with their values
    observed     one value of one target
    failed       an attempt, or a candidate tried elsewhere, gave no value ('failed', 'infeasible')
    corrected    an observation or a failure replaced by another value, with the reason
    retracted    observations or failures taken back, with no new value
    withdrawn    proposals taken back
    expired      proposals whose stated deadline passed
    excluded     candidates that must not be proposed; `readmitted` undoes it
    noted        something that whoever reads the campaign later should know, such as why bits cannot be promised
    stopped      a stopping rule's advice was followed
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from discover.errors import StoreError

SCHEMAS: Mapping[str, int] = {
    "created": 1,
    "redefined": 1,
    "repooled": 1,
    "proposed": 2,
    "approved": 1,
    "submitted": 2,
    "dispatched": 1,
    "unsure": 1,
    "settled": 1,
    "described": 1,
    "observed": 1,
    "failed": 1,
    "corrected": 1,
    "retracted": 1,
    "withdrawn": 1,
    "expired": 1,
    "excluded": 1,
    "readmitted": 1,
    "noted": 1,
    "stopped": 1,
}
"""The newest payload schema of each kind."""


def _proposed_2(body: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 says upon which events the choice was based, whether approval is asked for, and until when a result counts."""
    return {**body, "basis": None, "approval": False, "deadline": None}


def _submitted_2(body: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 says under which key, and which worker."""
    return {**body, "key": submission_key(body["proposal_id"], body["attempt"]), "worker": ""}


UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("proposed", 1): _proposed_2,
    ("submitted", 1): _submitted_2,
}
"""(kind, schema) to a function that turns that payload into the next schema's. Stored payloads are never rewritten."""


def submission_key(proposal_id: str, attempt: int) -> str:
    """The name of one attempt at one proposal, for ever: what an outside system is asked for."""
    return f"{proposal_id}.{attempt}"


@dataclass(frozen=True)
class Draft:
    """An event to be appended. `identity` is unique in a campaign: the database refuses a second one."""

    kind: str
    payload: Mapping[str, Any]
    identity: str | None = None
    cause: str = ""


@dataclass(frozen=True)
class Event:
    """An event as it was stored, its payload at the newest schema. Order is `seq`, never a time stamp."""

    seq: int
    kind: str
    payload: Mapping[str, Any]
    time: str
    actor: str
    host: str
    cause: str = ""
    identity: str | None = None
    id: str = field(default="", compare=False)
    schema: int = 1


def upcast(kind: str, schema: int, text: str) -> dict[str, Any]:
    """A stored payload at the newest schema of its kind."""
    if kind not in SCHEMAS:
        raise StoreError(
            f"the store holds an event of kind {kind!r}, which this program does not know; update discover"
        )
    if schema > SCHEMAS[kind]:
        raise StoreError(
            f"the store holds {kind!r} events of schema {schema}, newer than this program; update discover"
        )
    payload: dict[str, Any] = json.loads(text)
    for step in range(schema, SCHEMAS[kind]):
        payload = UPCASTERS[kind, step](payload)
    return payload
