"""A campaign of forty candidates that lives a little: what it wrote, and whether all of it is sound."""

from __future__ import annotations

import numpy as np
import pandas as pd

from discover import Campaign, CandidatePool, Objective
from discover.provenance.audit import audit
from discover.store.log.log import EventLog

FRAME = pd.DataFrame({"id": [f"m{i:02d}" for i in range(40)], "a": np.arange(40) / 40})
POOL = CandidatePool.from_frame(FRAME, id="id", features=["a"])


def begun(url, log=None, name="c"):
    return Campaign.create(name, objective=Objective("y"), candidates=POOL, policy="random", store=log or url)


def live(campaign, batches=3, n=2):
    for _ in range(batches):
        campaign.run(lambda values: values["a"] ** 2, n, batch=n)
    return campaign


def history(campaign_or_url):
    log = EventLog(campaign_or_url, create=False) if isinstance(campaign_or_url, str) else campaign_or_url._journal.log
    return [(e.seq, e.id, e.kind, dict(e.payload)) for e in log.read("c")]


def is_sound(url):
    report = audit(url)
    assert report.clean, report
