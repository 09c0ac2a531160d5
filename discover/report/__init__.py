"""Plots, tables, one-file HTML.

`report(campaign, path)` writes the page; `best_so_far`, `parity` and `calibration` are its pictures, for a notebook.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discover.report.answers import read_answers as read_answers
    from discover.report.page import report as report
    from discover.report.plots import best_so_far as best_so_far
    from discover.report.plots import calibration as calibration
    from discover.report.plots import parity as parity

_HOMES = {
    "best_so_far": "plots",
    "calibration": "plots",
    "parity": "plots",
    "read_answers": "answers",
    "report": "page",
}

__all__ = ["best_so_far", "calibration", "parity", "read_answers", "report"]


def __getattr__(name: str) -> Any:
    """Found when first used: a table in a terminal needs no matplotlib."""
    if name not in _HOMES:
        raise AttributeError(f"module 'discover.report' has no attribute {name!r}")
    return getattr(import_module(f"discover.report.{_HOMES[name]}"), name)
