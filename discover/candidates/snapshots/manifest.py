"""What stands beside the rows of a snapshot: its own keys, and where the rows come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from discover.errors import InvalidInput, Problem

NEEDED = ("format", "hash", "rows", "id", "structure", "columns", "earlier")
OWN = (*NEEDED, "parquet")
"""Manifest keys that the snapshot itself writes; all others are provenance. `parquet` (the file's bytes) came later."""
_SECRETS = ("api_key", "apikey", "x-api-key", "authorization", "password", "token")


def checked_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance as plain JSON. InvalidInput if it is none, or if it names a key of access."""
    try:
        body = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput("provenance", [Problem(f"must be JSON: {error}")]) from error
    secrets = [
        name for name in _names(body) if name.lower().replace(" ", "_") in _SECRETS or name.upper().endswith("API_KEY")
    ]
    if secrets:
        raise InvalidInput("provenance", [Problem("a manifest never holds a key", column=name) for name in secrets])
    return body


def _names(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for name, inner in body.items():
            yield name
            yield from _names(inner)
    elif isinstance(body, list):
        for inner in body:
            yield from _names(inner)


def earlier(kept: Mapping[str, Any] | None, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Provenance of former pulls of the same rows: that which a kept manifest leads with, and its own earlier ones."""
    if kept is None:
        return []
    before = [{key: value for key, value in kept.items() if key not in OWN}, *kept["earlier"]]
    provenance = {key: value for key, value in body.items() if key not in OWN}
    return [pull for i, pull in enumerate(before) if pull != provenance and pull not in before[:i]]


def time_of(text: Any) -> datetime:
    """A manifest's time; the beginning of all times for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
