"""From an observation back to where it comes from: results, submissions, choice, model, features, candidate, snapshot."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from discover.candidates.pool.pool import CandidatePool, PoolSpec
from discover.candidates.snapshots.snapshot import OWN, Snapshot
from discover.candidates.space.points import Points
from discover.errors import DiscoverError, UnknownCandidate, nearest
from discover.features.build import Features, feature_table
from discover.provenance.rows import event_of, stored_rows
from discover.store.canonical import plain
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Iteration, Trial
from discover.store.log.events import Event

if TYPE_CHECKING:
    from discover.campaign import Campaign

MANY = 10_000
"""Candidates among which the nearest id is still sought."""
RESULTS = ("observed", "failed", "corrected", "retracted")
PROPOSALS = ("approved", "submitted", "dispatched", "unsure", "settled", "withdrawn", "expired")


@dataclass(frozen=True)
class Trace:
    """Where a candidate's observations come from. `body` is plain JSON: see `to_dict`."""

    body: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: campaign, candidate, snapshot, features, proposals, results, events."""
        return dict(self.body)

    def __str__(self) -> str:
        from discover.provenance.trace_text import lines

        return "\n".join(lines(self.body))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def trace(campaign: Campaign, id: str) -> Trace:
    """The whole chain of a proposal (its id) or of a candidate with all of its proposals (its id).

    UnknownCandidate for an id that the campaign does not know, with the nearest.
    """
    ledger = campaign.ledger
    trial = ledger.trials.get(id)
    candidate = trial.candidate_id if trial else id
    trials = [trial] if trial else list(ledger.by_candidate.get(candidate, ()))
    if not trials and candidate not in ledger.found and candidate not in _elsewhere(ledger):
        _refuse(campaign, ledger, id)
    wanted = {t.proposal_id for t in trials}
    events, known = _concerned(campaign, candidate, wanted, whole=trial is None)
    body = {
        "campaign": {
            "name": campaign.name,
            "uid": campaign.uid,
            "created": campaign._journal.first.time,
            "program": campaign._created.get("program", {}),
            "definition_hash": ledger.definition_hash,
            "objective": ledger.definition["objective"],
        },
        "asked_for": id,
        "candidate": _candidate(campaign, candidate, trials),
        **_candidates_of(campaign, known[trials[-1].iteration]["pool"] if trials else ledger.pool),
        "proposals": [_proposal(ledger, t, known[t.iteration]) for t in trials],
        "results": [_result(e) for e in events if e.kind in RESULTS],
        "events": [_event(e) for e in events],
    }
    return Trace(plain(body))


def _refuse(campaign: Campaign, ledger: Ledger, id: str) -> None:
    if id in campaign.pool:
        raise UnknownCandidate(f"candidate {id!r} was never proposed, and nothing was told of it")
    names = [*ledger.trials, *(campaign.pool.ids.tolist() if len(campaign.pool) <= MANY else ledger.by_candidate)]
    raise UnknownCandidate(f"no proposal or candidate {id!r} in this campaign ({nearest(id, names)[:300]})")


def _elsewhere(ledger: Ledger) -> set[str]:
    return {failure.candidate_id for failure in ledger.elsewhere} | set(ledger.excluded)


def _concerned(
    campaign: Campaign, candidate: str, proposals: set[str], *, whole: bool
) -> tuple[list[Event], dict[int, dict[str, Any]]]:
    """Events about these proposals and this candidate; and of each batch, what was known and set when it was chosen."""
    found: list[Event] = []
    known: dict[int, dict[str, Any]] = {}
    names = {candidate, campaign.ledger.former.get(candidate, candidate)}
    counts: list[int] = [0]
    pools: list[Mapping[str, Any]] = [{}]
    keys: set[str] = set()
    ledger = Ledger()
    for row in stored_rows(campaign._journal.log, campaign.name):
        event = event_of(row)
        ledger.apply([event])
        counts.append(len(ledger.observations))
        pools.append(ledger.pool)
        if event.kind == "proposed":
            iteration = ledger.iterations[-1]
            then = {"observations": counts[iteration.basis], "policy": ledger.definition["policy"]}
            known[iteration.number] = {**then, "pool": pools[iteration.basis]}
        if _concerns(event, names, proposals, keys, whole):
            found.append(event)
            keys |= {event.payload["identity"]} if event.payload.get("identity") else set()
    return found, known


def _concerns(event: Event, names: set[str], proposals: set[str], keys: set[str], whole: bool) -> bool:
    body = event.payload
    if event.kind == "proposed":
        return any(item["proposal_id"] in proposals for item in body["proposals"])
    if event.kind in PROPOSALS:
        return bool(proposals & {body.get("proposal_id"), *body.get("proposal_ids", ())})
    if event.kind in ("excluded", "readmitted"):
        return bool(names & set(body["ids"]))
    if event.kind == "repooled":
        return any(names & set(body[what]) for what in ("removed", "returned", "changed", "superseded"))
    if event.kind not in RESULTS:
        return False
    if keys & set(body.get("replaces", ())) or proposals & set(body.get("proposal_ids", ())):
        return True
    told = [item for item in (body.get("observation"), body.get("failure"), *body.get("failures", ())) if item]
    return any(
        item["proposal_id"] in proposals or (item["candidate_id"] in names and (whole or item["proposal_id"] is None))
        for item in told
    )


def _candidate(campaign: Campaign, candidate: str, trials: Sequence[Trial]) -> dict[str, Any]:
    held = trials[-1].proposal.candidate if trials else None
    if held is None and candidate in campaign.pool:
        held = campaign.pool.candidate(int(campaign.pool.rows([candidate])[0]))
    if held is None:
        return {"id": candidate, "version": None, "values": {}}
    return {"id": held.id, "version": held.version, "values": dict(held.values)}


def _candidates_of(campaign: Campaign, pool: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot that was chosen from, with its provenance, and the features that are made of it."""
    told: dict[str, Any] = {"hash": pool["snapshot"], "place": str(campaign.snapshots)}
    try:
        snapshot = Snapshot.open(pool["snapshot"], campaign.snapshots)
        told |= {"rows": len(snapshot), "columns": list(snapshot.columns)}
        told["provenance"] = {k: v for k, v in snapshot.manifest.items() if k not in OWN}
        if isinstance(campaign.pool, Points):  # what is stored is a declaration; a space does not change in a campaign
            features = _features_of_points(campaign.pool)
        else:
            features = _features(CandidatePool.from_snapshot(snapshot, PoolSpec.from_dict(pool["spec"])), campaign)
    except DiscoverError as error:
        told["problem"] = str(error)
        features = {}
    return {"snapshot": told, "features": features | {"spec": pool["spec"]}}


def _features(pool: CandidatePool, campaign: Campaign) -> dict[str, Any]:
    table = feature_table(pool, campaign.files / "features")
    parts = Features.of(pool)
    kinds = [
        {"kind": type(part).__name__, "names": len(part.names), "fingerprint": getattr(part, "fingerprint", None)}
        for part in parts.parts
    ]
    return {"names": list(table.names), "hash": table.hash, "fingerprint": parts.fingerprint, "parts": kinds}


def _features_of_points(points: Points) -> dict[str, Any]:
    """Features of the points that are known now; what makes them is the space's declaration."""
    table = points.features
    parts = [
        {
            "kind": b.kind if b.name == b.kind else f"{b.kind} of {b.name}",
            "names": b.stop - b.start,
            "fingerprint": None,
        }
        for b in table.blocks
    ]
    return {"names": list(table.names), "hash": table.hash, "fingerprint": points.hash, "parts": parts}


def _proposal(ledger: Ledger, trial: Trial, known: Mapping[str, Any]) -> dict[str, Any]:
    iteration = next(i for i in ledger.iterations if i.number == trial.iteration)
    proposal = trial.proposal
    return {
        "proposal_id": trial.proposal_id,
        "state": trial.state.value,
        "iteration": iteration.number,
        "key": iteration.key,
        "place": trial.place + 1,
        "batch": len(iteration.proposal_ids),
        "asked": iteration.n,
        "policy": proposal.policy,
        "reason": proposal.reason,
        "rank": proposal.rank,
        "probability": proposal.probability,
        "predicted": {name: asdict(p) for name, p in proposal.predicted.items()},
        "acquisition": proposal.acquisition,
        "details": dict(proposal.details),
        "choice": _choice(iteration, known),
        "awaits_approval": trial.awaits_approval,
        "deadline": trial.deadline,
        "attempts": trial.attempts,
    }


def _choice(iteration: Iteration, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the choice was made from and with; the memory of the model is left in the log, for it is long."""
    learned = {k: v for k, v in iteration.learned.items() if k != "memory"}
    return {
        "seen": iteration.seen,
        "basis": iteration.basis,
        "snapshot": known["pool"]["snapshot"],
        "observations": known["observations"],
        "settings": dict(known["policy"]),
        "seed": learned.pop("seed", None),
        "environment": learned.pop("environment", None),
        "features": learned.pop("features", None),
        "learned": learned,
    }


def _result(event: Event) -> dict[str, Any]:
    body = event.payload
    found = body.get("observation") or body.get("failure") or {}
    told = {k: v for k, v in found.items() if v not in (None, "", {}, 0, False) or k == "value"}
    more = {key: body[key] for key in ("reason", "replaces", "failures", "proposal_ids") if key in body}
    return {
        "seq": event.seq,
        "kind": event.kind,
        **told,
        **({"why": more.pop("reason")} if "reason" in more else {}),
        **more,
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": event.time,
        "kind": event.kind,
        "actor": event.actor,
        "host": event.host,
        "cause": event.cause,
        "told": "; ".join(_told(event)),
    }


def _told(event: Event) -> Iterator[str]:
    """An event in a few words."""
    body = event.payload
    for name in ("attempt", "key", "worker", "handle", "submitted", "reason", "note"):
        if body.get(name) not in (None, ""):
            yield f"{name} {body[name]}"
    if event.kind == "proposed":
        yield f"batch {body['iteration']} of {len(body['proposals'])}, by {body['policy']}"
    found = body.get("observation")
    if found:
        side = {"below": "≤ ", "above": "≥ "}.get(found["bound"], "")
        spread = f" ± {found['std']:g}" if found["std"] is not None else ""
        yield f"{found['target']} {side}{found['value']!r}{spread} {found['unit']}".rstrip()
    if event.kind == "repooled":
        yield f"the candidates of {body['pool']['snapshot'][:12]}… take the place of those of {body['before'][:12]}…"
    if failed := body.get("failure"):
        yield f"{failed['status']}: {failed['reason']}"
