"""`discover server`, `deploy`, `worker`, `notify`: campaigns on a schedule. The flows are found at the moment of use."""

from __future__ import annotations

from typing import Annotated

import typer

from discover.cli.app import Accept, Dask, File, Store, command, runner
from discover.errors import InvalidInput, Problem


@command()
def server(
    host: Annotated[
        str, typer.Option(help="0.0.0.0 for other machines; anyone who reaches it can start runs")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
) -> None:
    """Start a Prefect server for schedules, with telemetry off; Ctrl-C stops it.

    Example: discover server
    """
    runner("server")(host=host, port=port, say=typer.echo)


@command()
def deploy(
    file: File,
    cron: Annotated[str | None, typer.Option(help="minute hour day month weekday, such as '0 2 * * *'")] = None,
    interval: Annotated[str | None, typer.Option(help="a length of time, such as 3600, 30m, 6h, 1d")] = None,
    timezone: Annotated[str, typer.Option(help="of the cron line, such as Europe/Berlin")] = "UTC",
    name: Annotated[str | None, typer.Option(help="the deployment's name; default: the campaign's")] = None,
    paused: Annotated[
        bool, typer.Option("--paused", help="register it, but run nothing until it is deployed again")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="take it off its schedule; the store stays")] = False,
    store: Store = None,
    accept_changes: Accept = False,
    dask: Dask = None,
) -> None:
    """Run one iteration of a campaign on a schedule; deploying again replaces the schedule.

    Example: discover deploy campaigns/stiff-materials.yaml --cron "0 2 * * *" --timezone Europe/Berlin
    """
    if remove:
        if cron or interval or paused:
            raise InvalidInput(
                "deploy", [Problem("--remove goes with no schedule", way_out="leave --cron, --interval, --paused")]
            )
        runner("remove")(file, name=name, say=typer.echo)
        return
    runner("deploy")(
        file, cron=cron, interval=interval, timezone=timezone, store=store, name=name, paused=paused,
        accept_changes=accept_changes, dask=dask, say=typer.echo,
    )  # fmt: skip


@command()
def worker(
    limit: Annotated[
        int, typer.Option(min=1, help="how many runs at a time; one for each campaign that must not wait")
    ] = 2,
    grace: Annotated[
        float, typer.Option(min=0, help="seconds that runs under way get when the worker is stopped")
    ] = 60,
) -> None:
    """Run what is due, until Ctrl-C or SIGTERM; a second one ends the grace period.

    Example: discover worker --limit 4
    """
    runner("worker")(limit=limit, grace=grace, say=typer.echo)


@command()
def notify(
    url: Annotated[str | None, typer.Argument(help='a webhook; it is sent {"text": …} (Slack, Mattermost, …)')] = None,
    remove: Annotated[bool, typer.Option("--remove", help="tell nobody any more")] = False,
) -> None:
    """Tell a webhook of scheduled runs that failed or crashed.

    Example: discover notify https://hooks.example.org/services/T000/B000
    """
    if (url is None) != remove:
        raise InvalidInput("notify", [Problem("give either an address or --remove")])
    runner("notify")(url, say=typer.echo)
