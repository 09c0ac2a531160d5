"""A campaign's candidates, as the newest of its events that speaks of them says; read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from discover.campaign.places import open_snapshot
from discover.candidates.place import Place
from discover.candidates.pool import CandidatePool, PoolSpec
from discover.features.build import feature_table
from discover.protocols import FeatureTable
from discover.store.ledger import Ledger


class Candidates:
    """What can be tried, and the same as numbers. `body` is the `pool` of an event."""

    def __init__(self, body: Mapping[str, Any], place: Place, cache: Path):
        self.body, self.hash = body, str(body["snapshot"])
        self._place, self._cache = place, cache

    @cached_property
    def pool(self) -> CandidatePool:
        """The rows. IntegrityError if they are not those of the hash."""
        snapshot = open_snapshot(self.hash, self._place)
        snapshot.check()
        return CandidatePool.from_snapshot(snapshot, PoolSpec.from_dict(self.body["spec"]))

    @cached_property
    def features(self) -> FeatureTable:
        """The candidates as numbers, [N, d]."""
        return feature_table(self.pool, self._cache)


Find = Callable[[Ledger], Candidates]
"""The candidates of a ledger: those of now, which another process may just have changed."""


class Moved(Exception):
    """The store moved on while something was worked out of it: it is worked out anew."""


def check_still(ledger: Ledger, candidates: Candidates) -> None:
    """Moved if the campaign has other candidates by now."""
    if ledger.pool["snapshot"] != candidates.hash:
        raise Moved
