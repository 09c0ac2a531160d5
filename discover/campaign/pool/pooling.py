"""A campaign's candidates, as the newest of its events that speaks of them says; read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from discover.campaign.pool.places import open_snapshot
from discover.candidates.pool.pool import CandidatePool, PoolSpec
from discover.candidates.snapshots.place import Place
from discover.candidates.space import SearchSpace
from discover.candidates.space.declaring import space_of
from discover.candidates.space.points import Points, Pool
from discover.features.build import feature_table
from discover.store.ledger.ledger import Ledger
from discover.values import Candidate, FeatureTable


class Candidates:
    """What can be tried, and the same as numbers. `body` is the `pool` of an event."""

    def __init__(self, body: Mapping[str, Any], place: Place, cache: Path):
        self.body, self.hash = body, str(body["snapshot"])
        self._place, self._cache = place, cache

    @property
    def sweeps(self) -> Path:
        """A folder for what the search of a large pool leaves for the next one."""
        return self._cache.parent / "sweeps"

    @cached_property
    def pool(self) -> Pool:
        """The rows. IntegrityError if they are not those of the hash."""
        snapshot = open_snapshot(self.hash, self._place)
        snapshot.check(self._cache)
        return CandidatePool.from_snapshot(snapshot, PoolSpec.from_dict(self.body["spec"]), cache=self._cache)

    @cached_property
    def features(self) -> FeatureTable:
        """The candidates as numbers, [N, d]."""
        pool = self.pool
        return pool.features if isinstance(pool, Points) else feature_table(pool, self._cache)

    def holds_of(self, ledger: Ledger) -> bool:
        """Whether these are still the candidates of a ledger."""
        return self.hash == ledger.pool["snapshot"]


class PointsSoFar(Candidates):
    """The points of a search space that a ledger tells of."""

    def __init__(self, ledger: Ledger, place: Place, cache: Path, before: Candidates | None = None):
        super().__init__(ledger.pool, place, cache)
        same = isinstance(before, PointsSoFar) and before.hash == self.hash
        self._space: SearchSpace | None = before._space if same and isinstance(before, PointsSoFar) else None
        self._known: dict[str, Candidate] = before._known if same and isinstance(before, PointsSoFar) else {}
        self._seq = ledger.seq
        for candidate in _told_of(ledger, self._known):
            self._known[candidate.id] = candidate
        self._ids = [*ledger.by_candidate, *ledger.described]

    @cached_property
    def pool(self) -> Points:
        """The points, and the space that they are in."""
        if self._space is None:
            self._space = space_of(self.body["spec"]["space"], stored=True)
        return Points(self._space, [self._known[i] for i in self._ids])

    def holds_of(self, ledger: Ledger) -> bool:
        """Whether nothing was written since."""
        return super().holds_of(ledger) and self._seq == ledger.seq


def _told_of(ledger: Ledger, known: Mapping[str, Candidate]) -> Iterator[Candidate]:
    """Points of a ledger that are not known yet."""
    for name, trials in ledger.by_candidate.items():
        if name not in known and trials and (candidate := trials[0].proposal.candidate) is not None:
            yield candidate
    for name, body in ledger.described.items():
        if name not in known:
            yield Candidate(name, body["version"], body["values"])


def candidates_of(ledger: Ledger, place: Place, cache: Path, before: Candidates | None = None) -> Candidates:
    """The candidates of a ledger. before: those that were read earlier, which are the same where nothing has changed."""
    if before is not None and before.holds_of(ledger):
        return before
    if "space" in ledger.pool["spec"]:
        return PointsSoFar(ledger, place, cache, before)
    return Candidates(ledger.pool, place, cache)


Find = Callable[[Ledger], Candidates]
"""The candidates of a ledger: those of now, which another process may just have changed."""


class Moved(Exception):
    """The store moved on while something was worked out of it: it is worked out anew."""


def check_still(ledger: Ledger, candidates: Candidates) -> None:
    """Moved if the campaign has other candidates by now."""
    if ledger.pool["snapshot"] != candidates.hash:
        raise Moved
