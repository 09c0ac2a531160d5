"""Campaigns on known tables: paired seeds, the exact random line, metrics with bands."""

from discover.backtest.outcome import Run, Study
from discover.backtest.random_line import RandomLine, random_line
from discover.backtest.study import run_study

__all__ = ["RandomLine", "Run", "Study", "random_line", "run_study"]
