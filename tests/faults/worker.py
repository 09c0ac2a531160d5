"""The core loop of a campaign in processes that are killed; a process of its own, warm, that forks one for every life.

python -m tests.faults.worker reads one JSON object a line and answers with one: {"url", "diary", "acks", "before", "after",
"delay"}. A life runs the campaign to its end, unless it is killed before or after its k-th commit, or after some seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager

from sqlalchemy import Engine, event

from discover import Campaign
from discover.campaign.unattended.iterating import propose_next, room
from discover.store.database.database import Database
from discover.store.log.log import EventLog

NAME = "c"


def append(path: str, line: str) -> None:
    """One whole line, in the hands of the operating system when this returns: it outlives the process."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Commits:
    """Counts this life's commits, and ends it at the one that was ordered."""

    def __init__(self, before: int | None, after: int | None):
        self.before, self.after, self.count = before, after, 0

    def install(self) -> None:
        event.listen(Engine, "commit", self._begins)
        whole = Database.writing

        @contextmanager
        def writing(database, *args, **kwargs):
            seen = self.count
            with whole(database, *args, **kwargs) as connection:
                yield connection
            if self.after is not None and seen < self.after <= self.count:
                die()

        Database.writing = writing

    def _begins(self, _connection) -> None:
        self.count += 1
        if self.count == self.before:
            die()


def acknowledge(path: str) -> None:
    """Write down every event of which this process was told that it is written."""
    whole = EventLog.transact

    def transact(log, *args, **kwargs):
        events = whole(log, *args, **kwargs)
        for one in events:
            append(path, f"{one.seq} {one.id}")
        return events

    EventLog.transact = transact


def loop(url: str, diary: str) -> None:
    """Run the campaign until its budget is spent: what every process of a campaign does, without Prefect."""
    campaign = Campaign.open(NAME, store=url)

    def instant(values):
        append(diary, str(values["id"]))
        return 10 * values["a"] - values["b"] ** 2

    with campaign.held():
        campaign.run_pending(instant)
        while propose_next(campaign) is not None:
            campaign.run_pending(instant, room(campaign))


def life(order: dict) -> int:
    """What a child does; its exit code."""
    try:
        commits = Commits(order.get("before"), order.get("after"))
        commits.install()
        acknowledge(order["acks"])
        loop(order["url"], order["diary"])
        append(order["acks"] + ".commits", str(commits.count))
        return 0
    except BaseException:
        traceback.print_exc()
        return 1


def live(order: dict) -> dict:
    """One life: whether it was killed, or its exit code, and how long it took."""
    began = time.perf_counter()
    child = os.fork()
    if not child:
        os._exit(life(order))
    if order.get("delay") is not None:
        time.sleep(order["delay"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return {"killed": killed, "code": code, "seconds": time.perf_counter() - began}


def warm(bayesian: bool) -> None:
    """Import what a life imports; a fork has it then."""
    import discover.experiment.callable
    import discover.features.build
    import discover.policy.random
    import discover.provenance

    if bayesian:
        import botorch  # noqa: F401

        import discover.policy.bayesian.bayesian  # noqa: F401


def main() -> None:
    warm("bayesian" in sys.argv)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        print(json.dumps(live(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
