"""Threads that share one campaign object."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from discover.store.journal import Journal


@pytest.mark.parametrize("choose", ["policy", "person"])
def test_who_asks_gets_their_own_batch_though_another_commits_before_it_is_looked_up(make, choose, monkeypatch):
    campaign, transact, others = make(), Journal.transact, []

    def and_another(self, decide, **more):
        events = transact(self, decide, **more)
        if not others:
            others.append(None)
            others[0] = campaign.ask(3)
        return events

    monkeypatch.setattr(Journal, "transact", and_another)
    mine = campaign.ask(2) if choose == "policy" else campaign.propose(["m01", "m02"], reason="a hunch")
    assert len(mine) == 2
    assert len(others[0]) == 3
    assert not set(mine["proposal_id"]) & set(others[0]["proposal_id"])


def test_many_threads_share_a_campaign(make):
    campaign = make()

    def work(number):
        told = []
        for _ in range(2):
            batch = campaign.ask(2)
            told += list(batch["proposal_id"])
            campaign.tell(batch.assign(**{"yield": float(number)}))
        return told

    with ThreadPoolExecutor(5) as threads:
        told = [i for ids in threads.map(work, range(5)) for i in ids]
    assert len(told) == len(set(told)) == 20
    assert campaign.status().measured == 20
