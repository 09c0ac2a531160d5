"""Candidates that come, change and go while a campaign runs: what the source has now, beside what was tried.

A new pull is united with the candidates so far (`discover.candidates.pool.union`), kept as a snapshot, and becomes the
campaign's by one event. What the source has withdrawn is not proposed until it comes back. Where a row changed after it had
been tried, what was and will be found out of those proposals belongs to the former version, which is kept under an id of
its own; the row of now may be proposed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from discover import registry, sizes
from discover.campaign.pool.pooling import Candidates, Find, Moved, check_still
from discover.campaign.settings import check_names
from discover.candidates.pool.pool import CandidatePool, PoolSpec
from discover.candidates.pool.union import Union, union
from discover.candidates.rows.frames import places_of
from discover.candidates.snapshots.difference import Difference
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import OWN, Snapshot
from discover.candidates.snapshots.streaming import of_columns
from discover.candidates.space.points import Points
from discover.errors import Conflict, InvalidInput, Problem, Unsupported
from discover.features.build import Known, feature_table
from discover.objective import Objective
from discover.store.journal import Journal
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Draft
from discover.values import Progress

TRIES = 20


def extend(
    journal: Journal,
    objective: Objective,
    find: Find,
    new: CandidatePool,
    *,
    place: Place,
    cache: Path,
    counts: Sequence[str] = (),
    reason: str = "",
    progress: Progress | None = None,
) -> Difference:
    """Take over what a source has now; what changed. Nothing is written where nothing did.

    counts: columns that the experiment reads. InvalidInput with every reason where the new candidates cannot be used; the
    campaign then goes on with those that it has.
    """
    for _ in range(TRIES):
        ledger = journal.refresh()
        held = find(ledger)
        if isinstance(held.pool, Points):
            raise Unsupported("a search space has no source that could have changed; another space is another campaign")
        found = union(
            held.pool, new, gone=ledger.gone, kept=ledger.former, tried=tried(ledger), counts=set(counts) - {new.id}
        )
        if not found.difference:
            return found.difference
        pool = _saved(found, held, new, place, cache)
        check_names(journal.name, objective, pool)
        feature_table(pool, cache, progress, _known(pool, held, found))
        try:
            _commit(journal, held, found, pool, new, reason)
        except Moved:
            continue
        return found.difference
    raise Conflict("other processes keep changing the candidates; try again")


def as_pool(given: Snapshot | CandidatePool, spec: Mapping[str, Any], hides: Collection[str]) -> CandidatePool:
    """A pull as a pool in the campaign's roles, without the columns that would tell the answer."""
    if isinstance(given, CandidatePool):
        return given
    roles = PoolSpec.from_dict(spec)
    if given.id != roles.id:
        hint = f"it was {roles.id}"
        raise InvalidInput(
            "new candidates", [Problem("the candidates' id is another column now", column=given.id, way_out=hint)]
        )
    return CandidatePool.from_snapshot(given, roles, drop=[name for name in given.columns if name in hides])


def columns_of_experiment(definition: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that the experiment of a definition hides, and those that it reads; none where it has no experiment."""
    settings = definition.get("experiment")
    if not settings:
        return (), ()
    experiment = registry.configure(registry.EXPERIMENTS, settings)
    return tuple(getattr(experiment, "hides", ())), tuple(experiment.requires)


def tried(ledger: Ledger) -> set[str]:
    """Candidates of which something was proposed or told, whatever became of it: a result may still come, or come back."""
    proposed = {trial.candidate_id for trial in ledger.trials.values()}
    elsewhere = {failure.candidate_id for failure in ledger.elsewhere}
    taken_back = {one.candidate_id for known in ledger.retracted.values() for one, _ in known}
    return proposed | elsewhere | taken_back | {o.candidate_id for o in ledger.observations.values()}


def _saved(found: Union, held: Candidates, new: CandidatePool, place: Place, cache: Path) -> CandidatePool:
    """The union as a pool on a snapshot that names its parents; its other provenance is that of the new pull."""
    origin = {key: value for key, value in new.provenance.items() if key not in OWN and key != "parent"}
    pulled = {"hash": new.provenance.get("hash", new.hash), "rows": len(new), "kind": origin.get("kind", "frame")}
    parents = [{"hash": held.hash, "rows": len(held.pool), "kind": "candidates before"}, pulled]
    provenance, id = {**origin, "kind": "union", "parents": parents}, held.pool.id
    if found.structure is None and sizes.large(len(found), len(found.names)):
        columns = ((name, found.column(name)) for name in found.names)
        snapshot = of_columns(columns, place, id=id, provenance=provenance)
    else:
        snapshot = Snapshot.from_table(found.table, place, id=id, structure=found.structure, provenance=provenance)
    return CandidatePool.from_snapshot(snapshot, held.pool.spec, cache=cache)


def _known(pool: CandidatePool, held: Candidates, found: Union) -> Known:
    """Features of the rows that are as they were."""
    assert isinstance(held.pool, CandidatePool)
    former = {one.kept_as: candidate for candidate, one in found.superseded.items()}
    was = np.array(pool.ids, dtype=np.result_type(pool.ids, held.pool.ids))
    was[pool.rows(list(former))] = list(former.values())
    places = places_of(held.pool.ids, was)
    same = held.pool.ids[places] == was
    same[pool.rows([i for i in found.counting if i in pool])] = False
    rows = np.flatnonzero(same).astype(np.int64)
    return Known(held.features.names, rows, held.features.values, places[rows])


def _commit(
    journal: Journal, held: Candidates, found: Union, pool: CandidatePool, new: CandidatePool, reason: str
) -> None:
    change = found.difference

    def decide(ledger: Ledger) -> Iterator[Draft]:
        check_still(ledger, held)
        if (tried(ledger) & found.counting) - set(found.superseded):
            raise Moved  # one of the changed rows has been proposed meanwhile
        superseded = {i: {"version": one.version, "kept_as": one.kept_as} for i, one in found.superseded.items()}
        body: dict[str, Any] = {
            "pool": {"snapshot": pool.hash, "spec": pool.spec.to_dict()},
            "before": held.hash,
            "pulled": new.provenance.get("hash", new.hash),
            "added": list(change.added),
            "removed": list(change.removed),
            "returned": list(change.returned),
            "changed": list(change.changed),
            "columns_added": list(change.columns_added),
            "columns_removed": list(change.columns_removed),
            "superseded": superseded,
            "reason": reason,
        }
        yield Draft("repooled", body)
        yield from _under_way(ledger, change)

    journal.transact(decide)


def _under_way(ledger: Ledger, change: Difference) -> Iterator[Draft]:
    """A note on proposals that stay although their candidate is not what it was."""
    what = dict.fromkeys(change.removed, "withdrawn") | dict.fromkeys(change.superseded, "changed")
    told = [
        f"{t.proposal_id} ({t.candidate_id}, {what[t.candidate_id]})"
        for t in ledger.pending()
        if t.candidate_id in what
    ]
    if told:
        text = (
            "these proposals stay, for the candidates as they were, though the source has withdrawn or changed them: "
        )
        yield Draft("noted", {"text": text + ", ".join(told)})
