"""`discover …`: campaigns from the command line. Each module registers its commands with `app`."""

from discover.cli import commands as commands
from discover.cli.app import app

__all__ = ["app"]
