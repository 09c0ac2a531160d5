"""Progress where people look: bars on a terminal, nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from discover.values import Progress as Show
from discover.values import Result

if TYPE_CHECKING:
    from discover.campaign import Campaign
    from discover.campaign.experiments.running import Watch
    from discover.store.ledger.trials import Trial


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def progress(what: str) -> Iterator[Show]:
    """A bar for (done, total)."""
    with _bar() as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def watching(campaign: Campaign, what: str) -> Iterator[Watch]:
    """A bar for the experiments of a batch, with the candidate that is being tried."""
    with _bar() as bar:
        task = bar.add_task(what, total=len(campaign.ledger.pending()))

        def watch(trial: Trial, result: Result | None) -> Any:
            if result is None:
                bar.update(task, description=f"{what}: {trial.candidate_id}")
            else:
                bar.advance(task)

        yield watch
