"""`discover …`: campaigns from the command line."""

from discover.cli.commands import app

__all__ = ["app"]
