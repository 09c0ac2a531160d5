"""Beginning a campaign, and holding a definition against the one that it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from discover.campaign.pool.places import KEY, Where, named_for_all, place_of
from discover.campaign.settings import definition_hash, differences, fixed
from discover.candidates.space.points import Points, Pool
from discover.errors import DefinitionChanged, InvalidInput, Problem, StoreError
from discover.features.build import feature_table
from discover.store.journal import Journal
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Draft
from discover.store.log.log import EventLog
from discover.values import Progress


def begin(
    log: EventLog,
    name: str,
    definition: Mapping[str, Any],
    pool: Pool,
    progress: Progress | None,
    snapshots: Where | None = None,
) -> None:
    """Store the candidates and their features, then the campaign's first event. CampaignExists."""
    try:
        snapshot = pool.save(place_of(log.database, name, snapshots))
        if not isinstance(pool, Points):
            feature_table(pool, log.database.files / "features", progress)
    except OSError as error:
        raise StoreError(
            f"the candidates cannot be written beside the store: {error}; no campaign was begun"
        ) from error
    declared = {"space": pool.space.to_dict()} if isinstance(pool, Points) else {}
    body: dict[str, Any] = {
        "definition": definition,
        "hash": definition_hash(definition),
        "pool": {"snapshot": snapshot.hash, "spec": pool.spec.to_dict() | declared},
        "program": {"discover": version("discover-loop")},
    }
    place = named_for_all(log.database, snapshots)
    kept = {} if place is None or place == place_of(log.database, name) else {KEY: str(place)}
    uid = hashlib.sha256(f"{name}{body['hash']}".encode()).hexdigest()[:6]
    log.create(name, uid, Draft("created", body), kept)


def redefine(journal: Journal, definition: Mapping[str, Any], accept: bool) -> bool:
    """Take over an accepted change; whether there was one. DefinitionChanged shows the difference otherwise."""
    change = differences(journal.refresh().definition, definition)
    if not change:
        return False
    listing = "\n".join(f"  - {line}" for line in change)
    message = f"campaign {journal.name!r} was created with another definition:\n{listing}\n"
    if other := fixed(change):
        key = other[0].split(":")[0]
        raise DefinitionChanged(f"{message}{key!r} cannot change in a campaign: give the new one another name", change)
    if not accept:
        way_out = "accept the change (--accept-changes, or accept_changes=True), or undo it"
        raise DefinitionChanged(message + way_out, change)

    def decide(ledger: Ledger) -> Iterator[Draft]:
        if differences(ledger.definition, definition):
            body = {"definition": dict(definition), "hash": definition_hash(definition), "difference": change}
            yield Draft("redefined", body)

    journal.transact(decide)
    return True


def check_seed(seed: Any) -> int:
    """A whole number of at least 0, or InvalidInput."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidInput("seed", [Problem("must be a whole number of at least 0", column="seed", value=seed)])
    return int(seed)


def source_of(pool: Pool) -> dict[str, Any]:
    """What a definition says of candidates that no source was named for."""
    if isinstance(pool, Points):
        return {"kind": "space", **pool.space.to_dict()}
    return {"kind": "frame", "hash": pool.hash}
