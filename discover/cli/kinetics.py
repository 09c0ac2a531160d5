"""`discover reduce`: concentrations over time to rate constants that can be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from discover.cli.app import AsJson, command
from discover.cli.output import check_new_file, print_table, write_csv
from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import pandas as pd


@command()
def reduce(
    runs: Annotated[Path, typer.Argument(help="a CSV or .xlsx, a row a sample: run, time, concentration")],
    by: Annotated[str, typer.Option(help="the column that says which run a sample is of")] = "proposal_id",
    time: Annotated[str, typer.Option(help="the column of times")] = "time",
    concentration: Annotated[
        str, typer.Option(help="the column of concentrations of what is used up")
    ] = "concentration",
    target: Annotated[str, typer.Option(help="what the rate constant is called in the campaign")] = "rate_constant",
    order: Annotated[
        int | None, typer.Option(min=0, max=2, help="the reaction's order; default: the likeliest over all runs")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the rate constants to a CSV for tell")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file of --out")] = False,
    json_: AsJson = False,
) -> None:
    """Reduce kinetic runs to rate constants with their standard deviations, a row a run, ready to be told.

    Example: discover reduce runs.csv --by proposal_id --out rates.csv
    """
    from discover.cli.plates import frame_of, read_results
    from discover.experiment.kinetics import Order, rates

    if out is not None:
        check_new_file(out, force=force)
    frame = frame_of(read_results(runs), names=[by], numbers=[time, concentration])
    absent = [Problem("no such column", column=c) for c in (by, time, concentration) if c not in frame.columns]
    if absent:
        raise InvalidInput(str(runs), absent)
    nameless = [Problem("the sample is of no run", row=row, column=by) for row in frame.index[frame[by].isna()]]
    if nameless:
        raise InvalidInput(str(runs), nameless[:20])
    for name in (time, concentration):
        frame[name] = _numbers(frame[name], str(runs))
    told = rates(frame, by=by, time=time, concentration=concentration, target=target, order=cast("Order | None", order))
    orders = ", ".join(str(one) for one in sorted(set(told["order"])))
    told = told.drop(columns="order")
    if out is None:
        print_table(told, json_)
        return
    write_csv(told, out)
    typer.echo(
        f"{len(told)} rate constants of order {orders} written to {out}; then: discover tell campaign.yaml {out}"
    )


def _numbers(cells: pd.Series, what: str) -> pd.Series:
    """Cells as numbers. InvalidInput names every one that is none, with its line."""
    import pandas as pd

    found = pd.to_numeric(cells, errors="coerce")
    bad = cells.index[found.isna()]
    if len(bad):
        told = [Problem("is no number", row=row, column=str(cells.name), value=cells[row]) for row in bad[:20]]
        raise InvalidInput(what, told)
    return found.astype(float)
