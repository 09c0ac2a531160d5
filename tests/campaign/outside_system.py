"""An outside system in memory, and how far a campaign's experiments have come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from discover import Campaign
from discover.values import Handle, Proposal, Result, Value


@dataclass(frozen=True)
class Outside:
    """An outside system in memory, which can be told to misbehave."""

    together: bool = False
    knows: bool = True
    has: dict[str, Proposal] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    trouble: list[Exception] = field(default_factory=list)

    requires = ()
    deterministic = True

    @property
    def targets(self) -> Mapping[str, str]:
        return {"energy": "eV"}

    def located(self, base: Path, files: Path) -> Outside:
        return self

    def describe(self) -> Mapping[str, Any]:
        return {"method": "in memory"}

    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
        self.asked.append(list(work))
        if self.trouble:
            raise self.trouble.pop(0)
        assert not set(work) & set(self.has), "handed over twice"
        self.has.update(work)
        return {key: {"job": key} for key in work}

    def find(self, keys: Sequence[str]) -> Mapping[str, Handle] | None:
        return {key: {"job": key} for key in keys if key in self.has} if self.knows else None

    def collect(self, handles: Mapping[str, Handle]) -> Mapping[str, Result]:
        return {key: result for key, result in self.results.items() if key in handles}

    def finish(self, *keys: str) -> None:
        """Let these jobs end: energy is the candidate's x."""
        for key in keys:
            candidate = self.has[key].candidate
            assert candidate is not None
            self.results[key] = Result("measured", {"energy": Value(candidate.values["x"])}, raw={"file": key})


def states(campaign: Campaign) -> Counter[str]:
    return Counter(trial.state.value for trial in campaign.ledger.trials.values())
