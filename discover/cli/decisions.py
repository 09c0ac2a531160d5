"""What a person decides about candidates, proposals and results."""

from __future__ import annotations

from typing import Annotated

import typer

from discover.cli.app import AsJson, File, Store, command, open_campaign
from discover.cli.output import print_table
from discover.errors import InvalidInput, Problem

Ids = Annotated[list[str] | None, typer.Argument(help="ids of proposals")]
Candidates = Annotated[list[str], typer.Argument(help="ids of candidates")]
Reason = Annotated[str, typer.Option("--reason", help="why; it is kept in the log")]


@command()
def approve(
    file: File,
    proposals: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="all that wait")] = False,
    note: Annotated[str, typer.Option(help="a remark that is kept in the log")] = "",
    store: Store = None,
) -> None:
    """Let proposals pass that wait for a person (policy: require_approval).

    Example: discover approve campaign.yaml 3fa1c2-0001 3fa1c2-0002
    """
    campaign = open_campaign(file, store)
    if every == bool(proposals):
        raise InvalidInput("approve", [Problem("name the proposals, or say --all")])
    waiting = [t.proposal_id for t in campaign.ledger.pending() if t.state.value == "proposed" and t.awaits_approval]
    if every and not waiting:
        typer.echo("no proposal waits for approval")
        return
    campaign.approve(waiting if every else proposals or [], note=note)
    typer.echo(f"{len(waiting if every else proposals or [])} approved")


@command()
def withdraw(file: File, proposals: Ids, reason: Reason, store: Store = None) -> None:
    """Take proposals back: their candidates may be proposed again; a late result is still accepted.

    Example: discover withdraw campaign.yaml 3fa1c2-0003 --reason "the reagent is out of stock"
    """
    open_campaign(file, store).withdraw(proposals or [], reason=reason)
    typer.echo(f"{len(proposals or [])} withdrawn")


@command()
def retract(
    file: File,
    ids: Annotated[list[str], typer.Argument(help="ids of proposals, or of candidates told without one")],
    reason: Reason,
    target: Annotated[str | None, typer.Option(help="only results of this target")] = None,
    replicate: Annotated[int | None, typer.Option(help="only this replicate")] = None,
    store: Store = None,
) -> None:
    """Take results back with no new value; a wrong value is replaced with `tell --correct`.

    Example: discover retract campaign.yaml 3fa1c2-0004 --reason "the sample was contaminated"
    """
    open_campaign(file, store).retract(ids, reason=reason, target=target, replicate=replicate)
    typer.echo(f"results of {', '.join(ids)} retracted")


@command()
def propose(file: File, candidates: Candidates, reason: Reason, store: Store = None, json_: AsJson = False) -> None:
    """Propose candidates yourself, with the same books as the policy's; a measured one becomes a replicate.

    Example: discover propose campaign.yaml mp-149 --reason "the reference of the group"
    """
    batch = open_campaign(file, store, create=True, changes="refuse").propose(candidates, reason=reason)
    print_table(batch, json_)


@command()
def exclude(file: File, candidates: Candidates, reason: Reason, store: Store = None) -> None:
    """Never propose or run these candidates until they are readmitted; what was measured is kept.

    Example: discover exclude campaign.yaml mp-4 mp-5 --reason "toxic"
    """
    open_campaign(file, store).exclude(candidates, reason=reason)
    typer.echo(f"{len(candidates)} excluded")


@command()
def readmit(
    file: File, candidates: Candidates, reason: Annotated[str, typer.Option("--reason")] = "", store: Store = None
) -> None:
    """Undo `exclude`.

    Example: discover readmit campaign.yaml mp-4
    """
    open_campaign(file, store).readmit(candidates, reason=reason)
    typer.echo(f"{len(candidates)} readmitted")


@command()
def note(file: File, text: Annotated[str, typer.Argument(help="a remark")], store: Store = None) -> None:
    """Write a remark into the campaign's log.

    Example: discover note campaign.yaml "new batch of catalyst from here on"
    """
    open_campaign(file, store).note(text)
    typer.echo("noted")
