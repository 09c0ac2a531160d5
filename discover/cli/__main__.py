"""`python -m discover.cli`."""

from discover.cli.commands import app

app()
