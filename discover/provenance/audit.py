"""Whether a store is still what was written: everything is read and folded anew, and held against its hashes.

The chain shows an event that was changed, removed or put in between, unless somebody rewrote all that follows it; events
removed from the end show where a cached fold, or an archive (`against`), knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from discover.campaign.pool.places import place_of
from discover.candidates.snapshots.place import Place
from discover.errors import DiscoverError
from discover.provenance.findings import Audit, Finding
from discover.provenance.meaning import Meaning
from discover.provenance.rows import entry, snapshots_of, stored_rows
from discover.provenance.sequence import RESTORE, Sequence
from discover.provenance.storage import (
    Cached,
    file_findings,
    half_written,
    lease_findings,
    pool_of,
    snapshot_findings,
    soundness,
)
from discover.store.database.places import shown
from discover.store.log.events import Event
from discover.store.log.log import EventLog

if TYPE_CHECKING:
    from discover.campaign import Campaign


def audit(
    target: Campaign | EventLog | str, *, against: Path | str | None = None, expected: str | None = None
) -> Audit:
    """Audit a campaign, or all campaigns of a store (its URL or log). Nothing is changed, and nothing is raised for what is found.

    against: an archive of the campaign, kept elsewhere; the store must begin with its events. expected: a campaign that must
    be there.
    """
    found = _examined(target, against)
    unseen = not found.campaigns and not found.clean  # there was no looking: the store could not be opened
    if expected is None or expected in found.campaigns or unseen:
        return found
    missing = Finding("error", "the campaign is not in the store", RESTORE, campaign=expected)
    return replace(found, findings=(*found.findings, missing))


def _examined(target: Campaign | EventLog | str, against: Path | str | None) -> Audit:
    if isinstance(target, str):
        try:
            log = EventLog(target, create=False)
        except DiscoverError as error:
            return Audit(shown(target), (), 0, (Finding("error", str(error)),))  # it may only be locked, or away
        try:
            return _audit(log, None, against)
        finally:
            log.database.close()
    if isinstance(target, EventLog):
        return _audit(target, None, against)
    return _audit(target._journal.log, target.name, against)


def _audit(log: EventLog, only: str | None, against: Path | str | None) -> Audit:
    findings = list(soundness(log))
    audits: list[_OfCampaign] = []
    try:
        names = [only] if only is not None else log.names()
    except DiscoverError as error:
        names = []
        findings.append(Finding("error", str(error), RESTORE))
    for name in names:
        one = _OfCampaign(log, name)
        try:
            findings += one.findings()
        except DiscoverError as error:
            findings.append(Finding("error", str(error), RESTORE, campaign=name))
        audits.append(one)
    if only is None:
        findings += _files(log, audits)
    if against is not None:
        findings += _against(Path(against), audits)
    return Audit(log.database.url, tuple(names), sum(one.count for one in audits), tuple(dict.fromkeys(findings)))


class _OfCampaign:
    """The audit of one campaign."""

    def __init__(self, log: EventLog, name: str):
        self.log = log
        self.name = name
        self.uid = ""
        self.count = 0
        self.snapshots: list[str] = []
        self.chain: dict[int, str] = {}

    def findings(self) -> Iterator[Finding]:
        self.uid = entry(self.log, self.name).uid
        place = place_of(self.log.database, self.name)
        sequence = Sequence(self.name, self.uid)
        meaning = Meaning(self.name, self.uid, lambda body: pool_of(place, body))
        cached = Cached(self.log, self.name)
        clock = _Clock(self.name)
        for row in stored_rows(self.log, self.name):
            self.count += 1
            yield from sequence.see(row)
            self.chain[self.count] = str(row["chain"])
            event = sequence.event
            if event is None:
                continue
            clock.see(event)
            self.snapshots += snapshots_of([event])
            yield from meaning.see(event)
            cached.see(meaning.ledger)
        if not self.count:
            yield Finding("error", "the campaign has no events", RESTORE, campaign=self.name)
        yield from snapshot_findings(place, list(dict.fromkeys(self.snapshots)), self.name)
        yield from meaning.close()
        yield from cached.findings(meaning.ledger.seq)
        yield from lease_findings(self.log, self.name, meaning.ledger)
        yield from clock.findings()


class _Clock:
    """Times that run backwards: two machines' clocks, or one that was set back. Order is the number, so no harm is done."""

    def __init__(self, name: str):
        self.name = name
        self.back: list[Event] = []
        self._last = ""

    def see(self, event: Event) -> None:
        if event.time < self._last:
            self.back.append(event)
        self._last = event.time

    def findings(self) -> Iterator[Finding]:
        if self.back:
            what = f"{len(self.back)} events are dated before the one that they follow"
            way_out = "a clock was set back, or machines disagree; order is the number, not the time"
            yield Finding("note", what, way_out, self.back[0].seq, self.name)


def _files(log: EventLog, audits: list[_OfCampaign]) -> Iterator[Finding]:
    referred: dict[Place, set[str]] = {}
    for one in audits:
        try:
            referred.setdefault(place_of(log.database, one.name), set()).update(one.snapshots)
        except DiscoverError as error:
            yield Finding("error", str(error), RESTORE, campaign=one.name)
    for place, hashes in referred.items():
        yield from file_findings(place, hashes)
    for name in ("features", "sweeps"):
        yield from half_written(log.database.files / name)


def _against(path: Path, audits: list[_OfCampaign]) -> Iterator[Finding]:
    from discover.provenance.unpacking import manifest_of

    try:
        manifest = manifest_of(path)
    except DiscoverError as error:
        yield Finding("error", str(error))
        return
    one = next((a for a in audits if a.uid == manifest.uid), None)
    if one is None:
        yield Finding("error", f"the store has no campaign like that of {path}, {manifest.campaign!r} ({manifest.uid})")
    elif one.name != manifest.campaign:
        yield Finding("warning", f"was {manifest.campaign!r} in {path}: its chain was linked anew", campaign=one.name)
    elif one.count < manifest.events:
        what = f"events {one.count + 1} to {manifest.events} are gone: {path} has them"
        yield Finding("error", what, "import the archive into another store", one.count, one.name)
    elif one.chain[manifest.events] != manifest.chain:
        what = f"the events up to {manifest.events} are not those of {path}: history was rewritten"
        yield Finding("error", what, "import the archive into another store, and compare", manifest.events, one.name)
