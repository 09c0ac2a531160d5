"""`discover worker`: starts what is due, each run as a process of its own, and stops in bounded time.

It is Prefect's process worker with three habits of its own, none of which costs a process:

- of several runs of a campaign that are due (a worker was down, a machine asleep) the latest is started, the others are
  skipped: catching up is one run;
- a run whose campaign is being run by this worker already is skipped, so a slow campaign holds one place and no more;
- asked to stop, it takes up nothing new, gives the runs under way their time, and then ends them. The store makes that safe.

Skipped runs are completed runs of the name 'Skipped', with the reason. A worker that is killed leaves its runs to finish by
themselves: they hold their leases, and what they commit counts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flows import environment
from flows.deployments import POOL, wait_for_server

POLL_SECONDS = 5
GRACE_SECONDS = 60.0
LAST_SECONDS = 15.0
"""What an ended run gets after the grace period to say so, before its processes are killed."""


def work(*, limit: int = 2, grace: float = GRACE_SECONDS, say: Callable[[str], object] = print) -> None:
    """Run what is due until SIGTERM or SIGINT; then stop within grace + 30 s. A second signal ends the grace period."""
    environment.prepare(PREFECT_LOGGING_LEVEL="INFO", PREFECT_WORKER_QUERY_SECONDS=str(POLL_SECONDS))
    server = environment.user_server()
    wait_for_server(60)
    asyncio.run(_Worker(limit, grace, say).run(server))


class _Worker:
    """The loop around Prefect's worker."""

    def __init__(self, limit: int, grace: float, say: Callable[[str], object]):
        self.limit, self.grace, self.say = limit, grace, say
        self.stopping, self.hurried = asyncio.Event(), asyncio.Event()
        self.down = False

    async def run(self, server: str) -> None:
        """Until a signal; then wait for the runs under way, or end them."""
        from flows.processes import CampaignWorker

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal)
        name = f"{socket.gethostname()}-{os.getpid()}"
        worker = CampaignWorker(work_pool_name=POOL, name=name, limit=self.limit, prefetch_seconds=0)
        async with worker:
            self.say(f"worker {name} at {server}: at most {self.limit} runs at a time")
            await self._poll(worker)
            self.say(f"stopping: {len(worker.processes)} runs under way have {self.grace:g} s")
            await self._wait_for_runs(worker)
            leaving = asyncio.get_running_loop().call_later(LAST_SECONDS, _leave)  # the server may have gone
        leaving.cancel()
        self.say("stopped")

    def _signal(self) -> None:
        (self.hurried if self.stopping.is_set() else self.stopping).set()

    async def _poll(self, worker: Any) -> None:
        from httpx import HTTPError
        from prefect.settings import PREFECT_WORKER_HEARTBEAT_SECONDS, PREFECT_WORKER_QUERY_SECONDS

        pause, every = PREFECT_WORKER_QUERY_SECONDS.value(), PREFECT_WORKER_HEARTBEAT_SECONDS.value()
        beat = -every
        while not self.stopping.is_set():
            try:
                if time.monotonic() - beat > every:
                    await worker.sync_with_backend()
                    await worker.bury_unborn()
                    beat = time.monotonic()
                await worker.skip_needless()
                await worker.get_and_submit_flow_runs()
                self._note(down=False)
            except HTTPError as error:
                self._note(down=True, why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)

    def _note(self, *, down: bool, why: str = "") -> None:
        if down != self.down:
            self.say(f"the Prefect server does not answer ({why}); trying on" if down else "the Prefect server answers")
        self.down = down

    async def _wait_for_runs(self, worker: Any) -> None:
        await self._until_idle(worker, self.grace, self.hurried)
        for number, seconds in ((signal.SIGTERM, LAST_SECONDS), (signal.SIGKILL, LAST_SECONDS)):
            if worker.limiter.borrowed_tokens == 0:
                return
            for pid in worker.processes.values():
                self.say(f"ending the run of process {pid} ({number.name}); the next one goes on from the store")
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)
            await self._until_idle(worker, seconds)

    async def _until_idle(self, worker: Any, seconds: float, event: asyncio.Event | None = None) -> None:
        end = time.monotonic() + seconds
        while worker.limiter.borrowed_tokens and time.monotonic() < end and not (event and event.is_set()):
            await asyncio.sleep(0.1)


def _leave() -> None:
    sys.stdout.flush()
    os._exit(1)
