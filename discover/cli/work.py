"""`discover work`: a worker for a campaign's proposals, on this machine or any other that reaches the store."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from discover.cli.app import File, Store, command, open_campaign
from discover.cli.output import notices

if TYPE_CHECKING:
    from discover.campaign import Campaign
    from discover.store.ledger.trials import Trial
    from discover.values import Result

GRACE_SECONDS = 60.0
POLL_SECONDS = 2.0


@command()
def work(
    file: File,
    jobs: Annotated[int, typer.Option(min=1, help="so many workers, each a process of its own")] = 1,
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for further proposals when none is left")] = 0,
    forever: Annotated[bool, typer.Option("--forever", help="wait for further proposals until it is stopped")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="stop after so many experiments")] = None,
    worker: Annotated[str, typer.Option(help="a name that others see; default: this machine and process")] = "",
    grace: Annotated[
        float, typer.Option(min=0, help="seconds that an experiment under way gets at a stop")
    ] = GRACE_SECONDS,
    store: Store = None,
    leashed: Annotated[bool, typer.Option("--leashed", hidden=True)] = False,
) -> None:
    """Run proposals of a campaign that nobody else works on, until none is left. Any number of workers may do so.

    Ctrl-C or SIGTERM: the experiment under way is finished, if it ends in time, and then the worker stops; a second one ends
    it at once. What was in hand is given back, and repeated by whoever takes it. The end after a signal has exit code 128
    plus its number.

    Example: discover work campaign.yaml --store postgresql://discover@lab-server/discover --jobs 4 --forever
    """
    patience = math.inf if forever else wait
    if jobs > 1:
        raise typer.Exit(_several(file, jobs, patience, limit, worker, grace, store))
    from discover.campaign.unattended.working import Worker, give_back_in, runnable
    from discover.cli.jobs import follow_starter
    from discover.cli.stopping import stopped_by_signals
    from discover.definition import load

    definition = load(file)
    runnable(definition.experiment)
    _until_begun(definition, store, patience)
    campaign = open_campaign(file, store)
    with notices():
        hand = Worker(campaign, definition.runner(campaign.files), worker, say=typer.echo)

    def insist() -> None:
        give_back_in(hand, 5)

    with stopped_by_signals(hand.stop, insist, grace) as stopped:
        if leashed:
            follow_starter()
        ran = hand.work(limit=limit, wait=patience, watch=_Lines(campaign))
    typer.echo(f"{ran} {'experiment' if ran == 1 else 'experiments'} made")
    if stopped:
        raise typer.Exit(128 + stopped[0])


class _Lines:
    """A line for each experiment."""

    def __init__(self, campaign: Campaign):
        self._units = campaign.objective.units
        self._begun = 0.0

    def __call__(self, trial: Trial, result: Result | None) -> None:
        if result is None:
            self._begun = time.monotonic()
            return
        found = ", ".join(
            f"{name} {'≤ ' if v.bound == 'below' else '≥ ' if v.bound == 'above' else ''}{v.value:.5g} {self._units.get(name, '')}".rstrip()
            for name, v in result.values.items()
        )
        seconds = time.monotonic() - self._begun
        said = found or f"{result.status}: {result.reason}"
        typer.echo(f"{trial.proposal_id}  {trial.candidate_id}: {said}  ({seconds:.3g} s)")


def _until_begun(definition: Any, store: str | None, patience: float) -> None:
    """Wait for the campaign to begin, as for proposals; whoever opens it then says that it has not."""
    end = time.monotonic() + patience
    if not definition.begun(store) and patience:
        typer.echo(f"waiting for campaign {definition.name!r} to begin")
    while not definition.begun(store) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


def _several(
    file: Path, jobs: int, patience: float, limit: int | None, worker: str, grace: float, store: str | None
) -> int:
    from discover.cli.jobs import Jobs
    from discover.cli.stopping import stopped_by_signals
    from discover.definition import load

    load(file)  # what is wrong with it is said once
    shares = [None] * jobs if limit is None else [limit // jobs + (place < limit % jobs) for place in range(jobs)]
    commands = []
    for place, share in enumerate(shares, start=1):
        if share == 0:
            continue
        line = [sys.executable, "-m", "discover.cli", "work", str(file), "--leashed", "--grace", str(grace)]
        line += ["--forever"] if patience == math.inf else ["--wait", str(patience)]
        line += [] if share is None else ["--limit", str(share)]
        commands.append(line + (["--worker", f"{worker}-{place}"] if worker else []))
    environment = dict(os.environ) | ({"DISCOVER_STORE": store} if store else {})
    all_ = Jobs(commands, environment, lambda line: typer.echo(line, err=True))
    with stopped_by_signals(all_.stop, all_.end, grace + 5) as stopped:
        code = all_.run()
    return 128 + stopped[0] if stopped else code
