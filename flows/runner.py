"""What `discover run` starts: the campaign flow, with a temporary Prefect server unless PREFECT_API_URL names one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from flows import environment, interrupts
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
    with interrupts.heard(), temporary_server():
        from flows.campaign import campaign
        from flows.spread import address, slots_of

        if address():
            say(f"experiments run on the Dask cluster at {address()}, {slots_of(address())} at a time")

        hidden = without_password(store)  # a flow's arguments are kept by the server
        return campaign(str(file), store=hidden, iterations=iterations, budget=budget, accept_changes=accept_changes)


def without_password(store: str | None) -> str | None:
    """A store's URL without its password, which goes into PGPASSWORD of this process instead: Prefect keeps what flows are given."""
    from sqlalchemy import make_url

    url = make_url(store) if store and "://" in store else None
    told = None if url is None else url.query.get("password", url.password)
    if url is None or told is None:
        return store
    os.environ["PGPASSWORD"] = told if isinstance(told, str) else told[-1]
    bare = url.difference_update_query(["password"])._replace(password=None)
    return bare.render_as_string(hide_password=False)
