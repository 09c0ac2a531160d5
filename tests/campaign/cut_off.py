"""Hands over and collects, and is killed at a chosen boundary; run as a process of its own.

python -m tests.campaign.cut_off URL BASE QUEUE BOUNDARY LOOKUP
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from discover import Campaign
from discover.campaign.experiments import collecting, outside
from discover.experiment.command import Command
from discover.store.journal import Journal

QUEUE = str(Path(__file__).parents[1] / "experiment" / "fake_queue.py")
PYTHON = [sys.executable, "-I", "-S"]
BOUNDARIES = (
    "before its event",
    "after its event",
    "at the queue",
    "before the note",
    "after the hand-over",
    "after all",
)
UNCLEAR = ("at the queue", "before the note")
"""Where nobody can say without asking the queue."""


def batch_queue(place: Path, lookup: bool = True, **options: Any) -> Command:
    """A command that hands over to the fake queue in a folder."""
    call = [*PYTHON, QUEUE]
    return Command(
        program=[*call, "submit", str(place), "{key}", "{folder}"],
        status=[*call, "status", str(place), "{key}"],
        lookup=[*call, "lookup", str(place), "{key}"] if lookup else [],
        targets={"energy": "eV"},
        **options,
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cut(
    owner: Any, name: str, before: Callable[..., bool] | None = None, after: Callable[..., bool] | None = None
) -> None:
    """Die when `before` (with the arguments) or `after` (with the result) is true of a call."""
    whole = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if before is not None and before(*args, **kwargs):
            die()
        result = whole(*args, **kwargs)
        if after is not None and after(result):
            die()
        return result

    setattr(owner, name, call)


class Second:
    """True at the second call: the first one is let pass, so that something is already there."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: Any, **__: Any) -> bool:
        self.calls += 1
        return self.calls == 2


def arm(boundary: str, place: Path) -> None:
    """Set the trap."""
    if boundary == "before its event":
        cut(outside, "_begin", before=Second())
    elif boundary == "after its event":
        cut(outside, "_begin", after=Second())
    elif boundary == "at the queue":
        (place / "delay").write_text("0.5")
        threading.Thread(target=_watch, args=(place / "called",), daemon=True).start()
    elif boundary == "before the note":
        cut(Command, "_note", before=Second())
    elif boundary == "after the hand-over":
        cut(Command, "submit", after=Second())
    elif boundary == "after all":
        cut(outside, "_dispatched", after=Second())
    elif boundary == "before a result's event":
        cut(outside, "record", before=Second())
    elif boundary == "after a result's event":
        cut(outside, "record", after=Second())
    elif boundary == "inside a result's transaction":
        cut(Journal, "transact", before=_dies_inside)


def _dies_inside(journal: Journal, decide: Any, **_: Any) -> bool:
    """Let the transaction begin, with the writers' lock in hand, and die in it."""
    if journal.ledger.observations:

        def drafts(ledger: Any) -> Iterator[Any]:
            yield from decide(ledger)
            die()

        journal.log.transact(journal.name, journal.ledger.seq, lambda unseen: drafts(journal.ledger.apply(unseen)))
    return False


def _watch(path: Path) -> None:
    while not path.exists() or len(path.read_text().splitlines()) < 2:
        time.sleep(0.01)
    die()


def main(url: str, base: str, place: str, boundary: str, lookup: str) -> None:
    campaign = Campaign.open("c", store=url)
    experiment = batch_queue(Path(place), lookup == "True", timeout=20.0).located(Path(base), campaign.files)
    arm(boundary, Path(place))
    with campaign.held():
        if boundary in BOUNDARIES:
            collecting.dispatch(campaign, experiment)
        else:
            collecting.collect(campaign, experiment)
    sys.exit("it was not killed")


if __name__ == "__main__":
    main(*sys.argv[1:])
