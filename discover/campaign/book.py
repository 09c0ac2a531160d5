"""What is already known, by the places under which it may be told again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from discover.protocols import Observation
from discover.store.canonical import canonical
from discover.store.ledger import Failure, Ledger

Place = tuple[str, ...]


def places(found: Observation | Failure) -> Iterator[Place]:
    """A result's places: under its proposal, if it has one, and under its candidate and source."""
    if found.proposal_id:
        yield place(found.proposal_id, "", "", found.replicate, found.fidelity, found.context)
    yield place("", found.candidate_id, found.source, found.replicate, found.fidelity, found.context)


def place(
    proposal_id: str, candidate: str, source: str, replicate: int, fidelity: str, context: Mapping[str, Any]
) -> Place:
    """Where a result is looked for: by its proposal, or by its candidate and source; then replicate, fidelity, context."""
    who = (proposal_id,) if proposal_id else (candidate, source)
    return (*who, str(replicate), fidelity, canonical(dict(context)))


class Book:
    """Observations and final failures by place: those of the ledger, and those of the frame that is being read."""

    def __init__(self, ledger: Ledger):
        self._values: dict[Place, dict[str, Observation]] = {}
        self._failures: dict[Place, Failure] = {}
        for key, observation in ledger.observations.items():
            self.keep(key, observation)
        for failure in ledger.failures():
            if not failure.retryable:
                self.fail(failure)

    def keep(self, key: str, observation: Observation) -> None:
        """Note an observation; it takes the place of a failure and of what had its key."""
        for where in places(observation):
            self._values.setdefault(where, {})[key] = observation
            self._failures.pop(where, None)

    def fail(self, failure: Failure) -> None:
        """Note a failure; it takes the place of observations."""
        for where in places(failure):
            self._failures[where] = failure
            self._values.pop(where, None)

    def values(self, where: Place, target: str | None = None) -> list[tuple[str, Observation]]:
        """What was observed at a place, oldest first."""
        return [(k, o) for k, o in self._values.get(where, {}).items() if target in (None, o.target)]

    def failure(self, where: Place) -> Failure | None:
        """The failure at a place."""
        return self._failures.get(where)
