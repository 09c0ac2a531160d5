"""Pull a campaign's candidates into a snapshot, complete or with a loud error."""

from __future__ import annotations

from flows import environment

environment.prepare()

from prefect import flow, task  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402

from discover.definition import load  # noqa: E402
from discover.report.console import progress  # noqa: E402
from discover.store.database import files_of  # noqa: E402
from flows.steps import _unavailable, announce  # noqa: E402


@task(
    name="pull",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[60, 300],
    retry_jitter_factor=0.5,
    retry_condition_fn=_unavailable,
)
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
