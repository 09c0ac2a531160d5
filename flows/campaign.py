"""A whole campaign: iterate until a stopping rule advises to stop, then write the report."""

from __future__ import annotations

from flows import environment

environment.prepare()

from prefect import flow  # noqa: E402

from discover.campaign.unattended.iterating import wait_for_vacancy  # noqa: E402
from discover.report import report  # noqa: E402
from discover.report.terminal import table_text  # noqa: E402
from flows import interrupts, spread, steps  # noqa: E402
from flows.iterate import once  # noqa: E402


@flow(name="campaign", flow_run_name="campaign {file}", persist_result=False, task_runner=spread.task_runner())
def campaign(
    file: str,
    store: str | None = None,
    iterations: int | None = None,
    budget: int | None = None,
    accept_changes: bool = False,
) -> str:
    """Run a campaign file to its end, or for some iterations. Returns the report's path.

    A run that was cut off is continued: what is committed is kept, what was in flight is repeated.
    """
    definition, opened, experiment = steps.open_campaign(file, store, accept_changes)
    where = spread.Spread(file, store)
    with opened.held():
        done = 0
        while (iterations is None or done < iterations) and once(opened, experiment, budget, where, wait=True):
            done += 1
            interrupts.check()
            if experiment is None:
                break  # someone else finds out: the next run collects what was told
            if opened.by_workers:
                wait_for_vacancy(opened, budget)
    if experiment is not None:
        steps.announce(experiment.describe().get("method", ""))
    steps.announce(table_text(steps.short(opened), way="discover best --json shows them"))
    path = str(report(opened, opened.files / "report.html", definition.answers, experiment=experiment))
    steps.announce(f"report: {path}")
    return path
