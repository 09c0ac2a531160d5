"""Candidates from the Materials Project, by its own client."""

from discover.candidates.sources.materials_project.source import MaterialsProject

__all__ = ["MaterialsProject"]
