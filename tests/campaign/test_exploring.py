"""Exploring: a share of each batch, of known probability."""

import tempfile
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.campaign.asking.choosing import FewerProposals
from discover.campaign.asking.deciding import decide
from discover.values import Batch, Proposal


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A store in memory: what is chosen does not depend on where it is kept, and these tests are many."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return "sqlite://"


def explored(campaign, n, share, keys):
    definition = {**campaign.definition, "policy": {**campaign.definition["policy"], "explore": share}}
    view = campaign.view()
    return view, [decide(view, definition, campaign.policy, n, f"{key}").batch for key in range(keys)]


@pytest.mark.parametrize(("n", "share"), [(4, 0.3), (1, 0.25), (10, 0.1), (3, 1.0)])
def test_the_explored_share_is_right_on_average_and_so_are_its_probabilities(make, n, share):
    campaign = make(policy="space-filling")
    campaign.tell(campaign.ask(6).assign(**{"yield": range(6)}))
    campaign.exclude("m39", reason="toxic")
    batches = 3000
    view, found = explored(campaign, n, share, batches)
    drawn = [p for batch in found for p in batch if p.policy == "explore"]
    assert all(len({p.candidate_id for p in batch}) == len(batch) == n for batch in found)
    free = int((~view.blocked).sum())
    fraction = n * share % 1
    spread = np.sqrt(batches * fraction * (1 - fraction))
    assert abs(len(drawn) - batches * n * share) <= 4 * spread
    assert {round(p.probability, 12) for p in drawn} == {round(n * share / free, 12)}
    counts = pd.Series([p.candidate_id for p in drawn]).value_counts().reindex(view.ids[~view.blocked], fill_value=0)
    assert counts.sum() == len(drawn)  # nobody who is blocked
    expected = batches * n * share / free
    assert ((counts - expected) ** 2 / expected).sum() < free + 5 * np.sqrt(2 * free)  # chi-square, 5 sigma


def test_every_batch_keeps_its_share_within_one(make):
    _, found = explored(make(policy="space-filling"), 10, 0.25, 300)
    assert {sum(p.policy == "explore" for p in batch) for batch in found} == {2, 3}


def test_exploring_campaigns_are_bit_identical(pool, tmp_path):
    runs = []
    for name in ("one", "two"):
        campaign = Campaign.create(
            "c", objective=Objective("yield"), candidates=pool, store=f"sqlite:///{tmp_path / name}.db", seed=3,
            policy={"kind": "random", "explore": 0.4},
        )  # fmt: skip
        for _ in range(4):
            campaign.run(lambda values: values["a"], 3, batch=3)
        events = campaign._journal.log.read("c")
        runs.append([e.payload for e in events if e.kind == "proposed"])
    assert runs[0] == runs[1]
    assert {p["policy"] for body in runs[0] for p in body["proposals"]} == {"random", "explore"}


def campaign_over(tmp_path, policy):
    frame = pd.DataFrame({"dye": list("abcdef"), "x": range(6), "plate": ["hot"] * 2 + ["cold"] * 4})
    pool = CandidatePool.from_frame(frame, id="dye", features=["x"])
    url = f"sqlite:///{tmp_path / 'e.db'}"
    return Campaign.create("e", objective=Objective("yield"), candidates=pool, store=url, policy=policy)


@pytest.mark.parametrize("kind", ["random", "space-filling"])
def test_why_a_batch_is_small_counts_what_was_drawn_at_random_too(tmp_path, kind):
    campaign = campaign_over(tmp_path, {"kind": kind, "explore": 0.5, "at_most": {"plate": 1}})
    with pytest.warns(FewerProposals, match="^2 of 4 proposed: no further free candidate"):
        batch = campaign.ask(4)
    assert set(campaign.proposals["policy"]) <= {"explore", kind}
    assert batch.attrs["shortage"].startswith("2 of 4 proposed: ")
    assert batch.attrs["shortage"].count("proposed") == 1


def test_why_a_pool_ends_counts_what_was_drawn_at_random_too(tmp_path):
    campaign = campaign_over(tmp_path, {"kind": "random", "explore": 0.5})
    campaign.ask(3)
    with pytest.warns(FewerProposals, match="3 candidates are left of 6: 3 are pending, finished or excluded .4 asked"):
        campaign.ask(4)


@dataclass(frozen=True)
class Content:
    """Proposes the first free candidate, and finds that enough."""

    def propose(self, view, n, generator):
        first = Proposal(str(view.ids[~view.blocked][0]), "content", "it stands first")
        return Batch((first,), {"policy": "content"}, f"1 of {n} proposed: one is enough" if n > 1 else "")


def test_a_policys_own_reason_is_kept(make):
    campaign = make(policy="random")
    definition = {**campaign.definition, "policy": {**campaign.definition["policy"], "explore": 0.5}}
    batch = decide(campaign.view(), definition, Content(), 6, "k").batch
    assert batch.shortage == "4 of 6 proposed: one is enough"
