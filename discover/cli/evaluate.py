"""`discover evaluate`: what each condition would have given, from choices that were made at random."""

from __future__ import annotations

from typing import Annotated

import typer

from discover.cli.app import AsJson, File, Store, command, open_campaign
from discover.cli.output import for_a_terminal, print_json
from discover.errors import InvalidInput, Problem, nearest


@command()
def evaluate(
    file: File,
    arms: Annotated[str, typer.Option(help="columns of the arms, by commas; default: those of the policy")] = "",
    scope: Annotated[str, typer.Option(help="columns of the scope, by commas; default: those of the policy")] = "",
    method: Annotated[str, typer.Option(help="replay, weighted, self-normalised or doubly-robust")] = "doubly-robust",
    least: Annotated[float, typer.Option(min=1, help="effective observations without which nothing is said")] = 10.0,
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Estimate what each arm would give if it were always chosen, or say why the campaign's log cannot tell.

    Only choices of known probability count: those of a bandit, of 'random', and the share 'explore'.

    Example: discover evaluate campaigns/general-ligand.yaml --arms ligand --scope substrate
    """
    from discover.backtest.logbook import evaluate_arms, log_of
    from discover.backtest.logged import METHODS

    chosen = next((one for one in METHODS if one == method), None)
    if chosen is None:
        problem = Problem("unknown method", column="method", value=method, way_out=nearest(method, METHODS))
        raise InvalidInput("evaluation", [problem])
    log = log_of(open_campaign(file, store), _listed(arms), _listed(scope))
    found = evaluate_arms(log, chosen, least=least)
    if json_:
        print_json({"choices": len(log), "usable": int(log.usable.sum()), "method": method, "arms": found})
        return
    typer.echo(f"{int(log.usable.sum())} of {len(log)} choices were made at random over all arms; {method}")
    for one in found:
        name = for_a_terminal(str(one["arm"]))
        if "refused" in one:
            typer.echo(f"  {name}: {for_a_terminal(str(one['refused']))}")
        else:
            told = f"{one['value']:.4g} ({one['low']:.4g} to {one['high']:.4g})"
            typer.echo(f"  {name}: {told}, from {one['effective']:.1f} effective observations")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
