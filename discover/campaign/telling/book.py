"""What is already known, by the places under which it may be told again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from discover.store.canonical import canonical
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Failure
from discover.values import Observation

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
    """Observations and final failures by place: those of the ledger, and those of the frame that is being read.

    A candidate's are read when it is opened, so that telling a row costs the same in a campaign of any length.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._opened: set[str] = set()
        self._taken: list[tuple[str | None, Observation | Failure]] = []
        self._values: dict[Place, dict[str, Observation]] = {}
        self._failures: dict[Place, Failure] = {}

    def open(self, candidate: str) -> None:
        """Read what the ledger knows of a candidate, before anything is looked up of it."""
        if candidate in self._opened:
            return
        self._opened.add(candidate)
        trials = self._ledger.by_candidate.get(candidate, ())
        failures = [f for trial in trials for f in trial.failures]
        failures += [f for f in self._ledger.elsewhere if f.candidate_id == candidate]
        for key, observation in self._ledger.found.get(candidate, {}).items():
            self._keep(key, observation)
        for failure in sorted(failures, key=lambda f: f.seq):
            if not failure.retryable:
                self._fail(failure)

    def mark(self) -> int:
        """How much was taken in so far, for `back_to`."""
        return len(self._taken)

    def back_to(self, mark: int) -> Book:
        """The book as it was at a mark."""
        book = Book(self._ledger)
        for key, found in self._taken[:mark]:
            book.open(found.candidate_id)
            if isinstance(found, Failure):
                book.fail(found)
            else:
                book.keep(str(key), found)
        return book

    def keep(self, key: str, observation: Observation) -> None:
        """Note an observation; it takes the place of a failure and of what had its key."""
        self._taken.append((key, observation))
        self._keep(key, observation)

    def fail(self, failure: Failure) -> None:
        """Note a failure; it takes the place of observations."""
        self._taken.append((None, failure))
        self._fail(failure)

    def _keep(self, key: str, observation: Observation) -> None:
        for where in places(observation):
            self._values.setdefault(where, {})[key] = observation
            self._failures.pop(where, None)

    def _fail(self, failure: Failure) -> None:
        for where in places(failure):
            self._failures[where] = failure
            self._values.pop(where, None)

    def values(self, where: Place, target: str | None = None) -> list[tuple[str, Observation]]:
        """What was observed at a place, oldest first."""
        return [(k, o) for k, o in self._values.get(where, {}).items() if target in (None, o.target)]

    def failure(self, where: Place) -> Failure | None:
        """The failure at a place."""
        return self._failures.get(where)
