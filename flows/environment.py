"""Settings that Prefect reads when it is imported; what the user has set stays."""

from __future__ import annotations

import os

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # a terminal shows the campaign's own lines
    "PREFECT_CLI_PROMPT": "false",
}


def prepare() -> None:
    """Call before Prefect is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
