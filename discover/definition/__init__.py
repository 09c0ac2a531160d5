"""Campaign files: YAML to a campaign, with one schema and one error report."""

from discover.definition.definition import Definition, load

__all__ = ["Definition", "load"]
