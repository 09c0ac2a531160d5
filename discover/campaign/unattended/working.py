"""A worker: takes proposals from the store one at a time, runs them and tells, until it is stopped or nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from discover.campaign.campaign import Campaign
from discover.campaign.claiming import in_hand, take
from discover.campaign.experiments.running import Watch, run_one
from discover.errors import StoreError, Unsupported
from discover.protocols import Experiment, OutsideExperiment
from discover.store.database.database import FateUnknown
from discover.store.leases.leases import SECONDS, Lease, release
from discover.values import Result

PAUSE_SECONDS = 2.0
"""How often an idle worker looks for something to do."""
PATIENCE_SECONDS = 3600.0
"""How long a worker tries to reach a store that is away: a result may have cost days."""

T = TypeVar("T")


class Worker:
    """One of any number of workers of a campaign, on any machine. `stop` and `give_back` may be called by another thread.

    A worker that is killed loses its claim when that expires, on its own machine at once; the attempt that it had begun is
    repeated by another under the same number.
    """

    def __init__(
        self,
        campaign: Campaign,
        experiment: Experiment | OutsideExperiment | None,
        name: str = "",
        *,
        seconds: float = SECONDS,
        patience: float = PATIENCE_SECONDS,
        say: Callable[[str], object] = lambda line: None,
    ):
        """seconds: how long a claim outlives the worker. Unsupported for what workers cannot run."""
        self.campaign, self.name, self.seconds, self.patience, self.say = campaign, name, seconds, patience, say
        self.experiment = campaign._experiment(runnable(experiment))
        self._stopping = threading.Event()
        self._lease: Lease | None = None

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Finish what is in hand, and take up nothing new."""
        self._stopping.set()

    def give_back(self) -> None:
        """Let others have what is in hand, at once: for whoever ends the process in the middle of an experiment."""
        if (lease := self._lease) is not None:
            release(self.campaign._journal.log, lease)

    def work(self, *, limit: int | None = None, wait: float = 0.0, watch: Watch | None = None) -> int:
        """Work until nothing is left and nothing new has come for `wait` seconds, or `limit` attempts were made; how many were."""
        ran, idle = 0, time.monotonic()
        while not self.stopping and (limit is None or ran < limit):
            if lease := self._patiently(self._next):
                ran += self._run(lease, watch)
                idle = time.monotonic()
            elif (left := idle + wait - time.monotonic()) > 0:
                self._stopping.wait(min(left, PAUSE_SECONDS))
            else:
                break
        return ran

    def _next(self) -> Lease | None:
        self.campaign.expire()
        may_begin = self._ceiling is None or self.campaign.ledger.started < self._ceiling
        taken = take(self.campaign._journal, 1, worker=self.name, seconds=self.seconds, may_begin=may_begin)
        return taken[0] if taken else None

    @property
    def _ceiling(self) -> int | None:
        return self.campaign.budget

    def _run(self, lease: Lease, watch: Watch | None) -> bool:
        campaign = self.campaign
        with in_hand(campaign._journal, lease, self.seconds) as self._lease:
            result = run_one(
                campaign._journal, campaign.objective, self.experiment, self._lease, ceiling=self._ceiling, watch=watch,
                believe=self._believe, patiently=self._patiently,
            )  # fmt: skip
        self._lease = None
        return result is not None

    def _believe(self, result: Result) -> bool:
        """A failure after the order to stop may come from the signal, which ends the experiment's own processes too."""
        return result.status != "failed" or not self.stopping

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it; again and again while the store is away."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return do()
            except StoreError as error:
                if type(error) not in (StoreError, FateUnknown) or time.monotonic() > end:
                    raise
                self.say(f"{error}; trying again")
                time.sleep(PAUSE_SECONDS)


def runnable(experiment: Experiment | OutsideExperiment | None) -> Experiment:
    """The experiment, if a worker can run it. Unsupported says who finds out otherwise."""
    if experiment is None:
        raise Unsupported("the campaign has no experiment that a worker could run; results are told: discover tell")
    if not isinstance(experiment, Experiment):
        raise Unsupported(
            "this experiment is made by somebody else: 'discover run' and schedules hand it over and collect its results"
        )
    return experiment


def give_back_in(worker: Worker, seconds: float) -> None:
    """Give back what is in hand, but wait for a store that is away no longer than this."""

    def try_() -> None:
        with suppress(StoreError):
            worker.give_back()

    thread = threading.Thread(target=try_, daemon=True)
    thread.start()
    thread.join(seconds)
