"""Every error of ours, each with its way out.

Catch `DiscoverError` for all of them. What comes from outside (frames, sheets, campaign files) is checked whole before
anything changes, so one `InvalidInput` reports every problem at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class DiscoverError(Exception):
    """Base of all errors raised by discover."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in what a user gave: where it is, what stands there, and what to do.

    A cell of a frame has a row and a column; a setting in a campaign file has a line and a key.
    """

    message: str
    row: object = None
    column: str | None = None
    value: Any = None
    way_out: str = ""
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        places = []
        if self.line is not None:
            places.append(f"line {self.line}")
        if self.key is not None:
            places.append(f"key {self.key!r}")
        if self.row is not None:
            places.append(f"row {self.row}")
        if self.column is not None:
            places.append(f"column {self.column!r}")
        if self.value is not None:
            places.append(f"value {_plain(self.value)!r}")
        place = ", ".join(places)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.way_out})" if self.way_out else text


def _plain(value: Any) -> Any:
    """A number of numpy's as Python writes it: 3.0, and not np.float64(3.0)."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


class InvalidInput(DiscoverError):
    """Input that was refused as a whole; nothing was changed. `problems` holds every reason."""

    def __init__(self, what: str, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__(f"{what}: {count}, nothing was changed\n{lines}")


class InvalidDefinition(InvalidInput):
    """A campaign file that cannot be used; each problem names its line and key."""


class UnknownCandidate(DiscoverError):
    """An id that the candidate pool does not hold."""


class UnknownKind(DiscoverError):
    """A `kind:` that no installed package offers."""


class Unsupported(DiscoverError):
    """Something that is well formed but that this policy, experiment or source cannot do."""


class StoreError(DiscoverError):
    """The campaign store cannot do what was asked."""


class CampaignExists(StoreError):
    """A campaign of that name is already in the store."""


class CampaignNotFound(StoreError):
    """No campaign of that name is in the store."""


class DefinitionChanged(StoreError):
    """The definition differs from the one the campaign was created with; `difference` lists the changes."""

    def __init__(self, message: str, difference: Sequence[str] = ()):
        self.difference = tuple(difference)
        super().__init__(message)


class Conflict(StoreError):
    """The same thing was told twice with different content, or a key was used for another request."""


class LeaseHeld(StoreError):
    """Another process is running this campaign right now."""


class LeaseLost(StoreError):
    """A lease ended and somebody else holds it now: what was done under it cannot be written as one's own."""


class IllegalTransition(InvalidInput):
    """A proposal cannot go from its state to the one asked for; the message names the legal ones."""


class IntegrityError(DiscoverError):
    """Stored bytes do not match their hash."""


class SourceError(DiscoverError):
    """Candidates could not be pulled. Nothing was kept from the failed pull but finished pages for its resume."""


class SourceKeyError(SourceError):
    """The API key is missing, malformed or refused."""


class SourceQueryError(SourceError):
    """The query is wrong or the service refused it; asking again will not help."""


class SourceUnavailable(SourceError):
    """The service could not be reached in the time that was given; asking again later may help."""


class SourceIntegrityError(SourceError):
    """The service answered, but the answer is incomplete, doubled or contradicts itself."""


class ExperimentFailed(DiscoverError):
    """Raised inside an experiment: there is no number. `retryable` says whether another attempt may give one."""

    def __init__(self, reason: str, *, retryable: bool = False):
        self.retryable = retryable
        super().__init__(reason)


def nearest(word: str, choices: Iterable[str]) -> str:
    """The way out for a misspelt word: `did you mean 'x'?`, or the valid choices."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(known)}" if known else "there are no valid choices"
