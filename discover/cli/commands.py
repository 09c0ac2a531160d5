"""`discover …`: campaigns from the command line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from discover import threads
from discover.cli import plates
from discover.cli.app import Accept, AsJson, Dask, File, Store, app, command, open_campaign, runner
from discover.cli.fixing import as_candidates_have, read_fixed
from discover.cli.output import (
    notices,
    print_json,
    print_table,
    problem_json,
    progress,
)
from discover.errors import CampaignNotFound, DiscoverError, InvalidInput
from discover.version import VERSION


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    """Let a machine choose the next calculation or experiment, learn from the result, and choose again."""
    if version:
        typer.echo(f"discover {VERSION}")
        raise typer.Exit
    try:
        threads.fix()  # before a command imports numpy or torch
    except InvalidInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@command()
def validate(file: File, json_: AsJson = False) -> None:
    """Check a campaign file; every problem at once, with its line.

    Example: discover validate campaigns/stiff-materials.yaml
    """
    from discover.definition import load
    from discover.definition.checks import check

    try:
        definition = load(file)
        check(definition)
    except InvalidInput as error:
        if json_:
            print_json({"valid": False, "problems": [problem_json(p) for p in error.problems]})
            raise typer.Exit(1) from error
        raise
    if json_:
        print_json({"valid": True, "campaign": definition.name, "settings": definition.settings})
    else:
        typer.echo(f"{file}: a valid campaign, {definition.name!r}: {definition.objective!r}")


@command()
def run(
    file: File,
    iterations: Annotated[int | None, typer.Option(min=1, help="stop after so many iterations")] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="stop at so many experiments, in place of the file's budget")
    ] = None,
    store: Store = None,
    accept_changes: Accept = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="begin anew; the old store is renamed, not deleted")] = False,
    dask: Dask = None,
) -> None:
    """Run a campaign until it stops; a campaign that was cut off goes on where it was.

    Example: discover run campaigns/stiff-materials.yaml --iterations 3
    """
    from discover.definition import load
    from discover.definition.checks import check

    definition = load(file)
    if fresh or not definition.begun(store):
        check(definition)  # before anything is begun; a begun campaign has its candidates in the store
    if fresh:
        _set_aside(store or definition.store, definition.name)
    runner("run")(
        file, store=store, iterations=iterations, budget=budget, accept_changes=accept_changes, dask=dask,
        say=typer.echo,
    )  # fmt: skip


@command()
def pull(
    file: File,
    refresh: Annotated[bool, typer.Option(help="pull again, and print the difference to the newest snapshot")] = False,
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Pull a campaign's candidates into a snapshot.

    Example: discover pull campaigns/materials-project.yaml --refresh
    """
    from discover.candidates.snapshots.difference import difference
    from discover.definition import load
    from discover.store.database.places import files_of

    definition = load(file)
    files = files_of(store or definition.store)
    with notices(), progress("candidates") as show:
        before = definition.newest(files) if refresh else None
        snapshot = definition.pull(files, refresh=refresh, progress=show)
    change = difference(before, snapshot) if before else None
    if json_:
        print_json({"hash": snapshot.hash, "rows": len(snapshot), "provenance": dict(snapshot.manifest),
                     "difference": asdict(change) if change else None})  # fmt: skip
        return
    typer.echo(f"{len(snapshot):,} candidates, snapshot {snapshot.hash[:12]}")
    if change is not None:
        typer.echo(repr(change))


@command()
def ask(
    file: File,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="how many; default: 1, or as many as the plate has wells")
    ] = None,
    key: Annotated[str | None, typer.Option(help="the same key gives the same batch again")] = None,
    fix: Annotated[list[str] | None, typer.Option(help="a value that all of the batch have, such as base=KOH")] = None,
    out: Annotated[
        Path | None, typer.Option(help="write the batch to a CSV to be filled in; a plate's may be an .xlsx")
    ] = None,
    plate: Annotated[int | None, typer.Option(help="lay the batch out on a plate of 24, 96 or 384 wells")] = None,
    picture: Annotated[Path | None, typer.Option(help="the plate as a picture: .png, .svg or .pdf")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file of --out")] = False,
    store: Store = None,
    accept_changes: Accept = False,
    json_: AsJson = False,
) -> None:
    """Propose the next candidates and commit them; the campaign begins if there is none yet.

    Example: discover ask campaign.yaml -n 8 --out batch.csv
    A plate: discover ask campaign.yaml --plate 96 --out plate.xlsx --picture plate.pdf
    """
    n = plates.check_wishes(n, plate, out, picture, force=force)  # before anything is committed
    fixed = read_fixed(fix or [])
    campaign = open_campaign(file, store, create=True, changes="accept" if accept_changes else "refuse")
    plates.check_columns(campaign, plate)
    with notices():
        batch = campaign.ask(n, key=key, fixed=as_candidates_have(fixed, campaign.pool))
    if campaign.pool.structure:
        batch = batch.drop(columns=campaign.pool.structure)
    if out is None and picture is None:
        print_table(batch, json_)
        return
    targets = campaign.objective.names
    try:
        plates.write_batch(campaign, batch, out, plate, picture)
    except InvalidInput as error:
        print_table(batch, json_)
        told = "; ".join(str(problem) for problem in error.problems)
        raise DiscoverError(f"{told}\nthe batch is committed all the same and is printed above: keep it") from error
    if picture is not None:
        typer.echo(f"the plate is drawn in {picture}", err=json_)
    if out is not None:
        many = "1 proposal" if len(batch) == 1 else f"{len(batch)} proposals"
        then = f"discover tell {quote(str(file))} {quote(str(out))}"
        told = f"{many} written to {out}; fill in {', '.join(targets)} and: {then}"
        typer.echo(told, err=json_)
    if json_ or out is None:
        print_table(batch, json_)


@command()
def tell(
    file: File,
    results: Annotated[Path, typer.Argument(help="a CSV or .xlsx with proposal_id or the id, and the results")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what each row would become, and change nothing")
    ] = False,
    correct: Annotated[
        str | None, typer.Option(metavar="REASON", help="replace earlier values, for this reason")
    ] = None,
    extra: Annotated[list[str] | None, typer.Option(help="a further column to keep; may be repeated")] = None,
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Add results: all rows or, where anything is wrong, none.

    A CSV has commas between its cells and decimal points, or semicolons and then decimal commas or points.

    Example: discover tell campaign.yaml batch.csv --dry-run
    """
    sheet = plates.read_results(results)
    campaign = open_campaign(file, store, create=not dry_run, changes="note")
    frame = plates.in_units(sheet, campaign)
    kept = plates.kept_columns(frame, campaign, extra or ())
    if correct is not None:
        became = campaign.correct(frame, reason=correct, extra=kept, dry_run=dry_run)
    else:
        became = campaign.tell(frame, extra=kept, dry_run=dry_run)
    print_table(plates.with_wells(became, frame), json_)


@command()
def status(file: File, store: Store = None, json_: AsJson = False) -> None:
    """Where a campaign stands.

    Example: discover status campaigns/stiff-materials.yaml
    """
    found = open_campaign(file, store).status()
    if json_:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))


@command()
def best(
    file: File, n: Annotated[int, typer.Option("-n", min=1)] = 10, store: Store = None, json_: AsJson = False
) -> None:
    """The best candidates so far.

    Example: discover best campaigns/stiff-materials.yaml -n 5
    """
    print_table(open_campaign(file, store).best(n), json_)


@command()
def report(
    file: File,
    out: Annotated[Path | None, typer.Option(help="default: report.html in the store's files")] = None,
    pictures: Annotated[Path | None, typer.Option(help="also write the pictures as PNG into this folder")] = None,
    store: Store = None,
) -> None:
    """Write a one-file HTML report.

    Example: discover report campaigns/stiff-materials.yaml --out report.html
    """
    from discover.definition import load
    from discover.report import report as write
    from discover.report.exporting import write_pictures
    from discover.report.writing import make_folder

    definition = load(file)
    campaign = open_campaign(file, store)
    if pictures is not None:
        make_folder(pictures, "pictures")
    where = out or campaign.files / "report.html"
    experiment = definition.runner(campaign.files)
    typer.echo(write(campaign, where, definition.answers, experiment=experiment))
    if pictures is not None:
        for path in write_pictures(campaign, pictures, definition.answers, experiment):
            typer.echo(path)


@command("list")
def list_(store: Store = None, json_: AsJson = False) -> None:
    """The campaigns of a store; without --store those of every store in this folder and below its campaigns/.

    Example: discover list --store sqlite:///campaigns.db
    """
    import pandas as pd

    from discover.campaign import Campaign
    from discover.store.database.database import exists
    from discover.store.database.places import shown

    if store and not exists(store):
        raise CampaignNotFound(f"there is no store {shown(store)}")
    places = [
        Path("campaigns.db"),
        *sorted(Path().glob(".discover/*.db")),
        *sorted(Path("campaigns").glob(".discover/*.db")),
    ]
    stores = [store] if store else [f"sqlite:///{path}" for path in places if path.is_file()]
    frames = [Campaign.list(url).assign(store=shown(url)) for url in stores]
    print_table(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), json_)


@command()
def schema() -> None:
    """The JSON Schema of campaign files, for editors.

    Example: discover schema > campaign.schema.json
    """
    from discover.definition.schema import schema as body

    print_json(body())


@command()
def backtest(
    file: File,
    policies: Annotated[str, typer.Option(help="kinds, separated by commas")] = "bayesian,random",
    seeds: Annotated[int, typer.Option(min=1, help="how many paired seeds")] = 20,
    budget: Annotated[int | None, typer.Option(min=1, help="experiments a campaign; default: the file's")] = None,
    out: Annotated[Path | None, typer.Option(help="write the whole study as JSON")] = None,
    processes: Annotated[int, typer.Option(min=1, help="worker processes; the result does not depend on them")] = 1,
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Run a campaign whose experiment is a table many times, and compare policies with exact random.

    Example: discover backtest campaigns/refractive-index.yaml --policies bayesian,random --seeds 20
    """
    from discover.backtest.study import named_policies, run_study
    from discover.campaign.terms import Terms
    from discover.candidates.pool.pool import CandidatePool
    from discover.definition import load
    from discover.errors import Unsupported
    from discover.report.writing import check_place
    from discover.store.database.places import files_of

    definition = load(file)
    if out is not None:
        check_place(out, "study")
    files = files_of(store or definition.store)
    experiment = definition.runner(files)
    if experiment is None or (definition.experiment_settings or {}).get("kind") != "table":
        raise Unsupported("a backtest needs every answer: a campaign whose experiment is of kind 'table'")
    try:
        chosen = named_policies([name.strip() for name in policies.split(",") if name.strip()], definition.policy)
    except InvalidInput as error:
        raise typer.BadParameter("; ".join(map(str, error.problems)), param_hint="--policies") from error
    with progress("candidates") as show:
        pool = definition.pool(definition.pull(files, progress=show))
    if not isinstance(pool, CandidatePool):
        raise Unsupported("a backtest needs every answer, which nobody has of a search space: list the candidates")
    limit = budget or int(definition.budget.get("experiments", 60))
    if left_out := dict.fromkeys(option for option, _ in Terms.of(definition.policy).columns):
        typer.echo(f"note: a backtest counts experiments, and holds to none of: {', '.join(left_out)}", err=True)
    with progress("campaigns") as show:
        study = run_study(
            pool, definition.objective, experiment, policies=chosen, seeds=range(seeds),
            budget=limit, batch=int(definition.policy.get("batch", 5)), cache=files / "features", name=definition.name,
            processes=processes, progress=show,
        )  # fmt: skip
    if out is not None:
        study.save(out)
    print_json(study.to_dict()) if json_ else typer.echo(repr(study))


def _set_aside(url: str, name: str) -> None:
    from discover.store.database.database import exists
    from discover.store.database.places import refuse_server, set_aside, shown
    from discover.store.leases.heartbeat import held
    from discover.store.log.log import EventLog, utc_now

    refuse_server(url)
    if not exists(url):
        return
    log = EventLog(url)
    others = [other for other in log.names() if other != name]
    if others:
        raise DiscoverError(
            f"{shown(url)} also holds {', '.join(others)}; --fresh would set them aside too: use another --store"
        )
    if log.names():
        with held(log, name, "run"):
            pass  # nobody is running it
    log.database.close()
    typer.echo(f"the earlier campaign was set aside as {set_aside(url, utc_now().strftime('%Y%m%dT%H%M%S'))}")
