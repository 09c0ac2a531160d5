"""Settings that Prefect reads when it is imported; what the user has set stays."""

from __future__ import annotations

import os

from discover import threads

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # a terminal shows the campaign's own lines
    "PREFECT_CLI_PROMPT": "false",
}
LOCAL_SERVER = "http://127.0.0.1:4200/api"
"""Where `discover server` answers unless it is told otherwise."""


def prepare(**more: str) -> None:
    """Call before Prefect and torch are imported. more: further settings, or others in place of ours."""
    for name, value in (SETTINGS | more).items():
        os.environ.setdefault(name, value)
    threads.fix()


def user_server() -> str:
    """The API address of the user's server: PREFECT_API_URL, or this machine's. It is set for Prefect as well."""
    return os.environ.setdefault("PREFECT_API_URL", LOCAL_SERVER)


def outlive_the_worker() -> None:
    """A scheduled run whose worker was killed has nobody to print to: it goes on all the same.

    Prefect prints its log with rich, which answers a closed pipe by ending the process, unless this hook of it says otherwise.
    """
    from rich.console import Console

    def fall_silent(console: Console) -> None:
        console.quiet = True

    Console.on_broken_pipe = fall_silent  # type: ignore[assignment, method-assign]
