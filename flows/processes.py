"""Prefect's process worker, which starts no process for a run that is not needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Completed, Crashed
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

SKIPPED = "Skipped"
PAGE = 200
UNBORN_SECONDS = 600


class CampaignWorker(ProcessWorker):
    """processes: by run, the process that it runs in."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.processes: dict[UUID, int] = {}
        self._under_way: dict[UUID, FlowRun] = {}

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "discover"  # `process` stays Prefect's own

    async def run(
        self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: Any = None
    ) -> ProcessWorkerResult:
        """Start a process and wait for it, unless the campaign is being run by this worker already."""
        key = flow_run.deployment_id
        if key is None:
            return await super().run(flow_run, configuration, task_status)
        if other := self._under_way.get(key):
            await self._skip(flow_run, _busy(other))
            task_status.started(0)
            return ProcessWorkerResult(status_code=0, identifier="")
        self._under_way[key] = flow_run
        noting: Any = _Started(task_status, self.processes, flow_run.id)
        try:
            return await super().run(flow_run, configuration, noting)
        finally:
            del self._under_way[key]
            self.processes.pop(flow_run.id, None)

    async def skip_needless(self) -> None:
        """Before any of them takes a place: of the runs of a campaign that are due, keep the latest, or none if it is busy."""
        latest: dict[UUID, FlowRun] = {}
        for flow_run in await self._find(StateType.SCHEDULED, datetime.now(UTC)):  # latest first
            key = flow_run.deployment_id
            if key is None or not flow_run.auto_scheduled:
                continue
            if other := self._under_way.get(key):
                await self._skip(flow_run, _busy(other))
            elif key in latest:
                due = latest[key].next_scheduled_start_time
                await self._skip(flow_run, f"overtaken by the run that was due at {due:%Y-%m-%d %H:%M:%S %Z}")
            else:
                latest[key] = flow_run

    async def bury_unborn(self) -> None:
        """Runs that a worker took up and never began, for it was killed: nobody else would ever end them."""
        message = f"taken up by a worker and not begun within {UNBORN_SECONDS} s; the next run goes on from the store"
        for flow_run in await self._find(StateType.PENDING, datetime.now(UTC) - timedelta(seconds=UNBORN_SECONDS)):
            if flow_run.state and (datetime.now(UTC) - flow_run.state.timestamp).total_seconds() > UNBORN_SECONDS:
                state: Any = Crashed(message=message)
                await self.client.set_flow_run_state(flow_run.id, state, force=True)

    async def _find(self, kind: StateType, before: Any) -> list[FlowRun]:
        """Runs of the work pool in this state that were due before a time, latest first."""
        wanted = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind])),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=before),
        )
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name]))
        found: list[FlowRun] = []
        while page := await self.client.read_flow_runs(
            flow_run_filter=wanted,
            work_pool_filter=pool,
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=PAGE,
            offset=len(found),
        ):
            found += page
        return found

    async def _skip(self, flow_run: FlowRun, reason: str) -> None:
        state: Any = Completed(name=SKIPPED, message=f"{SKIPPED}: {reason}")
        await self.client.set_flow_run_state(flow_run.id, state, force=True)
        self.get_flow_run_logger(flow_run).info(state.message)


def _busy(other: FlowRun) -> str:
    return f"the campaign's run {other.id} is under way on this worker"


class _Started:
    """Notes the process of a run on the way to whoever waits for it."""

    def __init__(self, task_status: Any, processes: dict[UUID, int], key: UUID):
        self._status, self._processes, self._key = task_status, processes, key

    def started(self, value: Any = None) -> None:
        self._processes[self._key] = value
        self._status.started(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)
