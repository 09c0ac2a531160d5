"""Events held against each other: nothing is found out about what was never proposed, and nothing is proposed twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.pool import _version as version_of
from discover.candidates.space import SearchSpace
from discover.candidates.space.declaring import space_of
from discover.objective import units_of
from discover.provenance.findings import Finding
from discover.provenance.sequence import PROPOSAL_ID, RESTORE
from discover.provenance.shapes import misshapen
from discover.store.canonical import digest
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import identity, read_observation
from discover.store.log.events import Event, submission_key

Pools = Callable[[Mapping[str, Any]], CandidatePool | None]
"""The candidates of a `pool` in an event, or None where they cannot be read (which is said elsewhere)."""
Wrong = Iterator[tuple[str, str]]
LOOK = "see 'discover trace'; a result is mended by correct or retract, a proposal by withdraw"


class Meaning:
    """Folds one campaign's events, one at a time, and says what contradicts what came before.

    broken: whether an event could not be folded; what comes after it is judged without it.
    misshapen: whether the payload of the last event is not one of its kind.
    """

    def __init__(self, name: str, uid: str, pools: Pools = lambda _: None):
        self.name = name
        self.uid = uid
        self.ledger = Ledger()
        self.broken = False
        self.misshapen = False
        self._pools_of = pools
        self._pools: list[CandidatePool] = []
        self._space: list[SearchSpace] = []
        self._points: set[str] = set()
        self._units: dict[str, str] = {}
        self._versions: dict[tuple[str, str], int] = {}

    def see(self, event: Event) -> list[Finding]:
        """What is wrong with the next event."""
        wrong = [
            (f"the payload of {event.kind!r} is not what it must be: {told}", RESTORE) for told in misshapen(event)
        ]
        self.misshapen = bool(wrong)
        try:
            wrong += self._check(event)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if not wrong:
                told = f"the payload of {event.kind!r} is not what it must be: {type(error).__name__}: {error}"
                wrong = [(told, RESTORE)]
        found = [Finding("error", what, way_out, event.seq, self.name) for what, way_out in wrong]
        self._fold(event, found)
        return found

    def close(self) -> list[Finding]:
        """What is said at the end: candidates in the proposals that are not those of a snapshot."""
        open_ = dict(self._versions)
        for pool in reversed(self._pools):
            known = sorted({candidate for candidate, _ in open_ if candidate in pool})
            for candidate in pool.candidates(pool.rows(known)) if known else ():
                open_.pop((candidate.id, candidate.version), None)
        if not self._pools:
            return []
        return [
            Finding(
                "error", f"proposed candidate {candidate!r} is not the one of the snapshot", RESTORE, seq, self.name
            )
            for (candidate, _), seq in open_.items()
            if self._is_listed(candidate)
        ]

    def _fold(self, event: Event, found: list[Finding]) -> None:
        self.ledger.seq = event.seq - 1  # a gap is told of by whoever looks at the sequence
        try:
            self.ledger.apply([event])
        except Exception as error:  # an event that was tampered with may break the fold anywhere
            self.broken = True
            self.ledger.seq = event.seq
            if not found:
                told = f"{event.kind!r} cannot be folded: {type(error).__name__}: {error}"
                found.append(Finding("error", told, RESTORE, event.seq, self.name))

    def _check(self, event: Event) -> Wrong:
        body = event.payload
        if event.kind != "created" and not self.ledger.definition:
            yield "the campaign does not begin with its definition", RESTORE
        if event.kind != "proposed":
            named = [body["proposal_id"]] if "proposal_id" in body else body.get("proposal_ids", [])
            for unknown in dict.fromkeys(p for p in named if p not in self.ledger.trials):
                yield f"{event.kind!r} names proposal {unknown!r}, which does not exist", LOOK
        check: Callable[[Event], Wrong] | None = getattr(self, f"_{event.kind}", None)
        if check is not None:
            yield from check(event)

    def _created(self, event: Event) -> Wrong:
        if self.ledger.definition:
            yield "the campaign is created a second time", RESTORE
        self._units = units_of(event.payload["definition"]["objective"])
        self._pooled(event)
        yield from self._redefined(event)

    def _redefined(self, event: Event) -> Wrong:
        if digest(event.payload["definition"]) != event.payload["hash"]:
            yield "the definition does not match its hash", RESTORE

    def _repooled(self, event: Event) -> Wrong:
        self._pooled(event)
        return iter(())

    def _pooled(self, event: Event) -> None:
        told = event.payload.get("pool")
        declared = (told or {}).get("spec", {}).get("space")
        if declared:
            self._space = [space_of(declared, stored=True)]
            return
        pool = self._pools_of(told) if told else None
        if pool is not None:
            self._pools.append(pool)

    def _proposed(self, event: Event) -> Wrong:
        body, ledger = event.payload, self.ledger
        if body["key"] is not None and body["key"] in ledger.keys:
            yield f"key {body['key']!r} has a second batch", LOOK
        if body["iteration"] != len(ledger.iterations) + 1:
            yield f"batch {len(ledger.iterations) + 1} calls itself {body['iteration']}", LOOK
        if len(body["proposals"]) > body["n"]:
            yield f"{body['n']} candidates were asked for, {len(body['proposals'])} were proposed", LOOK
        here: set[str] = set()
        for item in body["proposals"]:
            yield from self._proposal(item, here, event.seq)

    def _proposal(self, item: Mapping[str, Any], here: set[str], seq: int) -> Wrong:
        pid, candidate = item["proposal_id"], item["candidate_id"]
        told = f"proposal {pid!r}"
        if pid in self.ledger.trials or pid in here:
            yield f"{told} stands twice", RESTORE
        if not PROPOSAL_ID.fullmatch(pid) or not pid.startswith(f"{self.uid}-"):
            yield f"{told} is not named after its campaign, {self.uid}", RESTORE
        pending = self.ledger.open_trial(candidate)
        if pending is not None or candidate in here:
            first = pending.proposal_id if pending else "the same batch"
            yield f"candidate {candidate!r} is proposed while it is pending as {first}", LOOK
        here |= {pid, candidate}
        whole = item.get("candidate")
        if not whole or whole["id"] != candidate:
            yield f"{told} does not carry its candidate", RESTORE
        elif version_of(whole["values"]) != whole["version"]:
            yield f"{told} carries a candidate that does not match its hash", RESTORE
        else:
            self._versions.setdefault((candidate, whole["version"]), seq)
        if self._space:
            yield from self._point(whole)
        yield from self._known(candidate)

    def _described(self, event: Event) -> Wrong:
        if not self._space:
            yield "points are described, and there is no search space", LOOK
        for whole in event.payload["candidates"]:
            if version_of(whole["values"]) != whole["version"]:
                yield f"candidate {whole['id']!r} does not match its hash", RESTORE
            yield from self._point(whole)

    def _point(self, whole: Mapping[str, Any] | None) -> Wrong:
        """A candidate of a search space carries its own id: the hash of its values."""
        for space in self._space:
            values = dict((whole or {}).get("values", {}))
            if not whole or not set(space.columns) <= set(values) or space.candidate(values).id != whole["id"]:
                yield f"candidate {(whole or {}).get('id')!r} is no point of the space, or is called otherwise", LOOK
            else:
                self._points.add(whole["id"])

    def _known(self, candidate: str) -> Wrong:
        if (self._pools or self._space) and not self._is_listed(candidate):
            yield f"there is no candidate {candidate!r} in the snapshot", LOOK

    def _is_listed(self, candidate: str) -> bool:
        """Whether a candidate is in one of the snapshots, or was seen to be a point of the space."""
        return candidate in self._points or any(candidate in pool for pool in self._pools)

    def _submitted(self, event: Event) -> Wrong:
        body = event.payload
        trial = self.ledger.trials.get(body["proposal_id"])
        if trial is not None and body["attempt"] != trial.attempts + 1:
            yield f"attempt {body['attempt']} at {trial.proposal_id!r} follows attempt {trial.attempts}", LOOK
        yield from self._keyed(event)

    def _keyed(self, event: Event) -> Wrong:
        body = event.payload
        if body["key"] != submission_key(body["proposal_id"], body["attempt"]):
            yield f"the key {body['key']!r} is not that of its proposal and attempt", LOOK

    def _dispatched(self, event: Event) -> Wrong:
        return self._keyed(event)

    def _unsure(self, event: Event) -> Wrong:
        return self._keyed(event)

    def _observed(self, event: Event) -> Wrong:
        if event.payload["identity"] in self.ledger.observations:
            yield f"the observation {event.payload['identity']} is told a second time", LOOK
        yield from self._observation(event.payload)

    def _observation(self, body: Mapping[str, Any]) -> Wrong:
        found = read_observation(body["observation"])
        yield from self._result(found.candidate_id, found.proposal_id)
        if identity(found) != body["identity"]:
            yield f"the observation does not match its identity {body['identity']}", RESTORE
        if found.target not in self._units:
            yield f"a value of {found.target!r}, which is not a target", LOOK
        elif found.unit != self._units[found.target]:
            yield f"a value of {found.target!r} in {found.unit!r}; the target is in {self._units[found.target]!r}", LOOK
        if isinstance(found.value, bool) or not isinstance(found.value, (int, float)) or not math.isfinite(found.value):
            yield f"a value of {found.target!r} is not a number: {found.value!r}", LOOK
        if found.bound not in (None, "below", "above"):
            yield f"the bound {found.bound!r} is neither below nor above", LOOK

    def _result(self, candidate: str, proposal_id: str | None) -> Wrong:
        if proposal_id is not None:
            trial = self.ledger.trials.get(proposal_id)
            if trial is None:
                yield f"a result of proposal {proposal_id!r}, which does not exist", LOOK
            elif trial.candidate_id != candidate:
                yield f"a result of {candidate!r} under {proposal_id!r}, which is of {trial.candidate_id!r}", LOOK
        yield from self._known(candidate)

    def _failed(self, event: Event) -> Wrong:
        return self._failure(event.payload["failure"])

    def _failure(self, failure: Mapping[str, Any]) -> Wrong:
        yield from self._result(failure["candidate_id"], failure["proposal_id"])
        if failure["status"] not in ("failed", "infeasible"):
            yield f"the status {failure['status']!r} is neither failed nor infeasible", LOOK

    def _corrected(self, event: Event) -> Wrong:
        body = event.payload
        yield from self._replaced(body)
        if body.get("observation") is not None:
            yield from self._observation(body)
        else:
            yield from self._failure(body["failure"])

    def _retracted(self, event: Event) -> Wrong:
        return self._replaced(event.payload)

    def _replaced(self, body: Mapping[str, Any]) -> Wrong:
        for gone in body["replaces"]:
            if gone not in self.ledger.observations:
                yield f"an observation is replaced that does not exist: {gone}", LOOK

    def _excluded(self, event: Event) -> Wrong:
        for candidate in event.payload["ids"]:
            yield from self._known(candidate)

    def _readmitted(self, event: Event) -> Wrong:
        for candidate in event.payload["ids"]:
            if candidate not in self.ledger.excluded:
                yield f"candidate {candidate!r} is readmitted and was not excluded", LOOK
