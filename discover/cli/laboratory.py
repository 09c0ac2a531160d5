"""Experiments that somebody else makes: hand over, collect, and say what nobody else can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from discover.cli.app import File, Store, command, open_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from discover.campaign import Campaign
    from discover.protocols import OutsideExperiment


def _opened(file: Path, store: str | None) -> tuple[Campaign, OutsideExperiment]:
    from discover.campaign.experiments.collecting import outside
    from discover.definition import load

    definition = load(file)
    campaign = open_campaign(file, store)
    return campaign, outside(definition.runner(campaign.files))


@command()
def dispatch(
    file: File,
    n: Annotated[int | None, typer.Option("-n", min=1, help="at most so many")] = None,
    store: Store = None,
) -> None:
    """Hand over what is proposed, approved or to be retried: to a queue (kind command) or as a sheet (kind laboratory).

    Example: discover dispatch campaign.yaml
    """
    from discover.campaign.experiments.collecting import dispatch as hand_over
    from discover.campaign.experiments.collecting import under_way

    campaign, experiment = _opened(file, store)
    with campaign.held():
        count = hand_over(campaign, experiment, n)
    typer.echo(f"{count} handed over; {under_way(campaign)}")


@command()
def collect(file: File, store: Store = None) -> None:
    """Take in what has come back: results of jobs, and sheets in the inbox. Nothing new is proposed or handed over.

    Example: discover collect campaign.yaml
    """
    from discover.campaign.experiments.collecting import collect as bring_in
    from discover.campaign.experiments.collecting import under_way

    campaign, experiment = _opened(file, store)
    with campaign.held():
        found = bring_in(campaign, experiment, typer.echo)
    parts = [_count(found.results, "result")] if found.results or not found.sheets else []
    parts += [_count(len(found.sheets), "sheet")] if found.sheets else []
    typer.echo(f"{', '.join(parts)}; {under_way(campaign)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@command()
def settle(
    file: File,
    proposal: Annotated[str, typer.Argument(help="a proposal that is 'unknown, ask a person'")],
    submitted: Annotated[
        bool, typer.Option("--submitted/--not-submitted", help="whether the queue or the laboratory has it")
    ],
    reason: Annotated[str, typer.Option("--reason", help="how you know; it is kept in the log")],
    store: Store = None,
) -> None:
    """Say whether a proposal was handed over, where nobody else can say: then it is waited for, or handed over again.

    Example: discover settle campaign.yaml 3fa1c2-0004 --not-submitted --reason "squeue and sacct know no such job"
    """
    open_campaign(file, store).settle(proposal, submitted=submitted, reason=reason)
    typer.echo(f"{proposal}: {'waited for' if submitted else 'to be handed over again'}")
