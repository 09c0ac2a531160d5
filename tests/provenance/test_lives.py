"""Whatever a campaign has lived through: its audit is clean, its archive loses nothing, its batches are chosen again."""

from __future__ import annotations

import pytest

from discover.provenance.archive import export_campaign
from discover.provenance.audit import audit
from discover.provenance.fork import fork
from discover.provenance.importing import import_campaign
from discover.provenance.replay import replay
from discover.provenance.rows import stored_rows
from discover.provenance.trace import trace
from discover.store.ledger.folds import same
from tests.campaign.test_folds import lived

KINDS = {"submitted", "dispatched", "unsure", "settled", "retracted", "corrected", "failed", "observed", "withdrawn"}


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_random_life_is_clean_and_loses_nothing(sqlite_url, tmp_path, seed):
    campaign = lived(sqlite_url, seed, 250)
    rows = list(stored_rows(campaign._journal.log, campaign.name))
    assert len({row["kind"] for row in rows} & KINDS) > 5
    found = audit(sqlite_url)
    assert found.clean, found
    export_campaign(campaign, tmp_path / "c.zip")
    other = import_campaign(tmp_path / "c.zip", f"sqlite:///{tmp_path / 'b.db'}")
    assert list(stored_rows(other._journal.log, other.name)) == rows
    assert same(other.ledger, campaign.ledger)
    for iteration in campaign.ledger.iterations:
        again = replay(campaign, iteration.number)
        assert again.identical or again.nothing, again
    for pid in list(campaign.ledger.trials)[::5]:
        assert pid in str(trace(campaign, pid))
    new, told = fork(campaign, "another")
    assert told.observations == len(campaign.ledger.observations)
    assert audit(new).clean
