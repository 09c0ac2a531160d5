"""Plots, tables, one-file HTML.

`report(campaign, path)` writes the page; `best_so_far`, `parity`, `calibration`, and for several targets
`pareto` and `hypervolume_so_far` are its pictures, for a notebook.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discover.report.answers import read_answers as read_answers
    from discover.report.front import hypervolume_so_far as hypervolume_so_far
    from discover.report.front import pareto as pareto
    from discover.report.page import report as report
    from discover.report.plots import best_so_far as best_so_far
    from discover.report.plots import calibration as calibration
    from discover.report.plots import parity as parity

_HOMES = {
    "best_so_far": "plots",
    "calibration": "plots",
    "hypervolume_so_far": "front",
    "pareto": "front",
    "parity": "plots",
    "read_answers": "answers",
    "report": "page",
}

__all__ = ["best_so_far", "calibration", "hypervolume_so_far", "pareto", "parity", "read_answers", "report"]


def __getattr__(name: str) -> Any:
    """Found when first used: a table in a terminal needs no matplotlib."""
    if name not in _HOMES:
        raise AttributeError(f"module 'discover.report' has no attribute {name!r}")
    return getattr(import_module(f"discover.report.{_HOMES[name]}"), name)
