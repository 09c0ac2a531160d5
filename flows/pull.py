"""Pull a campaign's candidates into a snapshot, complete or with a loud error."""

from __future__ import annotations

from flows import environment

environment.prepare()

from prefect import flow, task  # noqa: E402

from discover.definition import load  # noqa: E402
from discover.report.console import progress  # noqa: E402
from discover.store.database.places import files_of  # noqa: E402
from flows.steps import PATIENT, announce  # noqa: E402


@task(name="pull", **PATIENT)
def pull_snapshot(file: str, store: str | None, refresh: bool) -> str:
    """The hash of the snapshot."""
    definition = load(file)
    with progress("candidates") as show:
        return definition.pull(files_of(store or definition.store), refresh=refresh, progress=show).hash


@flow(name="pull", flow_run_name="pull {file}", persist_result=False)
def pull(file: str, store: str | None = None, refresh: bool = False) -> str:
    """Pull a campaign file's candidates. Returns the snapshot's hash."""
    found = pull_snapshot(file, store, refresh)
    announce(f"snapshot {found[:12]}")
    return found
