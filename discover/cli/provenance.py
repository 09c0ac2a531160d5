"""`discover export, import, audit, …`: where everything comes from, and whether it is still what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discover.cli.app import AsJson, File, Store, command, open_campaign
from discover.cli.output import print_json
from discover.errors import InvalidInput, Problem

StoreOnly = Annotated[str | None, typer.Option("--store", envvar="DISCOVER_STORE", help="a store's URL")]
MaybeFile = Annotated[Path | None, typer.Argument(help="a campaign file (YAML); without one, the whole --store")]


@command()
def export(
    file: File,
    out: Annotated[Path, typer.Option(help=".zip: the whole campaign; .parquet or .csv: its observations")],
    store: Store = None,
) -> None:
    """Write a whole campaign into one archive, or its observations into a table.

    Example: discover export campaign.yaml --out campaign.zip
    """
    from discover.provenance.archive import export_campaign
    from discover.report.exporting import export_observations

    campaign = open_campaign(file, store)
    if out.suffix == ".zip":
        manifest = export_campaign(campaign, out)
        typer.echo(
            f"{manifest['events']} events and {len(manifest['snapshots'])} snapshot{'' if len(manifest['snapshots']) == 1 else 's'} written to {out}"
        )
        return
    count = export_observations(campaign, out)
    typer.echo(f"{count} observations written to {out}")


@command("import")
def import_(
    archive: Annotated[Path, typer.Argument(help="what 'discover export' wrote")],
    store: StoreOnly = None,
    name: Annotated[str | None, typer.Option(help="another name for it in the store")] = None,
) -> None:
    """Write the campaign of an archive into a store; everything is verified before anything is written.

    Example: discover import campaign.zip --store sqlite:///campaigns.db
    """
    from discover.provenance.importing import import_campaign

    campaign = import_campaign(archive, _needed(store), name)
    typer.echo(f"campaign {campaign.name!r}, {campaign.ledger.seq} events, is in {campaign.store}")


@command()
def audit(
    file: MaybeFile = None,
    store: StoreOnly = None,
    against: Annotated[
        Path | None, typer.Option(help="an archive kept elsewhere; the store must begin with its events")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Fold a store anew, check every hash, and say what is wrong; exit code 1 if there is an error.

    Example: discover audit campaign.yaml
    """
    from discover.definition import load
    from discover.provenance.audit import audit as examine

    definition = load(file) if file is not None else None
    place = definition.store if definition is not None and store is None else _needed(store)
    found = examine(place, against=against, expected=definition.name if definition else None)
    if json_:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if not found.clean:
        raise typer.Exit(1)


def _needed(store: str | None) -> str:
    if store is None:
        raise InvalidInput("--store", [Problem("names no store", way_out="write --store sqlite:///campaigns.db")])
    return store


@command()
def trace(
    file: File,
    id: Annotated[str, typer.Argument(metavar="PROPOSAL|CANDIDATE", help="the id of a proposal, or of a candidate")],
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Where a result comes from: submissions, choice, model, data, features, candidate, snapshot; who, where, when.

    Example: discover trace campaign.yaml 3f9a1c-0007
    """
    from discover.provenance.trace import trace as follow

    found = follow(open_campaign(file, store), id)
    if json_:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))


@command()
def replay(
    file: File,
    iteration: Annotated[str, typer.Argument(help="its number, or its key")],
    store: Store = None,
    json_: AsJson = False,
) -> None:
    """Choose an iteration once more from its recorded events and compare bit for bit; exit code 1 if anything differs.

    Example: discover replay campaign.yaml 3
    """
    from discover.provenance.replay import replay as again

    found = again(open_campaign(file, store), iteration)
    if json_:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if found.differences:
        raise typer.Exit(1)


@command()
def backup(
    out: Annotated[Path, typer.Option(help="a new folder, or a new .zip")],
    file: MaybeFile = None,
    store: StoreOnly = None,
) -> None:
    """Copy a whole store while others write into it, and audit the copy; exit code 1 if there is an error in it.

    Example: discover backup campaign.yaml --out backups/monday
    """
    from discover.definition import load
    from discover.provenance.backup import backup as copy

    found = copy(load(file).store if file is not None and store is None else _needed(store), out)
    typer.echo(str(found))
    if not found.audit.clean:
        raise typer.Exit(1)


@command()
def restore(
    backup: Annotated[Path, typer.Argument(help="what 'discover backup' wrote")],
    store: StoreOnly = None,
) -> None:
    """Bring every campaign of a backup into a store, of either engine; everything is verified first.

    Example: discover restore backups/monday --store sqlite:///campaigns.db
    """
    from discover.provenance.backup import restore as bring_back

    for name in bring_back(backup, _needed(store)):
        typer.echo(f"campaign {name!r} is back")


@command()
def fork(
    old: Annotated[Path, typer.Argument(help="the file of a campaign that has begun")],
    new: Annotated[Path, typer.Argument(help="the file of a campaign that begins with what that one knows")],
    store: Annotated[
        str | None,
        typer.Option("--store", envvar="DISCOVER_STORE", help="a store's URL for both; default: each file's"),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Begin a campaign with another objective, candidates or policy, and carry over what an earlier one found out.

    Example: discover fork campaign.yaml campaign-2.yaml
    """
    from discover.definition import load
    from discover.definition.checks import check
    from discover.provenance.fork import carry

    earlier = open_campaign(old, store)
    definition = load(new)
    if not definition.begun(store):
        check(definition)
    found = carry(earlier, open_campaign(new, store, create=True, changes="refuse"))
    if json_:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
