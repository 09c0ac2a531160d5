"""Another question about the same candidates: a new campaign that knows what an earlier one has found out.

Observations are carried over by candidate and target, each with its origin in `extra` and in `source`; so are failures and
infeasible candidates, and what a person excluded. They cost the new campaign nothing. The earlier campaign is not changed.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from discover.campaign import Campaign
from discover.candidates.pool.pool import CandidatePool
from discover.candidates.space import SearchSpace
from discover.candidates.space.points import Points, Pool
from discover.errors import CampaignExists, InvalidInput, Problem
from discover.objective import Objective
from discover.protocols import Policy
from discover.store.canonical import canonical
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Failure, identity
from discover.store.log.events import Draft, Event
from discover.values import Observation

if TYPE_CHECKING:
    from discover.store.log.log import EventLog

FINAL = (State.FAILED, State.INFEASIBLE)


@dataclass(frozen=True)
class Left:
    """Something that was not carried over, and why."""

    what: str
    candidate: str
    target: str
    why: str
    seq: int


@dataclass(frozen=True)
class Fork:
    """What a fork carried over, by kind, and what it left behind. changed: carried, though the candidate's columns differ."""

    old: str
    new: str
    upto: int
    observations: int
    failures: int
    excluded: int
    changed: tuple[str, ...]
    left: tuple[Left, ...]

    def frame(self) -> pd.DataFrame:
        """What was left behind, one row each."""
        return pd.DataFrame([asdict(one) for one in self.left], columns=["what", "candidate", "target", "why", "seq"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        carried = f"{self.observations} observations, {self.failures} failures, {self.excluded} excluded candidates"
        lines = [f"{self.new} begins with what {self.old} knew at event {self.upto}: {carried}"]
        if self.changed:
            shown = ", ".join(self.changed[:5]) + (" …" if len(self.changed) > 5 else "")
            lines.append(f"{len(self.changed)} candidates have other columns than then: {shown}")
        counts = Counter((one.what, one.why) for one in self.left)
        lines += [f"left behind: {count} {what}: {why}" for (what, why), count in sorted(counts.items())]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def fork(
    old: Campaign,
    name: str,
    *,
    objective: Objective | None = None,
    candidates: CandidatePool | SearchSpace | None = None,
    policy: str | Mapping[str, Any] | Policy | None = None,
    store: str | EventLog | None = None,
    seed: int | None = None,
    budget: Mapping[str, Any] | None = None,
    stop: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[Campaign, Fork]:
    """A new campaign with what another knows. Returns it and what was carried over.

    Objective, candidates, policy, seed and store are that one's where they are not given; so are the experiment and the
    stopping rules while the objective is, for both belong to one. A budget is the fork's own, for what the earlier one spent
    is not counted twice: without one there is none. CampaignExists where the name is taken by a campaign in which something
    has happened.
    """
    new = Campaign.create(
        name, objective=objective or old.objective, candidates=candidates or _candidates(old),
        policy=policy or dict(old.definition["policy"]), store=store or old._journal.log,
        seed=old.seed if seed is None else seed, budget=budget, if_exists="open",
        experiment=old.definition["experiment"] if objective is None else None,
        stop=stop if stop is not None else (old.definition.get("stop", ()) if objective is None else ()),
    )  # fmt: skip
    return new, carry(old, new)


def _candidates(old: Campaign) -> CandidatePool | SearchSpace:
    return old.pool.space if isinstance(old.pool, Points) else old.pool


def carry(old: Campaign, new: Campaign) -> Fork:
    """Write into a campaign that has just begun what another knows, in one transaction.

    A fork that was cut off before is completed. CampaignExists if something has happened in the new campaign already;
    InvalidInput for a campaign and itself.
    """
    if (old.uid, old.store) == (new.uid, new.store):
        raise InvalidInput("fork", [Problem("is the campaign itself", value=old.name, way_out="name another campaign")])
    ledger = old.ledger
    gathered = _Gathered(old, ledger, new)

    def drafts(fresh: Ledger) -> Iterator[Draft]:
        if fresh.seq != 1:
            told = f"the campaign {new.name!r} has begun already ({fresh.seq} events): a fork needs a new one"
            raise CampaignExists(f"{told}; give it another name")
        yield Draft("noted", {"text": f"forked from {_named(old)}, which had {ledger.seq} events"})
        yield from gathered.drafts

    new._journal.transact(drafts)
    counts = Counter(draft.kind for draft in gathered.drafts)
    return Fork(
        _named(old), _named(new), ledger.seq, counts["observed"], counts["failed"],
        len(gathered.excluded), tuple(sorted(gathered.changed)), tuple(gathered.left),
    )  # fmt: skip


def _named(campaign: Campaign) -> str:
    return f"{campaign.name!r} ({campaign.uid})"


class _Gathered:
    """What is carried, as drafts, and what is left behind."""

    def __init__(self, old: Campaign, ledger: Ledger, new: Campaign):
        self.old, self.ledger, self.pool = old, ledger, _points(old.pool, new.pool)
        self.units = new.objective.units
        self.told = {e.seq: e for e in old._journal.log.read(old.name, until=ledger.seq)}
        self.drafts: list[Draft] = []
        self.left: list[Left] = []
        self.excluded: dict[str, list[str]] = {}
        self.changed: set[str] = set()
        self._gather()

    def _gather(self) -> None:
        found: list[Observation | Failure] = [*self.ledger.observations.values(), *self.ledger.failures()]
        carried: set[str] = set()
        for one in sorted(found, key=lambda one: (one.seq, canonical(asdict(one)))):
            what = "observations" if isinstance(one, Observation) else "failures"
            if why := self._refusal(one):
                self.left.append(Left(what, one.candidate_id, getattr(one, "target", ""), why, one.seq))
                continue
            carried.add(one.candidate_id)
            self.drafts.append(self._observed(one) if isinstance(one, Observation) else self._failed(one))
        for trial in self.ledger.pending():
            why = f"is {trial.state.value}: its result belongs to the earlier campaign"
            self.left.append(Left("proposals", trial.candidate_id, "", why, trial.seq))
        self._exclude()
        self._describe({*carried, *self.excluded})
        self._compare(carried)

    def _refusal(self, one: Observation | Failure) -> str:
        """Why a result is not carried over, or ''."""
        if one.candidate_id not in self.pool:
            return "the candidate is not among the new ones"
        if isinstance(one, Failure):
            trial = self.ledger.trials.get(one.proposal_id or "")
            if one.retryable or (trial is not None and trial.state not in FINAL):
                return "may be tried again"
            return ""
        if one.target not in self.units:
            return f"{one.target!r} is not a target of the new objective"
        if one.unit != self.units[one.target]:
            return f"{one.target!r} is in {one.unit!r}, the new objective wants {self.units[one.target]!r}"
        return ""

    def _origin(self, one: Observation | Failure) -> dict[str, Any]:
        """Where a result was told first; of a fork of a fork the earlier origins are inside."""
        event: Event = self.told[one.seq]
        before = {"origin": one.extra["origin"]} if "origin" in one.extra else {}
        told = {"campaign": self.old.name, "uid": self.old.uid, "seq": one.seq, "proposal_id": one.proposal_id}
        more = {"source": one.source, "cost": one.cost, "actor": event.actor, "host": event.host, "time": event.time}
        return {**dict(one.extra), "origin": {**told, **more, **before}}

    def _source(self, one: Observation | Failure) -> str:
        """Names the earlier place of a result, so that two of one candidate stay two."""
        return f"fork of {self.old.uid}: {one.proposal_id or one.source or 'told'}"

    def _observed(self, one: Observation) -> Draft:
        new = replace(one, proposal_id=None, cost=None, source=self._source(one), extra=self._origin(one))
        key = identity(new)
        return Draft("observed", {"identity": key, "observation": _body(new)}, identity=f"observed {key}")

    def _failed(self, one: Failure) -> Draft:
        new = replace(
            one,
            proposal_id=None,
            cost=None,
            attempt=0,
            retryable=False,
            source=self._source(one),
            extra=self._origin(one),
        )
        who = canonical([new.candidate_id, new.source])
        key = canonical(["failed", who, new.attempt, new.replicate, new.fidelity, dict(new.context)])
        return Draft("failed", {"failure": _body(new)}, identity=key)

    def _exclude(self) -> None:
        """What a person excluded; and of the same candidates those that the source withdrew, and former versions."""
        out = dict(self.ledger.excluded)
        if self.pool.hash == self.old.pool.hash:
            out = self.ledger.gone | {i: f"a former version of {now}" for i, now in self.ledger.former.items()} | out
        for candidate, reason in out.items():
            if candidate in self.pool:
                self.excluded.setdefault(reason, []).append(candidate)
        self.drafts += [Draft("excluded", {"ids": ids, "reason": why}) for why, ids in self.excluded.items()]
        self.excluded = {candidate: [why] for why, ids in self.excluded.items() for candidate in ids}

    def _describe(self, carried: set[str]) -> None:
        """Points of a search space are not in a list that the new campaign has: it is told their values first."""
        if isinstance(self.pool, Points) and carried:
            points = self.pool.candidates(self.pool.rows(sorted(carried)))
            self.drafts.insert(0, Draft("described", {"candidates": [asdict(point) for point in points]}))

    def _compare(self, carried: set[str]) -> None:
        """Candidates that are called as before and have other columns."""
        both = sorted(i for i in carried if i in self.old.pool)
        then = self.old.pool.candidates(self.old.pool.rows(both)) if both else []
        now = self.pool.candidates(self.pool.rows(both)) if both else []
        self.changed = {one.id for one, other in zip(then, now, strict=True) if one.version != other.version}


def _points(old: Pool, new: Pool) -> Pool:
    """The new candidates; of a search space those known points that are points of it as well."""
    if not isinstance(new, Points) or not isinstance(old, Points):
        return new
    known = []
    for point in old.candidates(range(len(old))):
        try:
            same = new.space.candidate(new.space.read(point.values))
        except ValueError:
            continue
        known += [same] if same.id == point.id else []
    return Points(new.space, known)


def _body(found: Observation | Failure) -> dict[str, Any]:
    body = asdict(found)
    body.pop("seq")
    return body
