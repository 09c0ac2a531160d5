"""People in a laboratory as an experiment: sheets go out, and come back filled in."""

from discover.experiment.laboratory.laboratory import Laboratory

__all__ = ["Laboratory"]
