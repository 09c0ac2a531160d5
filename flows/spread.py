"""Experiments as tasks on an existing Dask cluster. $DISCOVER_DASK says where it is; unset, experiments run in the flow.

A task is given proposals by id, and claims each from the store before it runs it. So a task that runs twice, since its
machine died in the middle, does nothing twice; and what a task could not do, the next iteration does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flows import environment

environment.prepare()

from prefect import task  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402

from discover import Campaign  # noqa: E402
from discover.campaign.claiming import workable  # noqa: E402
from discover.campaign.unattended.portions import portions, typical_seconds  # noqa: E402
from discover.definition import load  # noqa: E402
from discover.errors import DiscoverError  # noqa: E402
from discover.protocols import Experiment  # noqa: E402

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

VARIABLE = "DISCOVER_DASK"
SECONDS = 20
"""How long a Dask scheduler may take to answer."""


class NoCluster(DiscoverError):
    """There is no Dask cluster at the address, or nothing to speak to one with."""


@dataclass(frozen=True)
class Spread:
    """Where the tasks of a flow find its campaign: a file and a store that every machine of the cluster reaches."""

    file: str
    store: str | None

    def run(self, campaign: Campaign, limit: int | None, say: Callable[[str], object]) -> int:
        """Run what is cut off, approved or to be retried on the cluster; how many experiments were begun there or elsewhere."""
        begun = campaign.ledger.started
        ceiling = None if limit is None else begun + limit
        slots = slots_of(address())
        while True:
            ledger = campaign.ledger
            may_begin = ceiling is None or ledger.started < ceiling
            ids = [trial.proposal_id for trial in workable(ledger, may_begin=may_begin)]
            parts = portions(ids, typical_seconds(ledger), slots)
            before, left = ledger.seq, ceiling
            futures = [calculate.submit(self.file, self.store, part, left) for part in parts]
            for future in futures:
                future.wait()
                if not future.state.is_completed():
                    say(
                        f"a task on the cluster did not end well: {future.state.message}; the store has what it finished"
                    )
            if not parts or campaign.ledger.seq == before:
                return campaign.ledger.started - begun


@task(name="calculate", cache_policy=NO_CACHE, persist_result=False)
def calculate(file: str, store: str | None, proposal_ids: list[str], ceiling: int | None) -> int:
    """Run those of these proposals that are still to be done; how many were. Waits for what another process has in hand."""
    campaign, experiment = _opened(file, store, threading.get_ident())
    limit = None if ceiling is None else max(0, ceiling - campaign.ledger.started)
    return campaign.run_pending(experiment, limit, wait=True, only=proposal_ids)


@lru_cache(maxsize=8)
def _opened(file: str, store: str | None, thread: int) -> tuple[Campaign, Experiment]:
    """A campaign and its experiment, once for each thread: a model is loaded once, and by one thread."""
    definition = load(file)
    campaign = definition.open(store, create=False, changes="note")
    experiment: Any = definition.runner(campaign.files)
    return campaign, experiment


def address() -> str | None:
    """The cluster's, or None."""
    return os.environ.get(VARIABLE) or None


def task_runner() -> TaskRunner[Any] | None:
    """Of the flows that experiments are dispatched by; None is Prefect's own, with threads."""
    if (where := address()) is None:
        return None
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise NoCluster(
            f"{VARIABLE} is set, but prefect-dask is not installed: pip install 'discover-loop[distributed]'"
        ) from error
    return DaskTaskRunner(address=where)


def slots_of(where: str | None) -> int:
    """How many tasks a cluster runs at the same time. NoCluster where none answers in time, or where it has no workers."""
    try:
        from distributed import Client

        with Client(where, timeout=SECONDS, set_as_default=False) as client:
            slots = sum(client.nthreads().values())
    except (OSError, ImportError, ValueError) as error:
        raise NoCluster(f"no Dask scheduler answers at {VARIABLE}={where}: {error}") from error
    if not slots:
        raise NoCluster(f"the Dask scheduler at {where} has no workers; start some: dask worker {where}")
    return slots
