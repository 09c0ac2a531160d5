"""Rows held against what every row must be: in order, unbroken, readable, each once, and chained to the one before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from discover.provenance.findings import Finding
from discover.provenance.rows import Row, event_of
from discover.store.database.chain import genesis, link
from discover.store.log.events import SCHEMAS, Event

RESTORE = "restore the store from a backup, or import an archive of the campaign"
UPDATE = "update discover"
_TEXTS = ("id", "kind", "actor", "host", "cause", "time", "payload")


class Sequence:
    """Takes in one campaign's rows in order. `event` is that of the last row, None where the row cannot be read."""

    def __init__(self, name: str, uid: str):
        self.name = name
        self._previous = genesis(name, uid)
        self.last: Row | None = None
        self.event: Event | None = None
        self._ids: set[str] = set()
        self._identities: set[str] = set()

    def see(self, row: Row) -> Iterator[Finding]:
        """What is wrong with the next row, its payload and its place."""
        self.event = None
        seq = row.get("seq")
        types = [name for name in _TEXTS if not isinstance(row.get(name), str)]
        if not isinstance(row.get("identity"), str | None):
            types.append("identity")
        if not isinstance(seq, int) or isinstance(seq, bool) or not isinstance(row.get("schema"), int) or types:
            told = ", ".join(types) or "seq or schema"
            yield self._error(f"an event's envelope is broken: {told}", RESTORE, seq if isinstance(seq, int) else None)
            return
        before = int(self.last["seq"]) if self.last else 0
        if seq <= before:
            yield self._error(f"the number {seq} comes after {before}", RESTORE, seq)
        elif seq > before + 1:
            missing = f"event {before + 1}" if seq == before + 2 else f"events {before + 1} to {seq - 1}"
            yield self._error(f"{missing}: missing", RESTORE, seq)
        if row["id"] in self._ids:
            yield self._error(f"the event {row['id']} stands twice", RESTORE, seq)
        if row.get("identity") is not None and row["identity"] in self._identities:
            yield self._error(f"the identity {row['identity']!r} stands twice", RESTORE, seq)
        self._ids.add(row["id"])
        if row.get("identity") is not None:
            self._identities.add(str(row["identity"]))
        yield from self._chained(row, seq)
        self.last = row
        yield from self._payload(row, seq)

    def _chained(self, row: Row, seq: int) -> Iterator[Finding]:
        """Whether the row fits the link before it: the one that is stored, so that one change is told of once."""
        found = link(self._previous, {**row, "campaign": self.name})
        if found != row.get("chain"):
            told = "the chain is broken here: this event, or the one before it, is not what was written"
            yield self._error(told, RESTORE, seq)
        self._previous = str(row.get("chain"))

    def _payload(self, row: Row, seq: int) -> Iterator[Finding]:
        if row["kind"] not in SCHEMAS:
            yield self._error(f"this program does not know events of kind {row['kind']!r}", UPDATE, seq)
            return
        if not 1 <= row["schema"] <= SCHEMAS[row["kind"]]:
            told = f"schema {row['schema']} of {row['kind']!r} is not one that this program knows"
            yield self._error(f"{told} (1 to {SCHEMAS[row['kind']]})", UPDATE, seq)
            return
        try:
            body = json.loads(row["payload"], parse_constant=_refuse)
            if not isinstance(body, dict):
                raise ValueError("it is not a mapping")
            self.event = event_of(row)
        except Exception as error:  # an upcaster may meet anything in a payload that was tampered with
            told = f"{type(error).__name__}: {error}"
            yield self._error(f"the payload cannot be read: {told}", RESTORE, seq)

    def _error(self, what: str, way_out: str, seq: int | None) -> Finding:
        return Finding("error", what, way_out, seq, self.name)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


PROPOSAL_ID = re.compile(r"[0-9A-Za-z]+-\d{4,}")
"""What a proposal's id looks like; keys and leases are named after it."""
