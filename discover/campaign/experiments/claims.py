"""Proposals in a worker's hand: what `Campaign.claim` returns."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from discover.campaign.claiming import take, worker_of
from discover.campaign.experiments.recording import Attempt, keep_beside
from discover.campaign.reading.tables import batch_frame
from discover.campaign.settings import refuse
from discover.campaign.telling.rows import Row, read
from discover.campaign.telling.told_frame import tell_frame
from discover.errors import InvalidInput, LeaseLost, Problem, nearest
from discover.store.leases.claims import proposal_of, taken_over
from discover.store.leases.heartbeat import Heartbeat
from discover.store.leases.leases import SECONDS, Lease, release, renew
from discover.store.ledger.trials import Failure, Trial
from discover.values import Observation

if TYPE_CHECKING:
    from discover.campaign.reading.reader import Reader

BESIDE = "kept beside"


class Claims:
    """Proposals that nobody else works on for the time being.

    They are kept alive until they are told or given back, or this process ends; then they return to everybody, at the
    latest after `seconds`. Who loses one all the same (a machine that slept) may still tell: that result is kept beside the
    proposal. Example::

        with campaign.claim(3, worker="furnace 2") as claims:
            claims.tell(claims.frame.assign(hardness=[12.1, 9.8, None]))  # the third is given back at the end
    """

    def __init__(self, campaign: Reader, n: int, worker: str = "", seconds: float = SECONDS):
        """Use `Campaign.claim`."""
        self._campaign, self._journal, self._seconds = campaign, campaign._journal, seconds
        leases = take(self._journal, n, worker=worker, seconds=seconds)
        self._leases = {proposal_of(lease): lease for lease in leases}
        self.worker = worker_of(leases[0]) if leases else worker
        self._beat = Heartbeat(self._journal.log, leases, seconds) if leases else None

    def __len__(self) -> int:
        return len(self._leases)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def proposal_ids(self) -> list[str]:
        """What is in hand and not yet told."""
        return list(self._leases)

    @property
    def lost(self) -> list[str]:
        """Those of them that somebody else was given since, be it that they are done by now."""
        return [proposal_of(lease) for lease in taken_over(self._journal.log, list(self._leases.values()))]

    @property
    def frame(self) -> pd.DataFrame:
        """What is in hand, one row a proposal: the columns of `ask`, ready to be filled in and told."""
        return batch_frame(self._trials(), self._campaign.objective, self._campaign.pool)

    def renew(self, seconds: float | None = None) -> list[str]:
        """Hold on for so long from now, even if this process sleeps; returns what was lost meanwhile."""
        length = self._seconds if seconds is None else seconds
        return [proposal_of(lease) for lease in renew(self._journal.log, list(self._leases.values()), length)]

    def release(self, proposal_ids: str | Sequence[str] | None = None) -> None:
        """Give back these, or all: others may take them at once."""
        wanted = [proposal_ids] if isinstance(proposal_ids, str) else proposal_ids
        self._drop(list(self._leases) if wanted is None else wanted)

    def tell(self, results: pd.DataFrame, *, extra: Sequence[str] = ()) -> pd.DataFrame:
        """Add results of what is in hand, and say what each row became; reads what `Campaign.tell` reads.

        Everything is checked first: InvalidInput reports every problem at once, and nothing is changed. What somebody else was
        given meanwhile becomes 'kept beside': an observation of the candidate, without the proposal. What is told is no
        longer in hand.
        """
        rows, frame = self._read(results, extra)
        lost = set(self.lost)
        kept = [row.proposal_id not in lost for row in rows]
        if any(kept):
            self._tell(frame[kept], extra, dry_run=True)
        told = [self._tell_one(row, frame.iloc[[place]], extra) for place, row in enumerate(rows)]
        became = pd.concat(told, ignore_index=True)
        mine = {row.proposal_id for row in rows}  # the others may be done elsewhere, and wait for what was found here
        gone = [t.proposal_id for t in self._trials() if t.proposal_id in mine and not t.state.pending]
        self._drop([*gone, *became.loc[became["became"] == BESIDE, "proposal_id"]])
        return became

    def _trials(self) -> list[Trial]:
        trials = self._journal.refresh().trials
        return [trials[pid] for pid in self._leases]

    def _drop(self, proposal_ids: Iterable[str]) -> None:
        gone = [self._leases.pop(pid) for pid in proposal_ids if pid in self._leases]
        for lease in gone:
            if self._beat is not None:
                self._beat.drop(lease)
        if gone:
            release(self._journal.log, *gone)
        if self._beat is not None and not self._leases:
            self._beat.end()

    def _read(self, results: pd.DataFrame, extra: Sequence[str]) -> tuple[list[Row], pd.DataFrame]:
        """The rows, each with its proposal, and the frame that they were read from. InvalidInput."""
        pool = self._campaign.pool
        columns = [*pool.columns, *([pool.structure] if pool.structure else [])]
        rows, problems = read(results, self._campaign.objective, pool.id, columns, extra, getattr(pool, "space", None))
        mine = {trial.candidate_id: trial.proposal_id for trial in self._trials()}
        for row in rows:
            row.proposal_id = row.proposal_id or mine.get(row.candidate_id or "")
            if row.proposal_id not in self._leases:
                named = row.proposal_id or row.candidate_id
                hint = nearest(str(named), self._leases) if self._leases else "nothing is in hand; use Campaign.tell"
                problems.append(Problem("is not in hand", row.label, "proposal_id", named, hint))
        refuse(problems, "results")
        if not rows:
            raise InvalidInput("results", [Problem("there are no rows")])
        return rows, results.reset_index() if results.index.name in (pool.id, "proposal_id") else results

    def _tell(
        self, frame: pd.DataFrame, extra: Sequence[str], *, dry_run: bool = False, fence: Lease | None = None
    ) -> pd.DataFrame:
        campaign = self._campaign
        return tell_frame(self._journal, campaign.objective, campaign.pool, frame, extra, None, dry_run, fence=fence)

    def _tell_one(self, row: Row, frame: pd.DataFrame, extra: Sequence[str]) -> pd.DataFrame:
        lease = self._leases[str(row.proposal_id)]
        try:
            return self._tell(frame.assign(proposal_id=row.proposal_id), extra, fence=lease)
        except LeaseLost as lost:
            trial = self._journal.refresh().trials[str(row.proposal_id)]
            attempt = Attempt(trial.proposal, max(1, trial.attempts), self.worker, lease)
            keep_beside(self._journal, attempt, self._found(row, trial))
            what = {"row": row.label, self._campaign.pool.id: trial.candidate_id, "proposal_id": row.proposal_id}
            return pd.DataFrame([what | {"became": BESIDE, "remark": str(lost)}])

    def _found(self, row: Row, trial: Trial) -> list[Observation | Failure]:
        common: dict[str, Any] = {
            "candidate_id": trial.candidate_id, "proposal_id": trial.proposal_id, "replicate": row.replicate,
            "fidelity": row.fidelity, "context": row.context, "source": row.source, "measured_at": row.measured_at,
            "note": row.note, "extra": row.extra, "raw": row.raw,
        }  # fmt: skip
        if row.status in ("failed", "infeasible"):
            return [Failure(status=row.status, reason=row.note or row.status, cost=row.cost, **common)]
        unit = self._campaign.objective.units
        found: list[Observation | Failure] = []
        for name, (value, std, bound) in row.values.items():
            cost = None if found else row.cost
            found.append(
                Observation(target=name, value=value, std=std, bound=bound, unit=unit[name], cost=cost, **common)
            )
        return found

    def __repr__(self) -> str:
        return f"{self._title()}\n{self._table().to_string(index=False)}" if self._leases else self._title()

    def _repr_html_(self) -> str:
        body = self._table().to_html(index=False) if self._leases else ""
        return f"<p>{html.escape(self._title())}</p>{body}"

    def _title(self) -> str:
        if not self._leases:
            return f"nothing of {self._campaign.name!r} is in hand"
        return (
            f"{len(self)} of {self._campaign.name!r} in hand of {self.worker}, until they are told or released, or this "
            f"process gives no sign of life for {self._seconds:g} s"
        )

    def _table(self) -> pd.DataFrame:
        columns = ["proposal_id", self._campaign.pool.id, "reason"]
        return self.frame[columns]
