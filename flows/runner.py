"""What `discover run` starts: the campaign flow, with a temporary Prefect server unless PREFECT_API_URL names one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from flows import environment
from flows.temporary_server import temporary_server


def run(
    file: Path,
    *,
    store: str | None = None,
    iterations: int | None = None,
    budget: int | None = None,
    accept_changes: bool = False,
    dask: str | None = None,
    say: Callable[[str], object] = print,
) -> str:
    """Run the campaign flow of a file; the report's path. dask: the address of a cluster for its experiments."""
    environment.prepare()
    if dask:
        os.environ["DISCOVER_DASK"] = dask  # the flow reads it when it is imported
    where = os.environ.get("PREFECT_API_URL")
    say(f"starting Prefect ({where})" if where else "starting Prefect with a temporary server, about 20 seconds")
    with temporary_server():
        from flows.campaign import campaign
        from flows.spread import address, slots_of

        if address():
            say(f"experiments run on the Dask cluster at {address()}, {slots_of(address())} at a time")

        return campaign(str(file), store=store, iterations=iterations, budget=budget, accept_changes=accept_changes)
