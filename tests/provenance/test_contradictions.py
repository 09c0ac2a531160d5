"""An audit finds a history that contradicts itself under a whole chain, and accuses the one event that is wrong."""

from __future__ import annotations

import json

import pytest

from discover import Campaign
from discover.provenance.audit import audit
from discover.provenance.rows import stored_rows
from discover.store.log.events import Draft
from tests.provenance.audits import says


def body_of(campaign: Campaign, kind: str) -> dict:
    return json.loads(next(r["payload"] for r in stored_rows(campaign._journal.log, "c") if r["kind"] == kind))


def add(campaign: Campaign, kind: str, body: dict) -> None:
    """Append an event that no verb of a campaign would write."""
    campaign._journal.log.transact("c", campaign.ledger.seq, lambda _: [Draft(kind, body)])


def observed(campaign: Campaign, **changes: object) -> dict:
    from discover.store.ledger.trials import identity, read_observation

    observation = body_of(campaign, "observed")["observation"] | {"replicate": 9} | changes
    return {"identity": identity(read_observation(observation)), "observation": observation}


def proposed(campaign: Campaign, **changes: object) -> dict:
    body = body_of(campaign, "proposed")
    item = body["proposals"][0] | {"proposal_id": f"{campaign.uid}-9999"} | changes
    return body | {"proposals": [item], "key": None, "n": 1, "iteration": len(campaign.ledger.iterations) + 1}


ILLEGAL = {
    "a value of no proposal": (
        lambda c: ("observed", observed(c, proposal_id=f"{c.uid}-7777")),
        "which does not exist",
    ),
    "a value of no candidate": (
        lambda c: ("observed", observed(c, proposal_id=None, candidate_id="nobody")),
        "there is no candidate 'nobody'",
    ),
    "a value of another candidate": (
        lambda c: ("observed", observed(c, candidate_id=c.pool.ids[-1])),
        "which is of",
    ),
    "a value of no target": (lambda c: ("observed", observed(c, target="weight")), "which is not a target"),
    "a value in another unit": (lambda c: ("observed", observed(c, unit="kg")), "the target is in '%'"),
    "a value that is no number": (lambda c: ("observed", observed(c, value="12")), "is not a number"),
    "a bound of no side": (lambda c: ("observed", observed(c, bound="left")), "neither below nor above"),
    "an identity that does not fit": (
        lambda c: ("observed", observed(c) | {"identity": "[]"}),
        "does not match its identity",
    ),
    "the same value again": (lambda c: ("observed", observed(c, replicate=1)), "is told a second time"),
    "a failure of no proposal": (
        lambda c: ("failed", {"failure": body_of(c, "failed")["failure"] | {"proposal_id": "x-0001"}}),
        "which does not exist",
    ),
    "a failure of no kind": (
        lambda c: ("failed", {"failure": body_of(c, "failed")["failure"] | {"status": "lost"}}),
        "neither failed nor infeasible",
    ),
    "a submission of no proposal": (
        lambda c: ("submitted", {"proposal_id": "x-0001", "attempt": 1, "key": "x-0001.1", "worker": ""}),
        "which does not exist",
    ),
    "an attempt that was left out": (
        lambda c: (
            "submitted",
            {"proposal_id": f"{c.uid}-0001", "attempt": 9, "key": f"{c.uid}-0001.9", "worker": ""},
        ),
        "attempt 9 at",
    ),
    "a key of another attempt": (
        lambda c: ("submitted", {"proposal_id": f"{c.uid}-0001", "attempt": 2, "key": "k", "worker": ""}),
        "is not that of its proposal",
    ),
    "a withdrawal of no proposal": (
        lambda c: ("withdrawn", {"proposal_ids": ["x-0001"], "reason": "r"}),
        "which does not exist",
    ),
    "an approval of no proposal": (
        lambda c: ("approved", {"proposal_ids": ["x-0001"], "note": ""}),
        "which does not exist",
    ),
    "a correction of nothing": (
        lambda c: ("corrected", {"replaces": ["nothing"], "reason": "r", "failure": None} | observed(c)),
        "is replaced that does not exist",
    ),
    "a retraction of nothing": (
        lambda c: ("retracted", {"replaces": ["nothing"], "failures": [], "proposal_ids": [], "reason": "r"}),
        "is replaced that does not exist",
    ),
    "an exclusion of no candidate": (
        lambda c: ("excluded", {"ids": ["nobody"], "reason": "r"}),
        "there is no candidate 'nobody'",
    ),
    "a second batch of one key": (
        lambda c: ("proposed", proposed(c) | {"key": "iteration-1"}),
        "key 'iteration-1' has a second batch",
    ),
    "a batch out of its place": (lambda c: ("proposed", proposed(c) | {"iteration": 1}), "calls itself 1"),
    "more than was asked for": (lambda c: ("proposed", proposed(c) | {"n": 0}), "were proposed"),
    "a proposal's id again": (
        lambda c: ("proposed", proposed(c, proposal_id=f"{c.uid}-0001")),
        "stands twice",
    ),
    "a proposal of another campaign": (
        lambda c: ("proposed", proposed(c, proposal_id="abc-0001")),
        "is not named after its campaign",
    ),
    "a candidate that is pending": (
        lambda c: ("proposed", proposed(c, candidate_id=pending(c), candidate=whole(c, pending(c)))),
        "is proposed while it is pending",
    ),
    "a candidate altered": (
        lambda c: ("proposed", proposed(c, candidate=body_of(c, "proposed")["proposals"][0]["candidate"] | {"values": {}})),
        "does not match its hash",
    ),
    "a candidate altered with its hash": (
        lambda c: ("proposed", proposed(c, candidate=forged(c))),
        "is not the one of the snapshot",
    ),
    "a candidate left out": (lambda c: ("proposed", proposed(c, candidate=None)), "does not carry its candidate"),
    "a definition that does not fit its hash": (
        lambda c: ("redefined", {"definition": {**c.definition, "seed": 8}, "hash": "0" * 64, "difference": []}),
        "does not match its hash",
    ),
    "a second beginning": (lambda c: ("created", body_of(c, "created")), "created a second time"),
}  # fmt: skip


def pending(campaign: Campaign) -> str:
    return campaign.ledger.pending()[0].candidate_id


def whole(campaign: Campaign, candidate: str) -> dict:
    from dataclasses import asdict

    return asdict(campaign.pool.candidate(int(campaign.pool.rows([candidate])[0])))


def forged(campaign: Campaign) -> dict:
    from discover.candidates.pool.pool import _version

    found = body_of(campaign, "proposed")["proposals"][0]["candidate"]
    values = found["values"] | {"a": 0.0}
    return found | {"values": values, "version": _version(values)}


@pytest.mark.parametrize("which", ILLEGAL)
def test_a_history_that_contradicts_itself_is_found(rich_url, which):
    make, words = ILLEGAL[which]
    campaign = Campaign.open("c", store=rich_url)
    add(campaign, *make(campaign))
    found = audit(rich_url)
    assert says(found, words), str(found)
    assert all(f.way_out for f in found.errors)
    assert {f.seq for f in found.errors} == {found.events}, "one event is wrong, and no other is accused"
