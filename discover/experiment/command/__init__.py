"""External programs as experiments."""

from discover.experiment.command.command import Command

__all__ = ["Command"]
