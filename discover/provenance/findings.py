"""What an audit finds: how bad it is, what is wrong, and the way out."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
COLUMNS = ["severity", "campaign", "seq", "what", "way_out"]
SHOWN = 100
"""Findings that the text lists; the DataFrame has all."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. `seq` is the event that it is about, if it is about one.

    An error says that the store is not what was written, or contradicts itself; a warning that something may be lost or
    misread; a note that something is worth knowing.
    """

    severity: Severity
    what: str
    way_out: str = ""
    seq: int | None = None
    campaign: str = ""

    def __str__(self) -> str:
        where = ", ".join([*([self.campaign] if self.campaign else []), *([f"event {self.seq}"] if self.seq else [])])
        text = f"{where}: {self.what}" if where else self.what
        return f"{text} ({self.way_out})" if self.way_out else text


@dataclass(frozen=True)
class Audit:
    """All findings about a store or a campaign. `clean` says that there is no error."""

    store: str
    campaigns: tuple[str, ...]
    events: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing of severity error was found."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings of severity error."""
        return tuple(f for f in self.findings if f.severity == "error")

    def frame(self) -> pd.DataFrame:
        """One row a finding, the worst first."""
        frame = pd.DataFrame([asdict(f) for f in self._sorted()], columns=COLUMNS)
        return frame.astype({"seq": "Int64"})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "store": self.store,
            "clean": self.clean,
            "campaigns": list(self.campaigns),
            "events": self.events,
            "findings": [asdict(f) for f in self._sorted()],
        }

    def _sorted(self) -> Sequence[Finding]:
        return sorted(self.findings, key=lambda f: (ORDER.index(f.severity), f.campaign, f.seq or 0))

    def __str__(self) -> str:
        looked = f"{_count(len(self.campaigns), 'campaign')}, {_count(self.events, 'event')}"
        counts = {s: sum(f.severity == s for f in self.findings) for s in ORDER}
        told = ", ".join(_count(n, severity) for severity, n in counts.items() if n) or "nothing is wrong"
        lines = [f"{self.store}: {looked}: {told}"]
        lines += [f"{finding.severity:<8} {finding}" for finding in self._sorted()[:SHOWN]]
        if len(self.findings) > SHOWN:
            lines.append(f"… and {len(self.findings) - SHOWN} more: see --json, or frame()")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
