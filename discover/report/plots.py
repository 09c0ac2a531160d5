"""The three pictures of a campaign: best so far, parity, calibration. Each works in a notebook and in the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from discover.backtest.answers import Answers
from discover.objective import Target
from discover.report.beliefs import LEVELS, Beliefs, beliefs, binomial_band
from discover.report.curves import Comparison, Path, compare, in_unit, path_of
from discover.report.figure import ROLES, Picture, picture, styled
from discover.report.words import percent


def best_so_far(campaign: Any, answers: Answers | None = None, *, target: str | None = None) -> Picture:
    """Every experiment and the best so far; with the answers of the whole pool also chance and the one-feature rule."""
    path = path_of(campaign, target)
    return draw_best_so_far(path, compare(campaign, path, answers) if answers is not None and len(path) else None)


def parity(campaign: Any, target: str | None = None) -> Picture:
    """Predicted before the experiment against found by it, with one standard deviation."""
    return draw_parity(beliefs(campaign, target))


def calibration(campaign: Any, target: str | None = None) -> Picture:
    """How often the found value lay inside the predicted interval, for intervals of every width."""
    return draw_calibration(beliefs(campaign, target))


def draw_best_so_far(path: Path, comparison: Comparison | None = None) -> Picture:
    """The picture of `best_so_far` from numbers already at hand."""
    target = path.target
    figure, axes = picture(5.6, 4.1, _best_words(path, comparison))
    x = np.arange(1, len(path) + 1)
    with styled():
        if path.start and path.start < len(path):
            axes.axvspan(0.5, path.start + 0.5, color=ROLES["chance"], alpha=0.10, lw=0)
            axes.text(0.5 + path.start / 2, 1.0, "start", color=ROLES["muted"], fontsize=8.5, ha="center", va="bottom",
                      transform=axes.get_xaxis_transform())  # fmt: skip
        if comparison is not None:
            _draw_comparison(axes, comparison, target)
        axes.plot(x, in_unit(target, path.utilities), "o", ms=3.6, mew=0, alpha=0.55,
                  color=ROLES["campaign"], label="each experiment")  # fmt: skip
        axes.step(x, in_unit(target, path.best), where="post", lw=2.2, color=ROLES["campaign"], label="best so far")
        failed = np.flatnonzero(np.isnan(path.utilities))
        if len(failed):
            axes.plot(failed + 1, np.full(len(failed), 0.025), "x", ms=4.5, mew=1.2, color=ROLES["bad"],
                      transform=axes.get_xaxis_transform(), clip_on=False, label="failed")  # fmt: skip
        axes.set_xlim(0.5, max(len(path), 2) + 0.5)
        axes.set_xlabel("experiments")
        axes.set_ylabel(_label(target))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        axes.margins(y=0.09)
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside lower center", ncols=2, handlelength=1.8)
    return figure


def _draw_comparison(axes: Axes, comparison: Comparison, target: Target) -> None:
    x = comparison.chance.experiments
    low, high = in_unit(target, comparison.chance.low), in_unit(target, comparison.chance.high)
    band = f"random choice, {percent(comparison.chance.level)}"
    axes.fill_between(x, low, high, step="post", color=ROLES["chance"], alpha=0.22, lw=0, label=band)
    axes.step(
        x,
        in_unit(target, comparison.chance.mean),
        where="post",
        lw=1.5,
        color=ROLES["chance"],
        label="random choice, mean",
    )
    axes.step(x, in_unit(target, comparison.baseline), where="post", lw=1.5, ls=(0, (4, 2)), color=ROLES["baseline"],
              label="best single feature")  # fmt: skip
    top = float(in_unit(target, np.array([comparison.scale.best]))[0])
    axes.axhline(top, lw=0.9, ls=":", color=ROLES["ink"])
    axes.annotate("best of all candidates", (1, top), (0, 3), textcoords="offset points", fontsize=8.5, va="bottom",
                  color=ROLES["muted"], xycoords=("axes fraction", "data"), ha="right")  # fmt: skip


def draw_parity(known: Beliefs) -> Picture:
    """The picture of `parity` from numbers already at hand."""
    numbers = known.numbers()
    figure, axes = picture(4.3, 3.9, _parity_words(known, numbers))
    unit = f" [{known.unit}]" if known.unit else ""
    axes.set_xlabel(f"predicted before{unit}")
    axes.set_ylabel(f"found{unit}")
    if not len(known):
        return _empty(figure, axes, "no prediction has been tested yet")
    with styled():
        ends = [
            min((known.mean - known.std).min(), known.found.min()),
            max((known.mean + known.std).max(), known.found.max()),
        ]
        margin = 0.06 * (ends[1] - ends[0] or 1.0)
        ends = [ends[0] - margin, ends[1] + margin]
        axes.plot(ends, ends, lw=1, color=ROLES["muted"])
        axes.errorbar(
            known.mean, known.found, xerr=known.std, fmt="none", ecolor=ROLES["campaign"], elinewidth=0.9, alpha=0.35
        )
        axes.plot(known.mean, known.found, "o", ms=4.5, mew=0, alpha=0.85, color=ROLES["campaign"])
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_aspect("equal")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return figure


def draw_calibration(known: Beliefs) -> Picture:
    """The picture of `calibration` from numbers already at hand."""
    figure, axes = picture(4.3, 3.9, _calibration_words(known))
    axes.set_xlabel("stated probability of the interval")
    axes.set_ylabel("share of found values inside")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    if not len(known):
        return _empty(figure, axes, "no prediction has been tested yet")
    with styled():
        levels = np.linspace(0.02, 0.98, 49)
        low, high = binomial_band(levels, len(known))
        axes.fill_between(
            levels, low, high, color=ROLES["chance"], alpha=0.2, lw=0, label=f"well calibrated (n = {len(known)})"
        )
        axes.plot([0, 1], [0, 1], lw=1, color=ROLES["muted"])
        axes.plot(LEVELS, known.coverage(), "o-", ms=4.5, lw=1.5, color=ROLES["campaign"], label="this campaign")
        axes.set_aspect("equal")
        figure.legend(loc="outside lower center", ncols=2, handlelength=1.8)
    return figure


def _empty(figure: Picture, axes: Axes, words: str) -> Picture:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color=ROLES["muted"])
    return figure


def _label(target: Target) -> str:
    name = target.name.replace("_", " ")
    if target.direction == "match":
        goal = f"{target.value:g}" if target.value is not None else "the band"
        name = f"{name}: distance from {goal}"
    return f"{name} [{target.unit}]" if target.unit else name


def _best_words(path: Path, comparison: Comparison | None) -> str:
    name = path.target.name.replace("_", " ")
    known = path.best[np.isfinite(path.best)]
    if not len(known):
        return f"Best {name} so far over {len(path)} experiments: none has given a value yet."
    ends = in_unit(path.target, known[[0, -1]])
    words = f"Best {name} so far over {len(path)} experiments, from {ends[0]:.4g} to {ends[1]:.4g} {path.target.unit}"
    if comparison is None:
        return f"{words}."
    mean = float(in_unit(path.target, comparison.chance.mean[-1:])[0])
    rule = float(in_unit(path.target, comparison.baseline[-1:])[0])
    return f"{words}; random choice reaches {mean:.4g} on average, the best single feature {rule:.4g}."


def _parity_words(known: Beliefs, numbers: dict[str, float]) -> str:
    if not len(known):
        return "Predicted against found: no prediction has been tested yet."
    return (
        f"Predicted against found for {len(known)} experiments: mean absolute error {numbers['mae']:.3g} {known.unit}, "
        f"rank correlation {numbers['spearman']:.2f}."
    )


def _calibration_words(known: Beliefs) -> str:
    if not len(known):
        return "Calibration: no prediction has been tested yet."
    return f"Calibration: {percent(known.numbers()['coverage90'])} of {len(known)} found values lie inside their 90 % interval."
