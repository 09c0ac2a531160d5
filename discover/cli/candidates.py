"""`discover refresh`: the candidates of a campaign as their source has them now."""

from __future__ import annotations

from dataclasses import asdict

import typer

from discover.cli.app import AsJson, File, Store, command
from discover.cli.output import notices, print_json, progress


@command()
def refresh(file: File, store: Store = None, json_: AsJson = False) -> None:
    """Pull the candidates anew, and let the campaign take over what is new, changed, withdrawn or back.

    What was measured is kept. A scheduled iteration does the same, unless the file says 'refresh: never'.
    Example: discover refresh campaigns/materials-project.yaml
    """
    from discover.definition import load

    definition = load(file)
    with notices(), progress("candidates") as show:
        campaign = definition.open(store, create=False, changes="note")
        change = definition.refresh(campaign, progress=show)
    if json_:
        print_json({"changed": bool(change), "snapshot": campaign.ledger.pool["snapshot"], **asdict(change)})
    else:
        typer.echo(repr(change) if change else "the candidates are as they were")
