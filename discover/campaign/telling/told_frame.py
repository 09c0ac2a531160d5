"""A frame of results: read, checked as a whole, and committed or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from discover.campaign.settings import refuse
from discover.campaign.telling.conditions import MixedUp, condition_columns
from discover.campaign.telling.rows import read
from discover.campaign.telling.telling import Teller
from discover.candidates.space.points import Pool
from discover.errors import Problem
from discover.objective import Objective
from discover.store.journal import Journal
from discover.store.leases.leases import Lease
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Draft


def tell_frame(
    journal: Journal,
    objective: Objective,
    pool: Pool,
    results: pd.DataFrame,
    extra: Sequence[str],
    correcting: str | None,
    dry_run: bool,
    partial: bool = False,
    *,
    fence: Lease | None = None,
    of_one_piece: bool = False,
) -> pd.DataFrame:
    """Read, check and, unless it is a dry run, commit a frame of results; what each row became. LeaseLost where fenced.

    of_one_piece: where a row contradicts its candidate no other is taken either, though it be partial (MixedUp).
    """
    columns = [*pool.columns, *([pool.structure] if pool.structure else [])]
    rows, problems = read(
        results, objective, pool.id, columns, extra, getattr(pool, "space", None), condition_columns(pool)
    )
    told: list[dict[str, Any]] = []
    bad: dict[object, list[Problem]] = {}
    for problem in problems:
        bad.setdefault(problem.row, []).append(problem)
    if partial:
        refuse(bad.get(None, []), "results")
        labels = [row.label for row in rows]
        twice = [Problem("two rows have this label", row=label, way_out="reset_index(drop=True)") for label in labels
                 if labels.count(label) > 1]  # fmt: skip
        refuse(twice, "results")

    def decide(ledger: Ledger) -> Sequence[Draft]:
        teller = Teller(ledger, objective, pool, correcting=correcting)
        if partial:
            for row in rows:
                if wrong := bad.get(row.label):
                    teller.refuse(row, wrong)
            teller.tell([row for row in rows if row.label not in bad], partial=True)
            if of_one_piece and teller.contradicting:
                raise MixedUp("results", teller.contradicting)
        else:
            teller.tell(rows)
            refuse([*problems, *teller.problems], "results")
        told[:] = teller.became
        return teller.drafts

    if dry_run:
        decide(journal.refresh())
    else:
        journal.transact(decide, fence=fence)
    frame = pd.DataFrame(told, columns=["row", "id", "proposal_id", "became", "remark"])
    return frame.rename(columns={"id": pool.id})
