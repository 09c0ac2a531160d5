"""`discover server`: a Prefect server for schedules, with telemetry off. It is Prefect's own, and replaces this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from flows import environment


def serve(*, host: str = "127.0.0.1", port: int = 4200, say: Callable[[str], object] = print) -> None:
    """Start it; does not return. PREFECT_API_DATABASE_CONNECTION_URL names a PostgreSQL in place of ~/.prefect/prefect.db."""
    environment.prepare(
        PREFECT_LOGGING_LEVEL="WARNING",
        PREFECT_SERVER_LOGGING_LEVEL="WARNING",
        PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="events,flow_runs",  # runs are kept for 90 days: the truth is the store
    )
    os.environ.pop("PREFECT_API_URL", None)  # a server is nobody's client
    say(
        f"starting Prefect's server; its page is http://{host}:{port}, its address PREFECT_API_URL=http://{host}:{port}/api"
    )
    sys.stdout.flush()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)
