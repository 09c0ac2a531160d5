"""`discover …`: campaigns from the command line. Each module registers its commands with `app`."""

from discover.cli import commands as commands  # isort: skip  # first, for --help lists them in this order
from discover.cli import candidates as candidates
from discover.cli import decisions as decisions
from discover.cli import evaluate as evaluate
from discover.cli import kinetics as kinetics
from discover.cli import laboratory as laboratory
from discover.cli import provenance as provenance
from discover.cli import schedule as schedule
from discover.cli import starting as starting
from discover.cli import work as work
from discover.cli.app import app

__all__ = ["app"]
