"""The search of a pool that is too large for one machine, as tasks on the Dask cluster that $DISCOVER_DASK names.

A task is a range of rows; what it needs besides is the table of features, which every machine reads from the file that the
campaign keeps, or is sent its rows where that file cannot be found. Which candidates are chosen does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from discover.acquisition.shards import Shard, Spread, Swept
from discover.errors import DiscoverError
from flows.spread import SECONDS, VARIABLE, NoCluster


def spread_over(where: str | None) -> Spread | None:
    """What runs shards on a cluster; None without an address."""
    if where is None:
        return None

    def run(shards: Sequence[Shard]) -> Iterator[Swept]:
        try:
            from distributed import Client

            with Client(where, timeout=SECONDS, set_as_default=False) as client:
                if not client.nthreads():
                    raise NoCluster(f"the Dask scheduler at {where} has no workers; start some: dask worker {where}")
                for future in client.map(Shard.run_alone, list(shards), pure=False, batch_size=len(shards)):
                    yield future.result()
        except DiscoverError:
            raise
        except (OSError, ImportError, ValueError) as error:
            raise NoCluster(f"the Dask cluster at {VARIABLE}={where} did not finish the search: {error}") from error

    return run
