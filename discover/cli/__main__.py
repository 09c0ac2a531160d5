"""`python -m discover.cli`."""

from discover.cli import app

app()
