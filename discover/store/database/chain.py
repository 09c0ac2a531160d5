"""The chain: every event carries a hash over the one before it and over itself, so that a later change shows.

The database refuses to change an event; the chain shows it where somebody went round the database. Whoever rewrites the
whole chain leaves no trace here: a copy of the last link, kept elsewhere, is what would show that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FIELDS = ("id", "campaign", "seq", "kind", "schema", "actor", "host", "cause", "time", "identity", "payload")
"""The columns of an event that its link covers, in their order; the payload as its stored text."""


def genesis(campaign: str, uid: str) -> str:
    """What the link of a campaign's first event builds on."""
    return _digest(["discover", campaign, uid])


def link(previous: str, row: Mapping[str, Any]) -> str:
    """The chain's next link, 64 hex digits: SHA-256 over the one before and the event's row. Further columns are ignored."""
    return _digest([previous, *(row[field] for field in FIELDS)])


def _digest(parts: list[Any]) -> str:
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
